// Attention with a bias computed from positions: one or a few threads per query and head, online softmax over tiles of
// tokens.
#include "../relative_attention.h"
#include "launch.cuh"

namespace geoops {
namespace {

constexpr int kTile = 32;      // tokens in shared memory at a time
constexpr int kWorkers = 128;  // threads of a block
constexpr int kDims = 3;

template <typename scalar_t>
struct Problem {
  const scalar_t *q, *k, *v, *x, *y, *normal, *offset, *bias;
  scalar_t* out;
  int64_t shapes, queries, tokens, heads, channels, dim;
};

// G neighbouring threads share a query, and each keeps C of its channels in registers: G, 2G, ... apart, so that they
// read shared memory side by side.
template <typename scalar_t, int C, int G>
__global__ void __launch_bounds__(kWorkers, 3) attend_tiles(Problem<scalar_t> p) {
  constexpr int kQueries = kWorkers / G, kChannels = C * G;
  __shared__ scalar_t keys[kTile][kChannels], values[kTile][kChannels], y[kTile][kDims], normal[kTile][kDims],
      offset[kTile];
  const int channels = static_cast<int>(p.channels), dim = static_cast<int>(p.dim);
  const scalar_t scale = rsqrt(static_cast<scalar_t>(channels));
  const int64_t blocks = (p.queries + kQueries - 1) / kQueries;
  for (int64_t job = blockIdx.x; job < blocks * p.shapes * p.heads; job += gridDim.x) {
    const int64_t head = job % p.heads, shape = job / p.heads % p.shapes, block = job / p.heads / p.shapes;
    const int64_t query = block * kQueries + threadIdx.x / G;
    const int part = threadIdx.x % G;
    const bool mine = query < p.queries;
    const int64_t row = ((shape * p.queries + query) * p.heads + head) * channels;
    scalar_t q[C], sum[C], x[kDims], b[kPairFeatures];
    for (int c = 0; c < C; ++c) {
      const int channel = c * G + part;
      q[c] = mine && channel < channels ? p.q[row + channel] * scale : scalar_t(0);
      sum[c] = 0;
    }
    for (int d = 0; d < kDims; ++d) x[d] = mine && d < dim ? p.x[(shape * p.queries + query) * dim + d] : scalar_t(0);
    for (int f = 0; f < kPairFeatures; ++f) b[f] = p.bias[head * kPairFeatures + f];
    scalar_t most = -1e30, total = 0;
    for (int64_t start = 0; start < p.tokens; start += kTile) {
      const int count = static_cast<int>(min(static_cast<int64_t>(kTile), p.tokens - start));
      __syncthreads();  // until all threads have read the tile before
      for (int i = threadIdx.x; i < count * kChannels; i += kWorkers) {
        const int t = i / kChannels, c = i % kChannels;
        const int64_t from = ((shape * p.heads + head) * p.tokens + start + t) * channels + c;
        keys[t][c] = c < channels ? p.k[from] : scalar_t(0);
        values[t][c] = c < channels ? p.v[from] : scalar_t(0);
      }
      for (int t = threadIdx.x; t < count; t += kWorkers) {
        const int64_t token = shape * p.tokens + start + t;
        offset[t] = p.offset[token];
        for (int d = 0; d < kDims; ++d) {
          y[t][d] = d < dim ? p.y[token * dim + d] : scalar_t(0);
          normal[t][d] = d < dim ? p.normal[token * dim + d] : scalar_t(0);
        }
      }
      __syncthreads();
      for (int t = 0; t < count; ++t) {
        scalar_t square = 0, along = 0, logit = 0;
        for (int d = 0; d < kDims; ++d) {
          const scalar_t away = x[d] - y[t][d];
          square += away * away;
          along += away * normal[t][d];
        }
        const scalar_t cosine = along * rsqrt(square + scalar_t(kCosineFloor));
        for (int c = 0; c < C; ++c) logit += q[c] * keys[t][c * G + part];
        for (int by = 1; by < G; by *= 2) logit += __shfl_xor_sync(0xffffffffu, logit, by);
        logit += offset[t] + b[0] * square + b[1] * log(square + scalar_t(kNearFloor)) +
                 b[2] * log(square + scalar_t(kFarFloor)) + b[3] * cosine + b[4] * cosine * cosine;
        const scalar_t top = max(most, logit), shrink = exp(most - top), weight = exp(logit - top);
        total = total * shrink + weight;
        for (int c = 0; c < C; ++c) sum[c] = sum[c] * shrink + weight * values[t][c * G + part];
        most = top;
      }
    }
    for (int c = 0; c < C; ++c)  // no bound that the compiler does not know: sum would leave the registers
      if (mine && c * G + part < channels) p.out[row + c * G + part] = sum[c] / total;
  }
}

template <typename scalar_t, int C, int G>
void attend_with(const Problem<scalar_t>& p, const Tensor& near) {
  constexpr int queries = kWorkers / G;
  const int64_t jobs = (p.queries + queries - 1) / queries * p.shapes * p.heads;
  const unsigned blocks = static_cast<unsigned>(std::min<int64_t>(jobs, 1 << 20));
  launch("relative_attention", attend_tiles<scalar_t, C, G>, blocks, kWorkers, near, p);
}

template <typename scalar_t>
void attend(const Problem<scalar_t>& p, const Tensor& near) {
  constexpr int most = 128 / sizeof(scalar_t);  // channels of a thread
  if (p.channels <= 16) return attend_with<scalar_t, 16, 1>(p, near);
  if (p.channels <= 32) return attend_with<scalar_t, most, 32 / most>(p, near);
  attend_with<scalar_t, most, 64 / most>(p, near);
}

Tensor relative_attention_cuda(const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& x_, const Tensor& y_,
                               const Tensor& normal_, const Tensor& offset_, const Tensor& bias_) {
  check_relative_attention(q_, k_, v_, x_, y_, normal_, offset_, bias_);
  require_same_device("relative_attention", q_, {&k_, &v_, &x_, &y_, &normal_, &offset_, &bias_});
  require(q_.size(3) <= 64 && x_.size(2) <= kDims,
          "relative_attention: on CUDA there may be up to 64 channels per head and 3 dimensions, got ", q_.size(3),
          " and ", x_.size(2));
  const DeviceGuard guard(q_.get_device_index());
  using torch::stable::contiguous;
  const Tensor q = contiguous(q_), k = contiguous(k_), v = contiguous(v_), x = contiguous(x_), y = contiguous(y_);
  const Tensor normal = contiguous(normal_), offset = contiguous(offset_), bias = contiguous(bias_);
  Tensor out = torch::stable::new_empty(q, {q.size(0), q.size(1), q.size(2), q.size(3)});
  if (out.numel() == 0) return out;
  const auto with = [&]<typename scalar_t>() {
    attend<scalar_t>(
        {q.const_data_ptr<scalar_t>(), k.const_data_ptr<scalar_t>(), v.const_data_ptr<scalar_t>(),
         x.const_data_ptr<scalar_t>(), y.const_data_ptr<scalar_t>(), normal.const_data_ptr<scalar_t>(),
         offset.const_data_ptr<scalar_t>(), bias.const_data_ptr<scalar_t>(), out.mutable_data_ptr<scalar_t>(),
         q.size(0), q.size(1), k.size(2), q.size(2), q.size(3), x.size(2)},
        q);
  };
  q.scalar_type() == ScalarType::Float ? with.template operator()<float>() : with.template operator()<double>();
  return out;
}

GEOOPS_CUDA_OPS(m) { m.impl("relative_attention", TORCH_BOX(&relative_attention_cuda)); }

}  // namespace
}  // namespace geoops
