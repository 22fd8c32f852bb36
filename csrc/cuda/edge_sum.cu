// out[i, h] = sum of w[e, h] x[src[e], h] over the edges e with dst[e] = i; atomic, so the order of addition varies
// between runs.
#include "rows.cuh"

namespace geoops {
namespace {

template <typename scalar_t, typename acc_t, typename index_t>
__global__ void add_edges(const scalar_t* __restrict__ x, const scalar_t* __restrict__ w,
                          const index_t* __restrict__ src, const index_t* __restrict__ dst, acc_t* __restrict__ out,
                          int64_t edges, int64_t heads, int64_t channels, int64_t sources, int64_t targets, int lanes) {
  const int64_t inner = heads * channels;
  for (int64_t e = first_thread() / lanes; e < edges; e += all_threads() / lanes) {
    const int64_t s = src[e], t = dst[e];
    if (!inside(s, sources) || !inside(t, targets)) continue;
    for (int64_t f = threadIdx.x % lanes; f < inner; f += lanes) {
      const scalar_t weight = w[heads == 1 ? e : e * heads + f / channels];
      add(out + t * inner + f, static_cast<acc_t>(weight) * static_cast<acc_t>(x[s * inner + f]));
    }
  }
}

Tensor edge_sum_cuda(const Tensor& x_, const Tensor& w_, const Tensor& src_, const Tensor& dst_, int64_t n,
                     bool check) {
  const char* op = "edge_sum";
  check_edge_sum(op, x_, w_, src_, dst_, n);
  require_same_device(op, x_, {&w_, &src_, &dst_});
  const DeviceGuard guard(x_.get_device_index());
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), w = contiguous(w_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), heads = x.size(1), channels = x.size(2), inner = heads * channels;
  const ScalarType type = x.scalar_type(), wide = accumulator_type(type);
  if (check) check_bounds(op, {{"src", src, x.size(0)}, {"dst", dst, n}});
  Tensor out = torch::stable::new_zeros(x, {n, heads, channels}, wide);
  const int lanes = lanes_for(inner);
  dispatch(op, type, src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    using acc_t = accumulator_t<scalar_t>;
    if (inner > 0)
      launch_for(op, add_edges<scalar_t, acc_t, index_t>, edges * lanes, x, data<scalar_t>(x), data<scalar_t>(w),
                 data<index_t>(src), data<index_t>(dst), data<acc_t>(out), edges, heads, channels, x.size(0), n, lanes);
  });
  return type == wide ? out : torch::stable::to(out, type);
}

GEOOPS_CUDA_OPS(m) { m.impl("edge_sum", TORCH_BOX(&edge_sum_cuda)); }

}  // namespace
}  // namespace geoops
