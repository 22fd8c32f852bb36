// out[i, h] = sum of softmax(logits)[e, h] v[src[e], h] over the edges e with dst[e] = i; the weights are never stored.
#include "../extremum.h"
#include "lanes.h"
#include "targets.h"

#include <cmath>
#include <tuple>

namespace geoops {
namespace {

template <typename scalar_t, typename acc_t, typename index_t>
GEOOPS_INLINE void add_rows(const Listed& some, const scalar_t* logits, const scalar_t* v, const index_t* src,
                            const acc_t* top, acc_t* total, acc_t* out, acc_t* room, int64_t heads, int64_t channels) {
  const int64_t inner = heads * channels, ahead = rows_ahead<scalar_t>(inner);
  for (int64_t k = 0; k < some.count; ++k)
    for (int64_t h = 0; h < heads; ++h)
      room[k * heads + h] = static_cast<acc_t>(logits[some.edge[k] * heads + h]) - top[some.target[k] * heads + h];
  exp_all(room, some.count * heads);
  for (int64_t k = 0; k < some.count; ++k) {
    if (k + ahead < some.count) {
      prefetch_row(v + src[some.edge[k + ahead]] * inner, inner);
      prefetch_row(out + some.target[k + ahead] * inner, inner);
    }
    for (int64_t h = 0; h < heads; ++h) {
      const acc_t weight = room[k * heads + h];
      const scalar_t* __restrict__ row = v + src[some.edge[k]] * inner + h * channels;
      acc_t* __restrict__ sum = out + some.target[k] * inner + h * channels;
      total[some.target[k] * heads + h] += weight;
      for_channels(channels, [&]<int W>(int64_t c) {
        for (int l = 0; l < W; ++l) sum[c + l] += weight * static_cast<acc_t>(row[c + l]);
      });
    }
  }
}

std::tuple<Tensor, Tensor> edge_attention(const Tensor& logits_, const Tensor& v_, const Tensor& src_,
                                          const Tensor& dst_, int64_t n, bool check) {
  const char* op = "edge_attention";
  check_edge_sum(op, v_, logits_, src_, dst_, n);
  using torch::stable::contiguous;
  const Tensor logits = contiguous(logits_), v = contiguous(v_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t heads = v.size(1), channels = v.size(2);
  const ScalarType type = v.scalar_type(), wide = accumulator_type(type);
  Tensor out = torch::stable::new_zeros(v, {n, heads, channels}, wide);
  Tensor total = torch::stable::new_zeros(v, {n, heads}, wide);
  dispatch(op, type, src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const auto* s = src.const_data_ptr<index_t>();
    check_bounds(op, "src", s, check ? src.numel() : 0, v.size(0));
    const auto *pl = logits.const_data_ptr<scalar_t>(), *pv = v.const_data_ptr<scalar_t>();
    auto *po = out.mutable_data_ptr<acc_t>(), *pt = total.mutable_data_ptr<acc_t>();
    std::vector<acc_t> top(n * heads, worst<true, acc_t>());
    for_targets(op, "dst", dst, n, 1, heads, check, [&](int64_t, int64_t, const Listed& some) {
      for (int64_t k = 0; k < some.count; ++k)
        for (int64_t h = 0; h < heads; ++h) {
          const auto value = static_cast<acc_t>(pl[some.edge[k] * heads + h]);
          acc_t& most = top[some.target[k] * heads + h];
          most = if_better<true>(value, most, value, most);
        }
    });
    for (acc_t& most : top) most = most == worst<true, acc_t>() ? acc_t(0) : most;
    for_targets(op, "dst", dst, n, 1, heads * (channels + 8), false, [&](int64_t, int64_t, const Listed& some) {
      std::vector<acc_t> room(kListed * heads + Lanes<acc_t>::count);
      add_rows(some, pl, pv, s, top.data(), pt, po, room.data(), heads, channels);
    });
    for_ranges(n * heads, channels + 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const acc_t inverse = pt[i] == 0 ? acc_t(0) : 1 / pt[i];
        for (int64_t c = 0; c < channels; ++c) po[i * channels + c] *= inverse;
      }
      for (int64_t i = begin; i < end; ++i) pt[i] = top[i] + std::log(pt[i]);
    });
  });
  if (type == wide) return {out, total};
  return {torch::stable::to(out, type), torch::stable::to(total, type)};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("edge_attention", TORCH_BOX(&edge_attention)); }

}  // namespace
}  // namespace geoops
