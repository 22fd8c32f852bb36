// Attention with a bias computed from positions: features of the pairs, softmax and weighted sum in one pass.
#include "../relative_attention.h"
#include "lanes.h"
#include "parallel.h"

#include <algorithm>
#include <vector>

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

constexpr int64_t kQueries = 16;  // queries of a block, whose pair features stay in the second-level cache
constexpr int64_t kTogether = 4;  // of which so many share each load of a key or value

// Tokens of one shape, padded to whole vectors: y, normal (dim, tokens), offset (tokens), keys (heads, channels,
// tokens), values (heads, tokens, channels).
template <typename scalar_t>
struct Tokens {
  int64_t padded, channels;  // tokens and channels, rounded up
  std::vector<scalar_t> y, normal, offset, keys, values;
};

template <typename scalar_t>
struct Problem {
  const scalar_t *q, *k, *v, *x, *y, *normal, *offset, *bias;
  scalar_t* out;
  int64_t queries, tokens, heads, channels, dim;
};

constexpr int64_t rounded(int64_t count, int64_t to) { return (count + to - 1) / to * to; }

template <typename scalar_t>
Tokens<scalar_t> prepare(const Problem<scalar_t>& p, int64_t shape) {
  constexpr int64_t W = Lanes<scalar_t>::count;
  const int64_t T = p.tokens, C = p.channels, D = p.dim;
  Tokens<scalar_t> t{rounded(T, W), rounded(C, W), {}, {}, {}, {}, {}};
  t.y.assign(D * t.padded, 0);
  t.normal.assign(D * t.padded, 0);
  t.offset.assign(t.padded, scalar_t(-1e30));
  t.keys.assign(p.heads * C * t.padded, 0);
  t.values.assign(p.heads * t.padded * t.channels, 0);
  for (int64_t j = 0; j < T; ++j) {
    t.offset[j] = p.offset[shape * T + j];
    for (int64_t d = 0; d < D; ++d) {
      t.y[d * t.padded + j] = p.y[(shape * T + j) * D + d];
      t.normal[d * t.padded + j] = p.normal[(shape * T + j) * D + d];
    }
    for (int64_t h = 0; h < p.heads; ++h)
      for (int64_t c = 0; c < C; ++c) {
        const int64_t from = ((shape * p.heads + h) * T + j) * C + c;
        t.keys[(h * C + c) * t.padded + j] = p.k[from];
        t.values[(h * t.padded + j) * t.channels + c] = p.v[from];
      }
  }
  return t;
}

// Features of `count` queries with all tokens, (queries, features, tokens).
template <typename scalar_t>
GEOOPS_INLINE void pair_features(const Problem<scalar_t>& p, const Tokens<scalar_t>& t, int64_t first, int64_t count,
                                 scalar_t* features) {
  constexpr int64_t W = Lanes<scalar_t>::count;
  for (int64_t i = 0; i < count; ++i) {
    const scalar_t* x = p.x + (first + i) * p.dim;
    scalar_t* f = features + i * kPairFeatures * t.padded;
    for (int64_t j = 0; j < t.padded; j += W) {
      lanes_t<scalar_t> square{}, along{};
      for (int64_t d = 0; d < p.dim; ++d) {
        const lanes_t<scalar_t> away = x[d] - load(t.y.data() + d * t.padded + j);
        square += away * away;
        along += away * load(t.normal.data() + d * t.padded + j);
      }
      const lanes_t<scalar_t> cosine = along * rsqrt_of(square + scalar_t(kCosineFloor));
      store(f + j, square);
      store(f + t.padded + j, log_of(square + scalar_t(kNearFloor)));
      store(f + 2 * t.padded + j, log_of(square + scalar_t(kFarFloor)));
      store(f + 3 * t.padded + j, cosine);
      store(f + 4 * t.padded + j, lanes_t<scalar_t>(cosine * cosine));
    }
  }
}

// Softmax and weighted sum of N queries for one head; `logits` has room for N rows of tokens.
template <typename scalar_t, int64_t N>
GEOOPS_INLINE void attend(const Problem<scalar_t>& p, const Tokens<scalar_t>& t, int64_t head, int64_t query,
                          const scalar_t* features, scalar_t* logits) {
  constexpr int64_t W = Lanes<scalar_t>::count;
  using vec = lanes_t<scalar_t>;
  const int64_t C = p.channels, T = t.padded;
  const scalar_t scale = 1 / std::sqrt(scalar_t(C));
  const scalar_t* b = p.bias + head * kPairFeatures;
  const scalar_t* keys = t.keys.data() + head * C * T;
  const scalar_t* q[N];
  for (int64_t i = 0; i < N; ++i) q[i] = p.q + ((query + i) * p.heads + head) * C;
  vec most[N];
  for (int64_t i = 0; i < N; ++i) most[i] = all(scalar_t(-1e30));
  for (int64_t j = 0; j < T; j += W) {
    vec sum[N]{};
    for (int64_t c = 0; c < C; ++c) {
      const vec key = load(keys + c * T + j);
      for (int64_t i = 0; i < N; ++i) sum[i] += q[i][c] * key;
    }
    const vec offset = load(t.offset.data() + j);
    for (int64_t i = 0; i < N; ++i) {
      const scalar_t* f = features + i * kPairFeatures * T + j;
      vec logit = sum[i] * scale + offset;
      for (int64_t g = 0; g < kPairFeatures; ++g) logit += b[g] * load(f + g * T);
      most[i] = logit > most[i] ? logit : most[i];
      store(logits + i * T + j, logit);
    }
  }
  scalar_t inverse[N];
  for (int64_t i = 0; i < N; ++i) {
    scalar_t top = most[i][0];
    for (int64_t l = 1; l < W; ++l) top = std::max(top, most[i][l]);
    vec total{};
    for (int64_t j = 0; j < T; j += W) {
      const vec weight = exp_of(vec(load(logits + i * T + j) - top));
      total += weight;
      store(logits + i * T + j, weight);
    }
    scalar_t sum = 0;
    for (int64_t l = 0; l < W; ++l) sum += total[l];
    inverse[i] = 1 / sum;
  }
  const scalar_t* values = t.values.data() + head * T * t.channels;
  for (int64_t c = 0; c < C; c += W) {
    vec even[N]{}, odd[N]{};  // two chains of additions hide half of their latency
    for (int64_t j = 0; j < T; j += 2) {
      const vec first = load(values + j * t.channels + c), second = load(values + (j + 1) * t.channels + c);
      for (int64_t i = 0; i < N; ++i) {
        even[i] += logits[i * T + j] * first;
        odd[i] += logits[i * T + j + 1] * second;
      }
    }
    for (int64_t i = 0; i < N; ++i) {
      const vec sum = (even[i] + odd[i]) * inverse[i];
      std::memcpy(p.out + ((query + i) * p.heads + head) * C + c, &sum, std::min(W, C - c) * sizeof(scalar_t));
    }
  }
}

template <typename scalar_t>
GEOOPS_INLINE void run(const Problem<scalar_t>& p, const Tokens<scalar_t>& t, int64_t begin, int64_t end,
                       scalar_t* scratch) {
  scalar_t* logits = scratch + kQueries * kPairFeatures * t.padded;
  for (int64_t first = begin; first < end; first += kQueries) {
    const int64_t count = std::min(kQueries, end - first);
    pair_features(p, t, first, count, scratch);
    for (int64_t head = 0; head < p.heads; ++head) {
      int64_t i = 0;
      for (; i + kTogether <= count; i += kTogether)
        attend<scalar_t, kTogether>(p, t, head, first + i, scratch + i * kPairFeatures * t.padded, logits);
      for (; i < count; ++i) attend<scalar_t, 1>(p, t, head, first + i, scratch + i * kPairFeatures * t.padded, logits);
    }
  }
}

template <typename scalar_t>
void relative_attention(Problem<scalar_t> p, int64_t shapes) {
  for (int64_t shape = 0; shape < shapes; ++shape) {
    const Tokens<scalar_t> t = prepare(p, shape);
    const int64_t cost = p.heads * t.padded * (2 * p.channels + 32);
    for_ranges(p.queries, cost, [&](int64_t begin, int64_t end) {
      std::vector<scalar_t> scratch((kQueries * kPairFeatures + kTogether) * t.padded);
      const int64_t base = shape * p.queries;
      run(p, t, base + begin, base + end, scratch.data());
    });
  }
}

Tensor relative_attention_cpu(const Tensor& q_, const Tensor& k_, const Tensor& v_, const Tensor& x_, const Tensor& y_,
                              const Tensor& normal_, const Tensor& offset_, const Tensor& bias_) {
  check_relative_attention(q_, k_, v_, x_, y_, normal_, offset_, bias_);
  using torch::stable::contiguous;
  const Tensor q = contiguous(q_), k = contiguous(k_), v = contiguous(v_), x = contiguous(x_), y = contiguous(y_);
  const Tensor normal = contiguous(normal_), offset = contiguous(offset_), bias = contiguous(bias_);
  Tensor out = torch::stable::new_empty(q, {q.size(0), q.size(1), q.size(2), q.size(3)});
  const auto with = [&]<typename scalar_t>() {
    relative_attention<scalar_t>(
        {q.const_data_ptr<scalar_t>(), k.const_data_ptr<scalar_t>(), v.const_data_ptr<scalar_t>(),
         x.const_data_ptr<scalar_t>(), y.const_data_ptr<scalar_t>(), normal.const_data_ptr<scalar_t>(),
         offset.const_data_ptr<scalar_t>(), bias.const_data_ptr<scalar_t>(), out.mutable_data_ptr<scalar_t>(),
         q.size(1), k.size(2), q.size(2), q.size(3), x.size(2)},
        q.size(0));
  };
  if (out.numel() == 0) return out;
  q.scalar_type() == ScalarType::Float ? with.template operator()<float>() : with.template operator()<double>();
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("relative_attention", TORCH_BOX(&relative_attention_cpu)); }

}  // namespace
}  // namespace geoops
