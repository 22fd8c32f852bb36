// out[e, h] = inner product of x[src[e], h] and y[dst[e], h].
#include "rows.cuh"

namespace geoops {
namespace {

template <typename scalar_t, typename index_t>
__global__ void dot_edges(const scalar_t* __restrict__ x, const scalar_t* __restrict__ y,
                          const index_t* __restrict__ src, const index_t* __restrict__ dst, scalar_t* __restrict__ out,
                          int64_t edges, int64_t heads, int64_t channels, int64_t sources, int64_t targets, int lanes) {
  using acc_t = accumulator_t<scalar_t>;
  const int64_t lane = threadIdx.x % lanes, step = all_threads() / lanes, jobs = edges * heads;
  // All threads of a warp take the same number of turns: the shuffle below names the whole warp.
  const int64_t turns = (jobs + step - 1) / step;
  int64_t job = first_thread() / lanes;
  for (int64_t turn = 0; turn < turns; ++turn, job += step) {
    acc_t sum = 0;
    if (job < jobs) {
      const int64_t e = heads == 1 ? job : job / heads, h = job - e * heads, s = src[e], t = dst[e];
      if (inside(s, sources) && inside(t, targets)) {
        const scalar_t *a = x + (s * heads + h) * channels, *b = y + (t * heads + h) * channels;
        for (int64_t c = lane; c < channels; c += lanes) sum += static_cast<acc_t>(a[c]) * static_cast<acc_t>(b[c]);
      }
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset, lanes);
    if (job < jobs && lane == 0) out[job] = static_cast<scalar_t>(sum);
  }
}

Tensor edge_dot_cuda(const Tensor& x_, const Tensor& y_, const Tensor& src_, const Tensor& dst_, bool check) {
  const char* op = "edge_dot";
  check_edge_dot(x_, y_, src_, dst_);
  require_same_device(op, x_, {&y_, &src_, &dst_});
  const DeviceGuard guard(x_.get_device_index());
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), y = contiguous(y_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), heads = x.size(1), channels = x.size(2);
  if (check) check_bounds(op, {{"src", src, x.size(0)}, {"dst", dst, y.size(0)}});
  Tensor out = torch::stable::new_empty(x, {edges, heads});
  const int lanes = lanes_for(channels);
  dispatch(op, x.scalar_type(), src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    launch_for(op, dot_edges<scalar_t, index_t>, edges * heads * lanes, x, data<scalar_t>(x), data<scalar_t>(y),
               data<index_t>(src), data<index_t>(dst), data<scalar_t>(out), edges, heads, channels, x.size(0),
               y.size(0), lanes);
  });
  return out;
}

GEOOPS_CUDA_OPS(m) { m.impl("edge_dot", TORCH_BOX(&edge_dot_cuda)); }

}  // namespace
}  // namespace geoops
