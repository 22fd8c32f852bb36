// out[e, h] = inner product of x[src[e], h] and y[dst[e], h].
#include "../dispatch.h"
#include "parallel.h"

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

constexpr int64_t kLanes = 16;  // partial sums that the compiler keeps in vector registers

template <typename scalar_t, typename acc_t = accumulator_t<scalar_t>>
acc_t dot(const scalar_t* a, const scalar_t* b, int64_t channels) {
  acc_t sum = 0;
  int64_t c = 0;
  if (channels >= kLanes) {
    acc_t lanes[kLanes] = {};
    for (; c + kLanes <= channels; c += kLanes)
      for (int64_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<acc_t>(a[c + l]) * static_cast<acc_t>(b[c + l]);
    for (int64_t l = 0; l < kLanes; ++l) sum += lanes[l];
  }
  for (; c < channels; ++c) sum += static_cast<acc_t>(a[c]) * static_cast<acc_t>(b[c]);
  return sum;
}

Tensor edge_dot(const Tensor& x_, const Tensor& y_, const Tensor& src_, const Tensor& dst_, bool check) {
  check_edge_dot(x_, y_, src_, dst_);
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), y = contiguous(y_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), heads = x.size(1), channels = x.size(2), inner = heads * channels;
  Tensor out = in_large_pages(torch::stable::new_empty(x, {edges, heads}));
  dispatch("edge_dot", x.scalar_type(), src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    const auto *s = src.const_data_ptr<index_t>(), *d = dst.const_data_ptr<index_t>();
    if (check) {
      check_bounds("edge_dot", "src", s, edges, x.size(0));
      check_bounds("edge_dot", "dst", d, edges, y.size(0));
    }
    const auto *px = x.const_data_ptr<scalar_t>(), *py = y.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    if (inner == 1)
      return for_ranges(edges, 4, [&](int64_t begin, int64_t end) {
        for (int64_t e = begin; e < end; ++e)
          po[e] = static_cast<scalar_t>(static_cast<accumulator_t<scalar_t>>(px[s[e]]) *
                                        static_cast<accumulator_t<scalar_t>>(py[d[e]]));
      });
    const int64_t ahead = rows_ahead<scalar_t>(inner);
    for_ranges(edges, inner, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin; e < end; ++e) {
        if (e + ahead < end) {
          prefetch_row(px + s[e + ahead] * inner, inner);
          prefetch_row(py + d[e + ahead] * inner, inner);
        }
        const scalar_t *a = px + s[e] * inner, *b = py + d[e] * inner;
        for (int64_t h = 0; h < heads; ++h)
          po[e * heads + h] = static_cast<scalar_t>(dot(a + h * channels, b + h * channels, channels));
      }
    });
  });
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("edge_dot", TORCH_BOX(&edge_dot)); }

}  // namespace
}  // namespace geoops
