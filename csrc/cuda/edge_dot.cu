// out[e] = inner product of x[src[e]] and y[dst[e]].
#include "launch.cuh"

#include <cassert>

namespace geoops {
namespace {

// A power of two of neighbouring threads, at most a warp, shares an edge and reads its rows side by side.
template <typename scalar_t, typename index_t>
__global__ void dot(const scalar_t* __restrict__ x, const scalar_t* __restrict__ y, const index_t* __restrict__ src,
                    const index_t* __restrict__ dst, scalar_t* __restrict__ out, int64_t edges, int64_t channels,
                    int64_t sources, int64_t targets, int lanes) {
  using acc_t = accumulator_t<scalar_t>;
  const int64_t lane = threadIdx.x % lanes, step = all_threads() / lanes;
  // All threads of a warp take the same number of turns: the shuffle below names the whole warp.
  const int64_t turns = (edges + step - 1) / step;
  int64_t e = first_thread() / lanes;
  for (int64_t turn = 0; turn < turns; ++turn, e += step) {
    acc_t sum = 0;
    if (e < edges) {
      assert(0 <= src[e] && src[e] < sources && 0 <= dst[e] && dst[e] < targets);
      const scalar_t *a = x + src[e] * channels, *b = y + dst[e] * channels;
      for (int64_t c = lane; c < channels; c += lanes) sum += static_cast<acc_t>(a[c]) * static_cast<acc_t>(b[c]);
    }
    for (int offset = lanes / 2; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset, lanes);
    if (e < edges && lane == 0) out[e] = static_cast<scalar_t>(sum);
  }
}

Tensor edge_dot_cuda(const Tensor& x_, const Tensor& y_, const Tensor& src_, const Tensor& dst_) {
  check_edge_dot(x_, y_, src_, dst_);
  for (const Tensor* other : {&y_, &src_, &dst_}) require_same_device("edge_dot", x_, *other);
  const torch::stable::accelerator::DeviceGuard guard(x_.get_device_index());
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), y = contiguous(y_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), channels = x.size(1);
  Tensor out = torch::stable::new_empty(x, {edges});
  int lanes = 1;
  while (lanes < 32 && lanes < channels) lanes *= 2;
  dispatch("edge_dot", x.scalar_type(), src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    if (edges == 0) return;
    dot<<<blocks_for(edges * lanes), kThreads, 0, current_stream(x)>>>(
        x.const_data_ptr<scalar_t>(), y.const_data_ptr<scalar_t>(), src.const_data_ptr<index_t>(),
        dst.const_data_ptr<index_t>(), out.mutable_data_ptr<scalar_t>(), edges, channels, x.size(0), y.size(0), lanes);
    check_launch("edge_dot");
  });
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CUDA, m) { m.impl("edge_dot", TORCH_BOX(&edge_dot_cuda)); }

}  // namespace
}  // namespace geoops
