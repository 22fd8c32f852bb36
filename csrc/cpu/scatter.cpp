// out[o, i, :] = sum or product of x[o, e, :] over the entries e with index[e] = i.
#include "blocks.h"
#include "order.h"
#include "sums.h"

namespace geoops {
namespace {

// One number for all entries, which counts them.
template <typename acc_t>
struct Constant {
  acc_t value;
  template <int W>
  GEOOPS_INLINE Pack<acc_t, W> at(int64_t) const {
    return pack_of<acc_t, W>(value);
  }
  GEOOPS_INLINE void prefetch(int64_t) const {}
};

// Wide rows: those of a target are read together, and the result is written once.
template <typename Reduce, typename scalar_t>
void by_order(const char* op, const Tensor& index, const Sizes& z, bool check, const scalar_t* x, scalar_t* out) {
  const Order order = order_entries(op, "index", index, z.n, check);
  const int64_t *ptr = order.ptr.get(), *entry = order.entry.get(), inner = z.inner;
  for_ordered(order, z.outer, inner, [&](int64_t o, int64_t begin, int64_t end) {
    const scalar_t* rows = x + o * z.edges * inner;
    for (int64_t i = begin; i < end; ++i) {
      order.prefetch(rows, ptr[i], ptr[i + 1], ptr[end], inner);
      for_channels<64>(inner, [&]<int W>(int64_t c) {
        reduce_block<Reduce, W>([&](int64_t k) { return rows + entry[k] * inner + c; }, ptr[i], ptr[i + 1],
                                out + (o * z.n + i) * inner + c);
      });
    }
  });
}

template <typename Reduce>
Tensor scatter(const char* op, const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  check_scatter(op, x_, index_, n);
  const bool constant = x_.numel() > 1 && x_.numel() == x_.size(1) && x_.stride(1) == 0;  // expanded
  const Tensor x = constant ? x_ : torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const Sizes z{x.size(0), x.size(1), n, x.size(2)};
  const bool ordered = z.inner >= kOrdered;
  const ScalarType type = x.scalar_type(), wide = ordered ? type : accumulator_type(type);
  Tensor out = in_large_pages(torch::stable::new_empty(x, {z.outer, n, z.inner}, wide));
  dispatch_numbers(op, type, [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const auto* px = x.const_data_ptr<scalar_t>();
    if (ordered) return by_order<Reduce>(op, index, z, check, px, out.mutable_data_ptr<scalar_t>());
    auto* po = out.mutable_data_ptr<acc_t>();
    constant ? reduce_targets<Reduce>(op, index, z, check, po, Constant<acc_t>{static_cast<acc_t>(*px)})
             : reduce_targets<Reduce>(op, index, z, check, po, Rows<scalar_t, acc_t>{px, z.inner});
  });
  return wide == type ? out : torch::stable::to(out, type);
}

Tensor scatter_sum(const Tensor& x, const Tensor& index, int64_t n, bool check) {
  return scatter<Sum>("scatter_sum", x, index, n, check);
}

Tensor scatter_mul(const Tensor& x, const Tensor& index, int64_t n, bool check) {
  return scatter<Product>("scatter_mul", x, index, n, check);
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("scatter_sum", TORCH_BOX(&scatter_sum));
  m.impl("scatter_mul", TORCH_BOX(&scatter_mul));
}

}  // namespace
}  // namespace geoops
