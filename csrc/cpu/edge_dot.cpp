// out[e] = inner product of x[src[e]] and y[dst[e]].
#include "../dispatch.h"
#include "parallel.h"

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

constexpr int64_t kLanes = 8;  // partial sums that the compiler keeps in vector registers

template <typename scalar_t, typename acc_t = accumulator_t<scalar_t>>
acc_t dot(const scalar_t* a, const scalar_t* b, int64_t channels) {
  acc_t lanes[kLanes] = {};
  int64_t c = 0;
  for (; c + kLanes <= channels; c += kLanes)
    for (int64_t l = 0; l < kLanes; ++l) lanes[l] += static_cast<acc_t>(a[c + l]) * static_cast<acc_t>(b[c + l]);
  acc_t sum = 0;
  for (; c < channels; ++c) sum += static_cast<acc_t>(a[c]) * static_cast<acc_t>(b[c]);
  for (const acc_t lane : lanes) sum += lane;
  return sum;
}

Tensor edge_dot_cpu(const Tensor& x_, const Tensor& y_, const Tensor& src_, const Tensor& dst_) {
  check_edge_dot(x_, y_, src_, dst_);
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), y = contiguous(y_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), channels = x.size(1);
  Tensor out = torch::stable::new_empty(x, {edges});
  dispatch("edge_dot", x.scalar_type(), src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    const auto *s = src.const_data_ptr<index_t>(), *d = dst.const_data_ptr<index_t>();
    check_bounds("edge_dot", "src", s, edges, x.size(0));
    check_bounds("edge_dot", "dst", d, edges, y.size(0));
    const auto *px = x.const_data_ptr<scalar_t>(), *py = y.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    for_ranges(edges, channels, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin; e < end; ++e) {
        if (e + kPrefetch < end) {
          prefetch_row(px + s[e + kPrefetch] * channels, channels);
          prefetch_row(py + d[e + kPrefetch] * channels, channels);
        }
        po[e] = static_cast<scalar_t>(dot(px + s[e] * channels, py + d[e] * channels, channels));
      }
    });
  });
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("edge_dot", TORCH_BOX(&edge_dot_cpu)); }

}  // namespace
}  // namespace geoops
