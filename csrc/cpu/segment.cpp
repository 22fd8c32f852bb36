// Reductions of contiguous segments: segment i of row o holds the entries ptr[o, i] <= e < ptr[o, i + 1].
#include "../extremum.h"
#include "../reductions.h"
#include "pack.h"
#include "targets.h"

#include <tuple>

namespace geoops {
namespace {

// The segment that begins at x, reduced into out, W channels of it.
template <typename Reduce, int W, typename scalar_t>
void reduce_block(const scalar_t* x, scalar_t* out, int64_t count, int64_t inner) {
  using acc_t = wide_t<scalar_t>;
  acc_t kept[W];
  for (int c = 0; c < W; ++c) kept[c] = static_cast<acc_t>(Reduce::start);
  for (int64_t e = 0; e < count; ++e)
    for (int c = 0; c < W; ++c) kept[c] = Reduce::of(kept[c], static_cast<acc_t>(x[e * inner + c]));
  for (int c = 0; c < W; ++c) out[c] = static_cast<scalar_t>(kept[c]);
}

// One channel: sixteen partial results side by side, in an order that is the same everywhere.
template <typename Reduce, typename scalar_t>
scalar_t reduce_line(const scalar_t* x, int64_t count) {
  using acc_t = wide_t<scalar_t>;
  constexpr int W = 16;
  acc_t result = static_cast<acc_t>(Reduce::start);
  int64_t e = 0;
  if (count >= 2 * W) {
    acc_t kept[W];
    for (int l = 0; l < W; ++l) kept[l] = static_cast<acc_t>(Reduce::start);
    for (; e + W <= count; e += W)
      for (int l = 0; l < W; ++l) kept[l] = Reduce::of(kept[l], static_cast<acc_t>(x[e + l]));
    for (int l = 0; l < W; ++l) result = Reduce::of(result, kept[l]);
  }
  for (; e < count; ++e) result = Reduce::of(result, static_cast<acc_t>(x[e]));
  return static_cast<scalar_t>(result);
}

template <typename Reduce>
Tensor segment(const char* op, const Tensor& x_, const Tensor& ptr_) {
  check_segment(op, x_, ptr_);
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  const int64_t outer = x.size(0), edges = x.size(1), inner = x.size(2), n = ptr.size(1) - 1;
  check_ptr(op, ptr, edges);
  Tensor out = torch::stable::new_empty(x, {outer, n, inner});
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    const auto* px = x.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    for_segments(ptr, outer, inner, [&](int64_t o, const int64_t* row, int64_t begin, int64_t end) {
      const scalar_t* rows = px + o * edges * inner;
      scalar_t* to = po + o * n * inner;
      if (inner == 1) {
        for (int64_t i = begin; i < end; ++i) to[i] = reduce_line<Reduce>(rows + row[i], row[i + 1] - row[i]);
        return;
      }
      for (int64_t i = begin; i < end; ++i)
        for_channels<64>(inner, [&]<int W>(int64_t c) {
          reduce_block<Reduce, W>(rows + row[i] * inner + c, to + i * inner + c, row[i + 1] - row[i], inner);
        });
    });
  });
  return out;
}

Tensor segment_sum(const Tensor& x, const Tensor& ptr) { return segment<Sum>("segment_sum", x, ptr); }

Tensor segment_mul(const Tensor& x, const Tensor& ptr) { return segment<Product>("segment_mul", x, ptr); }

// R packs of W channels at a time, so that rows are read whole. Positions are counted from `first`.
template <typename arg_t, bool largest, int W, int R, typename scalar_t>
GEOOPS_INLINE void extremum_block(const scalar_t* x, scalar_t* out, int64_t* arg, int64_t first, int64_t last,
                                  int64_t inner) {
  using held_t = wide_t<scalar_t>;
  Pack<held_t, W> held[R];
  Pack<arg_t, W> at[R];
  for (int r = 0; r < R; ++r) held[r] = load_as<held_t, W>(x + first * inner + r * W), at[r] = pack_of<arg_t, W>(0);
  for (int64_t e = first + 1; e < last; ++e)
    for (int r = 0; r < R; ++r) {
      const auto value = load_as<held_t, W>(x + e * inner + r * W);
      at[r] = if_better<largest>(value, held[r], pack_of<arg_t, W>(static_cast<arg_t>(e - first)), at[r]);
      held[r] = if_better<largest>(value, held[r], value, held[r]);
    }
  for (int r = 0; r < R; ++r) {
    store_as<W>(out + r * W, held[r]);
    if constexpr (W == 1) {
      arg[r] = first + at[r];
    } else {
      for (int l = 0; l < W; ++l) arg[r * W + l] = first + at[r][l];
    }
  }
}

std::tuple<Tensor, Tensor> segment_extremum(const Tensor& x_, const Tensor& ptr_, bool largest) {
  const char* op = "segment_extremum";
  check_segment(op, x_, ptr_);
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  const int64_t outer = x.size(0), edges = x.size(1), inner = x.size(2), n = ptr.size(1) - 1;
  check_ptr(op, ptr, edges);
  Tensor out = torch::stable::new_empty(x, {outer, n, inner});
  Tensor arg = torch::stable::new_empty(x, {outer, n, inner}, ScalarType::Long);
  auto* const pa = arg.mutable_data_ptr<int64_t>();
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    const auto* px = x.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    using arg_t = std::conditional_t<sizeof(wide_t<scalar_t>) == 4, int32_t, int64_t>;
    const auto walk = [&]<bool max>() {
      for_segments(ptr, outer, 2 * inner, [&](int64_t o, const int64_t* row, int64_t begin, int64_t end) {
        const scalar_t* rows = px + o * edges * inner;
        for (int64_t i = begin; i < end; ++i) {
          const int64_t first = row[i], last = row[i + 1];
          scalar_t* to = po + (o * n + i) * inner;
          int64_t* at = pa + (o * n + i) * inner;
          if (first == last)
            for (int64_t c = 0; c < inner; ++c) to[c] = static_cast<scalar_t>(0), at[c] = edges;
          else if (last - first > std::numeric_limits<arg_t>::max())
            for (int64_t c = 0; c < inner; ++c)
              extremum_block<int64_t, max, 1, 1>(rows + c, to + c, at + c, first, last, inner);
          else
            for_channels<64>(inner, [&]<int W>(int64_t c) {
              extremum_block<arg_t, max, std::min(W, 16), std::max(W / 16, 1)>(rows + c, to + c, at + c, first, last,
                                                                               inner);
            });
        }
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
