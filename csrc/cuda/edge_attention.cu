// out[i, h] = sum of softmax(logits)[e, h] v[src[e], h] over the edges e with dst[e] = i; the weights are never stored.
#include "rows.cuh"

#include <tuple>

namespace geoops {
namespace {

template <typename index_t>
struct Edges {
  const index_t *src, *dst;
  int64_t edges, heads, channels, sources, targets;

  __device__ bool holds(int64_t e) const { return inside(src[e], sources) && inside(dst[e], targets); }
};

template <typename scalar_t, typename acc_t, typename index_t>
__global__ void raise_tops(Edges<index_t> z, const scalar_t* __restrict__ logits, key_t<acc_t>* __restrict__ top) {
  for (int64_t i = first_thread(); i < z.edges * z.heads; i += all_threads()) {
    const int64_t e = i / z.heads, h = i % z.heads;
    if (z.holds(e)) atomicMax(top + z.dst[e] * z.heads + h, key_of(static_cast<acc_t>(logits[i]), true));
  }
}

template <typename scalar_t, typename acc_t, typename index_t>
__global__ void add_values(Edges<index_t> z, const scalar_t* __restrict__ logits, const scalar_t* __restrict__ v,
                           const key_t<acc_t>* __restrict__ top, acc_t* __restrict__ total, acc_t* __restrict__ out,
                           int lanes) {
  const int64_t lane = threadIdx.x % lanes;
  for (int64_t i = first_thread() / lanes; i < z.edges * z.heads; i += all_threads() / lanes) {
    const int64_t e = i / z.heads, h = i % z.heads;
    if (!z.holds(e)) continue;
    const int64_t to = z.dst[e] * z.heads + h, from = z.src[e] * z.heads + h;
    const acc_t weight = exp(static_cast<acc_t>(logits[i]) - shift_of<acc_t>(top[to]));
    if (lane == 0) add(total + to, weight);
    for (int64_t c = lane; c < z.channels; c += lanes)
      add(out + to * z.channels + c, weight * static_cast<acc_t>(v[from * z.channels + c]));
  }
}

template <typename acc_t>
__global__ void normalise(const key_t<acc_t>* __restrict__ top, const acc_t* __restrict__ total,
                          acc_t* __restrict__ out, acc_t* __restrict__ logsumexp, int64_t rows, int64_t channels,
                          int lanes) {
  const int64_t lane = threadIdx.x % lanes;
  for (int64_t i = first_thread() / lanes; i < rows; i += all_threads() / lanes) {
    const acc_t sum = total[i], inverse = sum == 0 ? acc_t(0) : 1 / sum;
    for (int64_t c = lane; c < channels; c += lanes) out[i * channels + c] *= inverse;
    if (lane == 0) logsumexp[i] = shift_of<acc_t>(top[i]) + log(sum);
  }
}

std::tuple<Tensor, Tensor> edge_attention_cuda(const Tensor& logits_, const Tensor& v_, const Tensor& src_,
                                               const Tensor& dst_, int64_t n, bool check) {
  const char* op = "edge_attention";
  check_edge_sum(op, v_, logits_, src_, dst_, n);
  require_same_device(op, v_, {&logits_, &src_, &dst_});
  const DeviceGuard guard(v_.get_device_index());
  using torch::stable::contiguous;
  const Tensor logits = contiguous(logits_), v = contiguous(v_), src = contiguous(src_), dst = contiguous(dst_);
  const int64_t edges = src.numel(), heads = v.size(1), channels = v.size(2);
  const ScalarType type = v.scalar_type(), wide = accumulator_type(type);
  if (check) check_bounds(op, {{"src", src, v.size(0)}, {"dst", dst, n}});
  Tensor out = torch::stable::new_zeros(v, {n, heads, channels}, wide);
  Tensor logsumexp = torch::stable::new_empty(v, {n, heads}, wide);
  const Tensor total = torch::stable::new_zeros(v, {n, heads}, wide);
  const int lanes = lanes_for(channels);
  dispatch(op, type, src.scalar_type(), [&]<typename scalar_t, typename index_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const Tensor top = torch::stable::new_zeros(v, {n, heads}, key_type<acc_t>);
    const Edges<index_t> z{data<index_t>(src), data<index_t>(dst), edges, heads, channels, v.size(0), n};
    launch_for(op, raise_tops<scalar_t, acc_t, index_t>, edges * heads, v, z, data<scalar_t>(logits),
               data<key_t<acc_t>>(top));
    launch_for(op, add_values<scalar_t, acc_t, index_t>, edges * heads * lanes, v, z, data<scalar_t>(logits),
               data<scalar_t>(v), data<key_t<acc_t>>(top), data<acc_t>(total), data<acc_t>(out), lanes);
    launch_for(op, normalise<acc_t>, n * heads * lanes, v, data<key_t<acc_t>>(top), data<acc_t>(total),
               data<acc_t>(out), data<acc_t>(logsumexp), n * heads, channels, lanes);
  });
  if (type == wide) return {out, logsumexp};
  return {torch::stable::to(out, type), torch::stable::to(logsumexp, type)};
}

GEOOPS_CUDA_OPS(m) { m.impl("edge_attention", TORCH_BOX(&edge_attention_cuda)); }

}  // namespace
}  // namespace geoops
