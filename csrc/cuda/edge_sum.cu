// out[i] = sum of w[e] x[src[e]] over the edges e with dst[e] = i; atomic, so the order of addition varies between
// runs.
#include "launch.cuh"

#include <cassert>

namespace geoops {
namespace {

// One thread per edge and channel. An index out of bounds ends in a device-side assertion, as with torch's own
// indexing: an exception would need a wait for the device.
template <typename scalar_t, typename acc_t, typename index_t>
__global__ void accumulate(const scalar_t* __restrict__ x, const scalar_t* __restrict__ w,
                           const index_t* __restrict__ src, const index_t* __restrict__ dst, acc_t* __restrict__ out,
                           int64_t edges, int64_t channels, int64_t sources, int64_t targets) {
  for (int64_t i = first_thread(); i < edges * channels; i += all_threads()) {
    const int64_t e = i / channels, c = i % channels;
    assert(0 <= src[e] && src[e] < sources && 0 <= dst[e] && dst[e] < targets);
    atomicAdd(out + dst[e] * channels + c, static_cast<acc_t>(w[e]) * static_cast<acc_t>(x[src[e] * channels + c]));
  }
}

Tensor edge_sum_cuda(const Tensor& x_, const Tensor& w_, const Tensor& src_, const Tensor& dst_, int64_t n) {
  check_edge_sum(x_, w_, src_, dst_, n);
  for (const Tensor* other : {&w_, &src_, &dst_}) require_same_device("edge_sum", x_, *other);
  const torch::stable::accelerator::DeviceGuard guard(x_.get_device_index());
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), w = contiguous(w_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), channels = x.size(1);
  const ScalarType type = x.scalar_type();
  Tensor out = torch::stable::new_zeros(x, {n, channels}, accumulator_type(type));
  dispatch("edge_sum", type, src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    if (edges * channels == 0) return;
    accumulate<<<blocks_for(edges * channels), kThreads, 0, current_stream(x)>>>(
        x.const_data_ptr<scalar_t>(), w.const_data_ptr<scalar_t>(), src.const_data_ptr<index_t>(),
        dst.const_data_ptr<index_t>(), out.mutable_data_ptr<accumulator_t<scalar_t>>(), edges, channels, x.size(0), n);
    check_launch("edge_sum");
  });
  return type == out.scalar_type() ? out : torch::stable::to(out, type);
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CUDA, m) { m.impl("edge_sum", TORCH_BOX(&edge_sum_cuda)); }

}  // namespace
}  // namespace geoops
