// Reductions of contiguous segments: segment i of row o holds the entries ptr[o, i] <= e < ptr[o, i + 1].
#include "../reductions.h"
#include "blocks.h"
#include "line.h"
#include "targets.h"

#include <tuple>

namespace geoops {
namespace {

template <typename Reduce>
Tensor segment(const char* op, const Tensor& x_, const Tensor& ptr_) {
  check_segment(op, x_, ptr_);
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  const int64_t outer = x.size(0), edges = x.size(1), inner = x.size(2), n = ptr.size(1) - 1;
  check_ptr(op, ptr, edges);
  Tensor out = in_large_pages(torch::stable::new_empty(x, {outer, n, inner}));
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    const auto* px = x.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    for_segments(ptr, outer, inner, [&](int64_t o, const int64_t* row, int64_t begin, int64_t end) {
      const scalar_t* rows = px + o * edges * inner;
      scalar_t* to = po + o * n * inner;
      if (inner == 1) {
        for (int64_t i = begin; i < end; ++i) to[i] = reduce_line<Reduce>(rows, row[i], row[i + 1], edges);
        return;
      }
      for (int64_t i = begin; i < end; ++i)
        for_channels<64>(inner, [&]<int W>(int64_t c) {
          reduce_block<Reduce, W>([&](int64_t e) { return rows + e * inner + c; }, row[i], row[i + 1],
                                  to + i * inner + c);
        });
    });
  });
  return out;
}

Tensor segment_sum(const Tensor& x, const Tensor& ptr) { return segment<Sum>("segment_sum", x, ptr); }

Tensor segment_mul(const Tensor& x, const Tensor& ptr) { return segment<Product>("segment_mul", x, ptr); }

std::tuple<Tensor, Tensor> segment_extremum(const Tensor& x_, const Tensor& ptr_, bool largest) {
  const char* op = "segment_extremum";
  check_segment(op, x_, ptr_);
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  const int64_t outer = x.size(0), edges = x.size(1), inner = x.size(2), n = ptr.size(1) - 1;
  check_ptr(op, ptr, edges);
  Tensor out = in_large_pages(torch::stable::new_empty(x, {outer, n, inner}));
  Tensor arg = in_large_pages(torch::stable::new_empty(x, {outer, n, inner}, ScalarType::Long));
  auto* const pa = arg.mutable_data_ptr<int64_t>();
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    const auto* px = x.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    const auto walk = [&]<bool max>() {
      for_segments(ptr, outer, 2 * inner, [&](int64_t o, const int64_t* row, int64_t begin, int64_t end) {
        const scalar_t* rows = px + o * edges * inner;
        if constexpr (sizeof(wide_t<scalar_t>) == 4)
          if (inner == 1) {
            for (int64_t i = begin; i < end; ++i) {
              const bool empty = row[i] == row[i + 1];
              const int64_t at = empty ? edges : find_line<max>(rows, row[i], row[i + 1], edges);
              pa[o * n + i] = at;
              po[o * n + i] = empty ? static_cast<scalar_t>(0) : rows[at];
            }
            return;
          }
        for (int64_t i = begin; i < end; ++i)
          extremum_rows<max>([&](int64_t e) { return rows + e * inner; }, [](int64_t e) { return e; }, row[i],
                             row[i + 1], po + (o * n + i) * inner, pa + (o * n + i) * inner, inner, edges);
      });
    };
    largest ? walk.template operator()<true>() : walk.template operator()<false>();
  });
  return {out, arg};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("segment_sum", TORCH_BOX(&segment_sum));
  m.impl("segment_mul", TORCH_BOX(&segment_mul));
  m.impl("segment_extremum", TORCH_BOX(&segment_extremum));
}

}  // namespace
}  // namespace geoops
