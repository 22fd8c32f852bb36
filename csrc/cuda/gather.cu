// Copies of rows and of single entries, moved as bytes, and the pointers of an ascending index.
#include "../reductions.h"
#include "rows.cuh"

namespace geoops {
namespace {

template <typename word_t, typename index_t>
__global__ void copy_rows(Layout z, const word_t* __restrict__ x, const index_t* __restrict__ index,
                          word_t* __restrict__ out) {
  for (int64_t row = first_thread() / z.lanes; row < z.outer * z.edges; row += all_threads() / z.lanes) {
    const int64_t o = z.outer == 1 ? 0 : row / z.edges, i = index[row - o * z.edges];
    const bool held = inside(i, z.targets);  // rows that do not exist are zero
    for (int64_t f = threadIdx.x % z.lanes; f < z.inner; f += z.lanes)
      out[row * z.inner + f] = held ? x[(o * z.targets + i) * z.inner + f] : word_t(0);
  }
}

template <typename word_t>
__global__ void copy_segments(Layout z, const word_t* __restrict__ x, const int64_t* __restrict__ ptr, int64_t ptr_rows,
                              word_t* __restrict__ out) {
  for (int64_t row = first_thread() / z.lanes; row < z.outer * z.edges; row += all_threads() / z.lanes) {
    const int64_t o = row / z.edges, e = row - o * z.edges;
    const int64_t* p = ptr + (ptr_rows > 1 ? o * (z.targets + 1) : 0);
    int64_t low = 0, high = z.targets + 1;  // the first pointer beyond e
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      p[middle] <= e ? low = middle + 1 : high = middle;
    }
    const int64_t i = low - 1;
    const bool held = inside(i, z.targets);
    for (int64_t f = threadIdx.x % z.lanes; f < z.inner; f += z.lanes)
      out[row * z.inner + f] = held ? x[(o * z.targets + i) * z.inner + f] : word_t(0);
  }
}

template <typename word_t>
__global__ void take_entries(Layout z, const word_t* __restrict__ x, const int64_t* __restrict__ arg,
                             word_t* __restrict__ out) {
  const int64_t row = z.targets * z.inner;
  for (int64_t i = first_thread(); i < z.outer * row; i += all_threads()) {
    const int64_t e = arg[i];
    out[i] = inside(e, z.edges) ? x[(i / row * z.edges + e) * z.inner + i % z.inner] : word_t(0);
  }
}

template <typename word_t>
__global__ void put_entries(Layout z, const word_t* __restrict__ g, const int64_t* __restrict__ arg,
                            word_t* __restrict__ out) {
  const int64_t row = z.targets * z.inner;
  for (int64_t i = first_thread(); i < z.outer * row; i += all_threads()) {
    const int64_t e = arg[i];
    if (inside(e, z.edges)) out[(i / row * z.edges + e) * z.inner + i % z.inner] = g[i];
  }
}

// Pointer i of a row is the number of entries less than i. Of an index that does not ascend some pointers are found
// that do: where the searches for two numbers part, that for the larger one goes right.
__global__ void find_pointers(const int64_t* __restrict__ index, int64_t* __restrict__ ptr, int64_t rows, int64_t edges,
                              int64_t n) {
  for (int64_t j = first_thread(); j < rows * (n + 1); j += all_threads()) {
    const int64_t row = j / (n + 1), i = j - row * (n + 1);
    int64_t low = 0, high = edges;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      index[row * edges + middle] < i ? low = middle + 1 : high = middle;
    }
    ptr[j] = low;
  }
}

Tensor gather(const Tensor& x_, const Tensor& index_, bool check) {
  const char* op = "gather";
  check_layout(op, "x", x_);
  require(index_.dim() == 1, op, ": expected index of shape (entries,), got ", index_.dim(), " dimensions");
  require_same_device(op, x_, {&index_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const int64_t edges = index.numel(), inner = x.size(2);
  if (check) check_bounds(op, {{"index", index, x.size(1)}});
  Tensor out = torch::stable::new_empty(x, {x.size(0), edges, inner});
  const Layout z{x.size(0), edges, x.size(1), inner, lanes_for(inner)};
  with_word(op, x, [&]<typename word_t>() {
    dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
      launch_for(op, copy_rows<word_t, index_t>, z.threads(), x, z, data<word_t>(x), data<index_t>(index),
                 data<word_t>(out));
    });
  });
  return out;
}

Tensor gather_csr(const Tensor& x_, const Tensor& ptr_, int64_t edges) {
  const char* op = "gather_csr";
  check_segment(op, x_, ptr_);
  require(edges >= 0 && ptr_.size(1) == x_.size(1) + 1, op, ": expected ptr of shape (1 or outer, ", x_.size(1) + 1,
          ") and a number of entries >= 0, got ", ptr_.size(1), " and ", edges);
  require_same_device(op, x_, {&ptr_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  check_ascending(op, "ptr", ptr, edges + 1);
  Tensor out = torch::stable::new_empty(x, {x.size(0), edges, x.size(2)});
  const Layout z{x.size(0), edges, x.size(1), x.size(2), lanes_for(x.size(2))};
  with_word(op, x, [&]<typename word_t>() {
    launch_for(op, copy_segments<word_t>, z.threads(), x, z, data<word_t>(x), data<int64_t>(ptr), ptr.size(0),
               data<word_t>(out));
  });
  return out;
}

Tensor take(const Tensor& x_, const Tensor& arg_) {
  const char* op = "take";
  check_arg(op, x_, arg_);
  require_same_device(op, x_, {&arg_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), arg = torch::stable::contiguous(arg_);
  Tensor out = torch::stable::new_empty(x, {x.size(0), arg.size(1), x.size(2)});
  const Layout z = layout_of(x, arg.size(1));
  with_word(op, x, [&]<typename word_t>() {
    launch_for(op, take_entries<word_t>, out.numel(), x, z, data<word_t>(x), data<int64_t>(arg), data<word_t>(out));
  });
  return out;
}

Tensor put(const Tensor& g_, const Tensor& arg_, int64_t edges) {
  const char* op = "put";
  check_arg(op, g_, arg_);
  require(edges >= 0 && g_.size(1) == arg_.size(1), op,
          ": expected g of the shape of arg and a number of entries >= 0");
  require_same_device(op, g_, {&arg_});
  const DeviceGuard guard(g_.get_device_index());
  const Tensor g = torch::stable::contiguous(g_), arg = torch::stable::contiguous(arg_);
  Tensor out = torch::stable::new_zeros(g, {g.size(0), edges, g.size(2)});
  const Layout z = layout_of(out, g.size(1));
  with_word(op, g, [&]<typename word_t>() {
    launch_for(op, put_entries<word_t>, g.numel(), g, z, data<word_t>(g), data<int64_t>(arg), data<word_t>(out));
  });
  return out;
}

Tensor index_to_ptr(const Tensor& index_, int64_t n, bool check) {
  const char* op = "index_to_ptr";
  require(index_.dim() == 2, op, ": expected index of shape (rows, entries), got ", index_.dim(), " dimensions");
  require(n >= 0, op, ": expected a number of targets n >= 0, got ", n);
  const DeviceGuard guard(index_.get_device_index());
  const Tensor index = as_long(op, index_);
  const int64_t rows = index.size(0), edges = index.size(1);
  if (check) check_ascending(op, "index", index, n);
  Tensor ptr = torch::stable::new_empty(index, {rows, n + 1}, ScalarType::Long);
  launch_for(op, find_pointers, ptr.numel(), index, data<int64_t>(index), data<int64_t>(ptr), rows, edges, n);
  return ptr;
}

GEOOPS_CUDA_OPS(m) {
  m.impl("gather", TORCH_BOX(&gather));
  m.impl("gather_csr", TORCH_BOX(&gather_csr));
  m.impl("take", TORCH_BOX(&take));
  m.impl("put", TORCH_BOX(&put));
  m.impl("index_to_ptr", TORCH_BOX(&index_to_ptr));
}

}  // namespace
}  // namespace geoops
