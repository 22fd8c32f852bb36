// Copies of rows and of single entries; the adjoints of the reductions. Entries are moved as bytes, so every dtype
// does.
#include "../reductions.h"
#include "targets.h"

#include <cstring>

namespace geoops {
namespace {

// Calls body.operator()<word_t>() for the unsigned integer that is as large as an entry.
template <typename Body>
void with_word(const char* op, const Tensor& x, const Body& body) {
  switch (x.element_size()) {
    case 1:
      return body.template operator()<uint8_t>();
    case 2:
      return body.template operator()<uint16_t>();
    case 4:
      return body.template operator()<uint32_t>();
    case 8:
      return body.template operator()<uint64_t>();
    default:
      fail<std::invalid_argument>(op, ": expected entries of 1, 2, 4 or 8 bytes, got ", x.scalar_type());
  }
}

template <typename word_t>
void copy_row(word_t* __restrict__ to, const word_t* __restrict__ from, int64_t inner) {
  for_channels(inner, [&]<int W>(int64_t c) {
    for (int l = 0; l < W; ++l) to[c + l] = from[c + l];
  });
}

Tensor gather(const Tensor& x_, const Tensor& index_, bool check) {
  const char* op = "gather";
  check_layout(op, "x", x_);
  require(index_.dim() == 1, op, ": expected index of shape (entries,), got ", index_.dim(), " dimensions");
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const int64_t outer = x.size(0), n = x.size(1), inner = x.size(2), edges = index.numel();
  Tensor out = in_large_pages(torch::stable::new_empty(x, {outer, edges, inner}));
  const auto copy = [&] {
    std::atomic<bool> complete{true};
    with_word(op, x, [&]<typename word_t>() {
      const auto* px = static_cast<const word_t*>(x.const_data_ptr());
      auto* po = static_cast<word_t*>(out.mutable_data_ptr());
      dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
        const auto* p = index.const_data_ptr<index_t>();
        const auto at = [&](int64_t e) { return static_cast<uint64_t>(static_cast<int64_t>(p[e])); };
        const auto bound = static_cast<uint64_t>(n);
        const int64_t ahead = rows_ahead<word_t>(inner);
        for_ranges(edges, outer * inner, [&](int64_t begin, int64_t end) {
          bool all = true;
          for (int64_t o = 0; o < outer; ++o) {
            const word_t* rows = px + o * n * inner;
            word_t* to = po + o * edges * inner;
            for (int64_t e = begin; e < end; ++e) {
              if (inner > 1 && e + ahead < end && at(e + ahead) < bound)
                prefetch_row(rows + at(e + ahead) * inner, inner);
              const bool exists = at(e) < bound;
              all &= exists;
              if (exists) copy_row(to + e * inner, rows + at(e) * inner, inner);
            }
          }
          if (!all) complete = false;
        });
      });
    });
    return complete.load();
  };
  if (copy()) return out;
  if (check) check_all(op, "index", index, n);
  torch::stable::zero_(out);  // rows that do not exist are zero
  copy();
  return out;
}

Tensor gather_csr(const Tensor& x_, const Tensor& ptr_, int64_t edges) {
  const char* op = "gather_csr";
  check_segment(op, x_, ptr_);
  require(edges >= 0 && ptr_.size(1) == x_.size(1) + 1, op, ": expected ptr of shape (1 or outer, ", x_.size(1) + 1,
          ") and a number of entries >= 0, got ", ptr_.size(1), " and ", edges);
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  check_ptr(op, ptr, edges);
  const int64_t outer = x.size(0), n = x.size(1), inner = x.size(2);
  const auto* pp = ptr.const_data_ptr<int64_t>();
  bool whole = true;
  for (int64_t p = 0; p < ptr.size(0); ++p) whole &= pp[p * (n + 1)] == 0 && pp[p * (n + 1) + n] == edges;
  Tensor out = whole ? in_large_pages(torch::stable::new_empty(x, {outer, edges, inner}))
                     : torch::stable::new_zeros(x, {outer, edges, inner});
  with_word(op, x, [&]<typename word_t>() {
    const auto* px = static_cast<const word_t*>(x.const_data_ptr());
    auto* po = static_cast<word_t*>(out.mutable_data_ptr());
    for_segments(ptr, outer, inner, [&](int64_t o, const int64_t* row, int64_t begin, int64_t end) {
      if (inner == 1) {  // whole vectors; what they write too much, the segments that follow put right
        word_t* const to = po + o * edges;
        for (int64_t i = begin; i < end; ++i) {
          int64_t e = row[i];
          for (; e < row[i + 1] && e + 16 <= row[end]; e += 16) std::fill_n(to + e, 16, px[o * n + i]);
          for (; e < row[i + 1]; ++e) to[e] = px[o * n + i];
        }
        return;
      }
      for (int64_t i = begin; i < end; ++i) {
        const word_t* from = px + (o * n + i) * inner;
        for (int64_t e = row[i]; e < row[i + 1]; ++e) copy_row(po + (o * edges + e) * inner, from, inner);
      }
    });
  });
  return out;
}

Tensor take(const Tensor& x_, const Tensor& arg_) {
  const char* op = "take";
  check_arg(op, x_, arg_);
  const Tensor x = torch::stable::contiguous(x_), arg = torch::stable::contiguous(arg_);
  const int64_t outer = x.size(0), edges = x.size(1), inner = x.size(2), n = arg.size(1);
  Tensor out = torch::stable::new_empty(x, {outer, n, inner});
  const auto* pa = arg.const_data_ptr<int64_t>();
  with_word(op, x, [&]<typename word_t>() {
    const auto* px = static_cast<const word_t*>(x.const_data_ptr());
    auto* po = static_cast<word_t*>(out.mutable_data_ptr());
    for_ranges(outer * n, inner, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const word_t* from = px + row / n * edges * inner;
        for (int64_t c = 0; c < inner; ++c) {
          const int64_t e = pa[row * inner + c];
          po[row * inner + c] = 0 <= e && e < edges ? from[e * inner + c] : word_t(0);
        }
      }
    });
  });
  return out;
}

Tensor put(const Tensor& g_, const Tensor& arg_, int64_t edges) {
  const char* op = "put";
  check_arg(op, g_, arg_);
  require(edges >= 0 && g_.size(1) == arg_.size(1), op,
          ": expected g of the shape of arg and a number of entries >= 0");
  const Tensor g = torch::stable::contiguous(g_), arg = torch::stable::contiguous(arg_);
  const int64_t outer = g.size(0), n = g.size(1), inner = g.size(2);
  Tensor out = in_large_pages(torch::stable::new_empty(g, {outer, edges, inner}));
  torch::stable::zero_(out);
  const auto* pa = arg.const_data_ptr<int64_t>();
  with_word(op, g, [&]<typename word_t>() {
    const auto* pg = static_cast<const word_t*>(g.const_data_ptr());
    auto* po = static_cast<word_t*>(out.mutable_data_ptr());
    for_ranges(outer * n, inner, [&](int64_t begin, int64_t end) {  // no entry is named twice
      for (int64_t row = begin; row < end; ++row) {
        word_t* to = po + row / n * edges * inner;
        for (int64_t c = 0; c < inner; ++c) {
          const int64_t e = pa[row * inner + c];
          if (0 <= e && e < edges) to[e * inner + c] = pg[row * inner + c];
        }
      }
    });
  });
  return out;
}

// Where each value begins in an ascending index.
Tensor index_to_ptr(const Tensor& index_, int64_t n, bool check) {
  const char* op = "index_to_ptr";
  require(index_.dim() == 2, op, ": expected index of shape (rows, entries), got ", index_.dim(), " dimensions");
  require(n >= 0, op, ": expected a number of targets n >= 0, got ", n);
  const Tensor index = torch::stable::contiguous(index_);
  const int64_t rows = index.size(0), edges = index.size(1);
  Tensor ptr = torch::stable::new_empty(index, {rows, n + 1}, ScalarType::Long);
  auto* const out = ptr.mutable_data_ptr<int64_t>();
  dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
    const auto* const all = index.const_data_ptr<index_t>();
    if (check) check_ascending(op, "index", all, rows, edges, n);
    for (int64_t row = 0; row < rows; ++row) {
      const index_t* p = all + row * edges;
      int64_t* to = out + row * (n + 1);
      const auto at = [&](int64_t e) {  // what is out of bounds or order can make no pointer leave its place
        return e < 0 ? int64_t{-1} : e == edges ? n : std::clamp<int64_t>(p[e], -1, n);
      };
      for_ranges(edges + 1, 1, [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e)
          for (int64_t i = at(e - 1) + 1; i <= at(e); ++i) to[i] = e;
      });
      if (!check)
        for (int64_t i = 1; i <= n; ++i) to[i] = std::clamp(to[i], to[i - 1], edges);
    }
  });
  return ptr;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("gather", TORCH_BOX(&gather));
  m.impl("gather_csr", TORCH_BOX(&gather_csr));
  m.impl("take", TORCH_BOX(&take));
  m.impl("put", TORCH_BOX(&put));
  m.impl("index_to_ptr", TORCH_BOX(&index_to_ptr));
}

}  // namespace
}  // namespace geoops
