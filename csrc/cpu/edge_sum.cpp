// out[i, h] = sum of w[e, h] x[src[e], h] over the edges e with dst[e] = i.
#include "sums.h"

namespace geoops {
namespace {

template <typename scalar_t, typename acc_t, typename index_t>
void add_rows(const Listed& some, const scalar_t* x, const scalar_t* w, const index_t* src, acc_t* out, int64_t heads,
              int64_t channels) {
  const int64_t inner = heads * channels, ahead = rows_ahead<scalar_t>(inner);
  for (int64_t k = 0; k < some.count; ++k) {
    if (k + ahead < some.count) {
      prefetch_row(x + src[some.edge[k + ahead]] * inner, inner);
      prefetch_row(out + some.target[k + ahead] * inner, inner);
    }
    const int64_t e = some.edge[k];
    for (int64_t h = 0; h < heads; ++h) {
      const acc_t weight = static_cast<acc_t>(w[e * heads + h]);
      const scalar_t* __restrict__ row = x + src[e] * inner + h * channels;
      acc_t* __restrict__ sum = out + some.target[k] * inner + h * channels;
      for_channels(channels, [&]<int W>(int64_t c) {
        for (int l = 0; l < W; ++l) sum[c + l] += weight * static_cast<acc_t>(row[c + l]);
      });
    }
  }
}

// Terms of edges with one channel.
template <typename scalar_t, typename acc_t, typename index_t>
struct Terms {
  const scalar_t *x, *w;
  const index_t* src;
  template <int W>
  GEOOPS_INLINE acc_t at(int64_t e) const {
    static_assert(W == 1);
    return static_cast<acc_t>(w[e]) * static_cast<acc_t>(x[src[e]]);
  }
};

Tensor edge_sum(const Tensor& x_, const Tensor& w_, const Tensor& src_, const Tensor& dst_, int64_t n, bool check) {
  check_edge_sum("edge_sum", x_, w_, src_, dst_, n);
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), w = contiguous(w_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t heads = x.size(1), channels = x.size(2);
  const ScalarType type = x.scalar_type(), wide = accumulator_type(type);
  Tensor out = in_large_pages(torch::stable::new_empty(x, {n, heads, channels}, wide));
  dispatch("edge_sum", type, src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    const auto* s = src.const_data_ptr<index_t>();
    check_bounds("edge_sum", "src", s, check ? src.numel() : 0, x.size(0));
    const auto *px = x.const_data_ptr<scalar_t>(), *pw = w.const_data_ptr<scalar_t>();
    using acc_t = accumulator_t<scalar_t>;
    auto* po = out.mutable_data_ptr<acc_t>();
    const Sizes z{1, src.numel(), n, heads * channels};
    if (const int64_t chunks = chunks_for(1, z.edges, n); z.inner == 1 && chunks > 0) {
      const Terms<scalar_t, acc_t, index_t> terms{px, pw, s};
      if (!reduce_chunks<Sum>("edge_sum", dst, z, chunks, po, terms) && check) check_all("edge_sum", "dst", dst, n);
      return;
    }
    std::fill_n(po, n * z.inner, acc_t(0));
    for_targets("edge_sum", "dst", dst, n, 1, heads * channels, check,
                [&](int64_t, int64_t, const Listed& some) { add_rows(some, px, pw, s, po, heads, channels); });
  });
  return type == wide ? out : torch::stable::to(out, type);
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("edge_sum", TORCH_BOX(&edge_sum)); }

}  // namespace
}  // namespace geoops
