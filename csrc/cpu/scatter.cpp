// out[o, i, :] = sum or product of x[o, e, :] over the entries e with index[e] = i.
#include "../reductions.h"
#include "targets.h"

namespace geoops {
namespace {

template <typename Reduce, typename scalar_t, typename acc_t>
void add_rows(const Listed& some, const scalar_t* x, acc_t* out, int64_t inner) {
  if (inner == 1) {
    for (int64_t k = 0; k < some.count; ++k) {
      acc_t& sum = out[some.target[k]];
      sum = Reduce::of(sum, static_cast<acc_t>(x[some.edge[k]]));
    }
    return;
  }
  for (int64_t k = 0; k < some.count; ++k) {
    if (k + kPrefetch < some.count) {
      prefetch_row(x + some.edge[k + kPrefetch] * inner, inner);
      prefetch_row(out + some.target[k + kPrefetch] * inner, inner);
    }
    const scalar_t* __restrict__ row = x + some.edge[k] * inner;
    acc_t* __restrict__ sum = out + some.target[k] * inner;
    for_channels(inner, [&]<int W>(int64_t c) {
      for (int l = 0; l < W; ++l) sum[c + l] = Reduce::of(sum[c + l], static_cast<acc_t>(row[c + l]));
    });
  }
}

template <typename Reduce>
Tensor scatter(const char* op, const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  check_scatter(op, x_, index_, n);
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const int64_t outer = x.size(0), edges = x.size(1), inner = x.size(2);
  const ScalarType type = x.scalar_type(), wide = accumulator_type(type);
  Tensor out = torch::stable::new_empty(x, {outer, n, inner}, wide);
  torch::stable::fill_(out, Reduce::start);
  dispatch_numbers(op, type, [&]<typename scalar_t>() {
    const auto* px = x.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<accumulator_t<scalar_t>>();
    for_targets(op, "index", index, n, outer, inner, check, [&](int64_t first, int64_t last, const Listed& some) {
      for (int64_t o = first; o < last; ++o) add_rows<Reduce>(some, px + o * edges * inner, po + o * n * inner, inner);
    });
  });
  return wide == type ? out : torch::stable::to(out, type);
}

Tensor scatter_sum(const Tensor& x, const Tensor& index, int64_t n, bool check) {
  return scatter<Sum>("scatter_sum", x, index, n, check);
}

Tensor scatter_mul(const Tensor& x, const Tensor& index, int64_t n, bool check) {
  return scatter<Product>("scatter_mul", x, index, n, check);
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("scatter_sum", TORCH_BOX(&scatter_sum));
  m.impl("scatter_mul", TORCH_BOX(&scatter_mul));
}

}  // namespace
}  // namespace geoops
