// out[i] = sum of w[e] x[src[e]] over the edges e with dst[e] = i.
#include "../dispatch.h"
#include "parallel.h"

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

constexpr int64_t kBlock = 1024;  // edges listed at a time; the list stays in the first-level cache

// Adds the edges that end in targets [lo, hi), in the order of the edges. Every target has one owner and a fixed order
// of addition, so the result has the same bits for any number of threads, without atomics.
template <typename scalar_t, typename acc_t, typename index_t>
void accumulate(const scalar_t* x, const scalar_t* w, const index_t* src, const index_t* dst, acc_t* out, int64_t edges,
                int64_t channels, int64_t lo, int64_t hi) {
  int64_t mine[kBlock];
  for (int64_t start = 0; start < edges; start += kBlock) {
    const int64_t stop = std::min(edges, start + kBlock);
    int64_t count = 0;
    for (int64_t e = start; e < stop; ++e) {  // no branch: whether an edge is ours is a coin toss
      mine[count] = e;
      count += dst[e] >= lo && dst[e] < hi;
    }
    for (int64_t k = 0; k < count; ++k) {
      const int64_t e = mine[k];
      if (k + kPrefetch < count) {
        const int64_t next = mine[k + kPrefetch];
        prefetch_row(x + src[next] * channels, channels);
        prefetch_row(out + dst[next] * channels, channels);
      }
      const scalar_t* row = x + src[e] * channels;
      acc_t* sum = out + dst[e] * channels;
      const acc_t weight = static_cast<acc_t>(w[e]);
      for (int64_t c = 0; c < channels; ++c) sum[c] += weight * static_cast<acc_t>(row[c]);
    }
  }
}

Tensor edge_sum_cpu(const Tensor& x_, const Tensor& w_, const Tensor& src_, const Tensor& dst_, int64_t n) {
  check_edge_sum(x_, w_, src_, dst_, n);
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), w = contiguous(w_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), sources = x.size(0), channels = x.size(1);
  const ScalarType type = x.scalar_type();
  Tensor out = torch::stable::new_zeros(x, {n, channels}, accumulator_type(type));
  dispatch("edge_sum", type, src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    const auto *s = src.const_data_ptr<index_t>(), *d = dst.const_data_ptr<index_t>();
    check_bounds("edge_sum", "src", s, edges, sources);
    check_bounds("edge_sum", "dst", d, edges, n);
    const auto *px = x.const_data_ptr<scalar_t>(), *pw = w.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<accumulator_t<scalar_t>>();
    const int64_t threads = torch::stable::get_num_threads(), useful = edges * channels / kGrain;
    const int64_t parts = std::max<int64_t>(1, std::min({threads, useful, n}));
    torch::stable::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      accumulate(px, pw, s, d, po, edges, channels, n * begin / parts, n * end / parts);
    });
  });
  return type == out.scalar_type() ? out : torch::stable::to(out, type);
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("edge_sum", TORCH_BOX(&edge_sum_cpu)); }

}  // namespace
}  // namespace geoops
