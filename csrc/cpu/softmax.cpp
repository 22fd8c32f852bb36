// Softmax and logarithm of the sum of exponentials over the entries of each target.
#include "../extremum.h"
#include "../reductions.h"
#include "pack.h"
#include "targets.h"

#include <cmath>

namespace geoops {
namespace {

constexpr int64_t kTogether = 4096;  // exponentials taken at a time, at least one row

// Calls use.operator()<W>(k, c, values) with exp(x[edge] - top[target]) of W channels from c on, for the k-th edge
// listed.
template <typename scalar_t, typename acc_t, typename Use>
GEOOPS_INLINE void for_exponentials(const Listed& some, const scalar_t* x, const acc_t* top, int64_t inner, acc_t* room,
                                    const Use& use) {
  if (inner == 1) {
    for (int64_t k = 0; k < some.count; ++k) room[k] = static_cast<acc_t>(x[some.edge[k]]) - top[some.target[k]];
    exp_all(room, some.count);
    for (int64_t k = 0; k < some.count; ++k) use.template operator()<1>(k, 0, room + k);
    return;
  }
  const int64_t step = std::max<int64_t>(1, kTogether / std::max<int64_t>(1, inner));
  for (int64_t start = 0; start < some.count; start += step) {
    const int64_t stop = std::min(some.count, start + step);
    for (int64_t k = start; k < stop; ++k) {
      if (k + kPrefetch < some.count) {
        prefetch_row(x + some.edge[k + kPrefetch] * inner, inner);
        prefetch_row(top + some.target[k + kPrefetch] * inner, inner);
      }
      const scalar_t* __restrict__ row = x + some.edge[k] * inner;
      const acc_t* __restrict__ most = top + some.target[k] * inner;
      acc_t* __restrict__ to = room + (k - start) * inner;
      for_channels(inner, [&]<int W>(int64_t c) {
        store_as<W>(to + c, load_as<acc_t, W>(row + c) - load_as<acc_t, W>(most + c));
      });
    }
    exp_all(room, (stop - start) * inner);
    for (int64_t k = start; k < stop; ++k)
      for_channels(inner, [&]<int W>(int64_t c) { use.template operator()<W>(k, c, room + (k - start) * inner + c); });
  }
}

template <typename acc_t>
std::vector<acc_t> room_for(int64_t inner) {
  return std::vector<acc_t>(std::max(kTogether, inner) + Lanes<acc_t>::count);
}

template <typename scalar_t, typename acc_t>
GEOOPS_INLINE void raise_top(const Listed& some, const scalar_t* x, acc_t* top, int64_t inner) {
  for (int64_t k = 0; k < some.count; ++k) {
    if (inner > 1 && k + kPrefetch < some.count) {
      prefetch_row(x + some.edge[k + kPrefetch] * inner, inner);
      prefetch_row(top + some.target[k + kPrefetch] * inner, inner);
    }
    const scalar_t* __restrict__ row = x + some.edge[k] * inner;
    acc_t* __restrict__ most = top + some.target[k] * inner;
    for_channels(inner, [&]<int W>(int64_t c) {
      const auto value = load_as<acc_t, W>(row + c), held = load_as<acc_t, W>(most + c);
      store_as<W>(most + c, if_better<true>(value, held, value, held));
    });
  }
}

struct Sizes {
  int64_t outer, edges, n, inner;
};

// Fills `top` with the maximum over the entries of each target, 0 where that is -inf, and `sum` with the sum of the
// exponentials relative to it. Returns whether all indices are in bounds.
template <typename scalar_t, typename acc_t>
bool top_and_sum(const char* op, const scalar_t* x, const Tensor& index, acc_t* top, acc_t* sum, const Sizes& z,
                 bool check) {
  const int64_t entries = z.outer * z.n * z.inner;
  std::fill_n(top, entries, worst<true, acc_t>());
  const bool complete = for_targets(op, "index", index, z.n, z.outer, z.inner, check,
                                    [&](int64_t first, int64_t last, const Listed& some) {
                                      for (int64_t o = first; o < last; ++o)
                                        raise_top(some, x + o * z.edges * z.inner, top + o * z.n * z.inner, z.inner);
                                    });
  for (int64_t i = 0; i < entries; ++i) top[i] = top[i] == worst<true, acc_t>() ? acc_t(0) : top[i];
  for_targets(op, "index", index, z.n, z.outer, 8 * z.inner, false,
              [&](int64_t first, int64_t last, const Listed& some) {
                std::vector<acc_t> room = room_for<acc_t>(z.inner);
                for (int64_t o = first; o < last; ++o) {
                  acc_t* total = sum + o * z.n * z.inner;
                  for_exponentials(some, x + o * z.edges * z.inner, top + o * z.n * z.inner, z.inner, room.data(),
                                   [&]<int W>(int64_t k, int64_t c, const acc_t* __restrict__ row) {
                                     acc_t* __restrict__ to = total + some.target[k] * z.inner + c;
                                     store_as<W>(to, load_as<acc_t, W>(to) + load_as<acc_t, W>(row));
                                   });
                }
              });
  return complete;
}

Tensor scatter_softmax(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_softmax";
  check_scatter(op, x_, index_, n);
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const Sizes z{x.size(0), x.size(1), n, x.size(2)};
  const ScalarType wide = accumulator_type(x.scalar_type());
  Tensor top = torch::stable::new_empty(x, {z.outer, n, z.inner}, wide);
  Tensor sum = torch::stable::new_zeros(x, {z.outer, n, z.inner}, wide);
  Tensor out = in_large_pages(torch::stable::empty_like(x));
  dispatch_floats(op, x.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const auto* px = x.const_data_ptr<scalar_t>();
    auto *pt = top.mutable_data_ptr<acc_t>(), *ps = sum.mutable_data_ptr<acc_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    if (!top_and_sum(op, px, index, pt, ps, z, check)) torch::stable::zero_(out);
    const int64_t targets = z.outer * n * z.inner;
    for (int64_t i = 0; i < targets; ++i) ps[i] = 1 / ps[i];
    for_edges(op, index, n, z.outer, 8 * z.inner, [&](int64_t first, int64_t last, const Listed& some) {
      std::vector<acc_t> room = room_for<acc_t>(z.inner);
      for (int64_t o = first; o < last; ++o) {
        const acc_t* inverse = ps + o * n * z.inner;
        scalar_t* rows = po + o * z.edges * z.inner;
        for_exponentials(some, px + o * z.edges * z.inner, pt + o * n * z.inner, z.inner, room.data(),
                         [&]<int W>(int64_t k, int64_t c, const acc_t* __restrict__ row) {
                           const acc_t* __restrict__ share = inverse + some.target[k] * z.inner + c;
                           scalar_t* __restrict__ to = rows + some.edge[k] * z.inner + c;
                           store_as<W>(to, load_as<acc_t, W>(row) * load_as<acc_t, W>(share));
                         });
      }
    });
  });
  return out;
}

Tensor scatter_logsumexp(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_logsumexp";
  check_scatter(op, x_, index_, n);
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const Sizes z{x.size(0), x.size(1), n, x.size(2)};
  const ScalarType type = x.scalar_type(), wide = accumulator_type(type);
  Tensor top = torch::stable::new_empty(x, {z.outer, n, z.inner}, wide);
  Tensor sum = torch::stable::new_zeros(x, {z.outer, n, z.inner}, wide);
  dispatch_floats(op, type, [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    auto *pt = top.mutable_data_ptr<acc_t>(), *ps = sum.mutable_data_ptr<acc_t>();
    top_and_sum(op, x.const_data_ptr<scalar_t>(), index, pt, ps, z, check);
    for_ranges(z.outer * n * z.inner, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) ps[i] = std::isinf(pt[i]) ? pt[i] : pt[i] + std::log(ps[i]);
    });
  });
  return wide == type ? sum : torch::stable::to(sum, type);
}

// y * (g - sum over the target of y g), the derivative of softmax in both directions.
Tensor softmax_backward(const Tensor& y_, const Tensor& g_, const Tensor& index_, int64_t n) {
  const char* op = "softmax_backward";
  check_scatter(op, y_, index_, n);
  check_layout(op, "g", g_);
  require(g_.scalar_type() == y_.scalar_type() && g_.size(0) == y_.size(0) && g_.size(1) == y_.size(1) &&
              g_.size(2) == y_.size(2),
          op, ": y and g differ in dtype or shape");
  using torch::stable::contiguous;
  const Tensor y = contiguous(y_), g = contiguous(g_), index = contiguous(index_);
  const Sizes z{y.size(0), y.size(1), n, y.size(2)};
  Tensor dot = torch::stable::new_zeros(y, {z.outer, n, z.inner}, accumulator_type(y.scalar_type()));
  Tensor out = in_large_pages(torch::stable::empty_like(y));
  dispatch_floats(op, y.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const auto *py = y.const_data_ptr<scalar_t>(), *pg = g.const_data_ptr<scalar_t>();
    auto* pd = dot.mutable_data_ptr<acc_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    const auto each = [&](int64_t first, int64_t last, const Listed& some, const auto& use) {
      for (int64_t o = first; o < last; ++o) {
        const int64_t base = o * z.edges * z.inner;
        acc_t* sums = pd + o * n * z.inner;
        for (int64_t k = 0; k < some.count; ++k) {
          if (z.inner > 1 && k + kPrefetch < some.count) {
            const int64_t ahead = base + some.edge[k + kPrefetch] * z.inner;
            prefetch_row(py + ahead, z.inner);
            prefetch_row(pg + ahead, z.inner);
            prefetch_row(sums + some.target[k + kPrefetch] * z.inner, z.inner);
          }
          use(base + some.edge[k] * z.inner, sums + some.target[k] * z.inner);
        }
      }
    };
    const bool complete = for_targets(
        op, "index", index, n, z.outer, z.inner, false, [&](int64_t first, int64_t last, const Listed& some) {
          each(first, last, some, [&](int64_t row, acc_t* __restrict__ sum) {
            for_channels(z.inner, [&]<int W>(int64_t c) {
              for (int l = 0; l < W; ++l)
                sum[c + l] += static_cast<acc_t>(py[row + c + l]) * static_cast<acc_t>(pg[row + c + l]);
            });
          });
        });
    if (!complete) torch::stable::zero_(out);
    for_edges(op, index, n, z.outer, z.inner, [&](int64_t first, int64_t last, const Listed& some) {
      each(first, last, some, [&](int64_t row, const acc_t* __restrict__ sum) {
        for (int64_t c = 0; c < z.inner; ++c)
          po[row + c] =
              static_cast<scalar_t>(static_cast<acc_t>(py[row + c]) * (static_cast<acc_t>(pg[row + c]) - sum[c]));
      });
    });
  });
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("scatter_softmax", TORCH_BOX(&scatter_softmax));
  m.impl("scatter_logsumexp", TORCH_BOX(&scatter_logsumexp));
  m.impl("softmax_backward", TORCH_BOX(&softmax_backward));
}

}  // namespace
}  // namespace geoops
