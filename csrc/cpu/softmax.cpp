// Softmax and logarithm of the sum of exponentials over the entries of each target.
#include "../extremum.h"
#include "order.h"
#include "sums.h"

#include <cmath>

namespace geoops {
namespace {

// -inf stands for "no entry", and for targets that have no others; exp(-inf - 0) is then 0.
template <typename acc_t>
acc_t shift_of(acc_t top) {
  return top == worst<true, acc_t>() ? acc_t(0) : top;
}

// The larger of two values. NaN matters to the logarithm, whose other values do not show it where the largest is
// infinite; in a softmax exp(NaN) shows it.
template <bool nan, typename T>
GEOOPS_INLINE T larger(const T& held, const T& value) {
  if constexpr (nan) return if_better<true>(value, held, value, held);
  return value > held ? value : held;
}

// A few targets at a time, whose rows are copied side by side, so that exponentials are taken of whole vectors.
template <bool nan, typename acc_t>
struct Together {
  static constexpr int64_t kRoom = 4096;  // values; a target may have more

  std::vector<acc_t> values, top, sum;

  // Calls use(i, entry, count, powers, top, sum) for each target in [begin, end) with its entries, their exp(x - top)
  // row by row, and what belongs to the target.
  template <typename scalar_t, typename Use>
  void each(const Order& order, const scalar_t* x, int64_t inner, int64_t begin, int64_t end, const Use& use) {
    const int64_t *ptr = order.ptr.get(), *entry = order.entry.get();
    for (int64_t start = begin, stop; start < end; start = stop) {
      for (stop = start + 1; stop < end && (ptr[stop + 1] - ptr[start]) * inner <= kRoom; ++stop) continue;
      const int64_t first = ptr[start], count = (ptr[stop] - first) * inner;
      if (static_cast<int64_t>(values.size()) < count + Lanes<acc_t>::count) values.resize(count + Lanes<acc_t>::count);
      top.assign((stop - start) * inner, worst<true, acc_t>());
      sum.assign((stop - start) * inner, acc_t(0));
      const auto rows = [&](int64_t i, const auto& body) {
        for (int64_t k = ptr[i]; k < ptr[i + 1]; ++k) body(k, values.data() + (k - first) * inner);
      };
      for (int64_t i = start; i < stop; ++i) {
        acc_t* __restrict__ most = top.data() + (i - start) * inner;
        rows(i, [&](int64_t k, acc_t* __restrict__ to) {
          if (k + Order::kAhead < ptr[end]) prefetch_row(x + entry[k + Order::kAhead] * inner, inner);
          const scalar_t* __restrict__ from = x + entry[k] * inner;
          for_channels<kRegister / sizeof(acc_t)>(inner, [&]<int W>(int64_t c) {
            const auto value = load_as<acc_t, W>(from + c), held = load_as<acc_t, W>(most + c);
            store_as<W>(to + c, value);
            store_as<W>(most + c, larger<nan>(held, value));
          });
        });
        for (int64_t c = 0; c < inner; ++c) most[c] = shift_of(most[c]);
        rows(i, [&](int64_t, acc_t* __restrict__ to) {
          for_channels(inner, [&]<int W>(int64_t c) {
            store_as<W>(to + c, load_as<acc_t, W>(to + c) - load_as<acc_t, W>(most + c));
          });
        });
      }
      exp_all(values.data(), count);
      for (int64_t i = start; i < stop; ++i) {
        acc_t* __restrict__ total = sum.data() + (i - start) * inner;
        rows(i, [&](int64_t, const acc_t* __restrict__ power) {
          for_channels(inner, [&]<int W>(int64_t c) {
            store_as<W>(total + c, load_as<acc_t, W>(total + c) + load_as<acc_t, W>(power + c));
          });
        });
        use(i, entry + ptr[i], ptr[i + 1] - ptr[i], values.data() + (ptr[i] - first) * inner,
            top.data() + (i - start) * inner, total);
      }
    }
  }
};

// Multiplies entry e of every row by what its target has; entries out of bounds get 0.
template <typename scalar_t, typename acc_t, typename Use>
void for_rows(const char* op, const Tensor& index, const Sizes& z, const acc_t* of_targets, scalar_t* out,
              const Use& use) {
  dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
    const auto* p = index.const_data_ptr<index_t>();
    const auto bound = static_cast<uint64_t>(z.n);
    const int64_t ahead = rows_ahead<acc_t>(z.inner);
    for_ranges(z.edges, z.outer * z.inner * 2, [&](int64_t begin, int64_t end) {
      for (int64_t o = 0; o < z.outer; ++o) {
        const acc_t* targets = of_targets + o * z.n * z.inner;
        const int64_t base = o * z.edges;
        if (z.inner == 1) {
          for (int64_t e = begin; e < end; ++e) {
            const uint64_t i = place_of(p[e]);
            out[base + e] = i < bound ? static_cast<scalar_t>(use.template operator()<1>(base + e, targets[i]))
                                      : static_cast<scalar_t>(0);
          }
          continue;
        }
        with_width(z.inner, [&]<int width>() {
          const int64_t inner = width > 0 ? width : z.inner;
          for (int64_t e = begin; e < end; ++e) {
            if (e + ahead < end && place_of(p[e + ahead]) < bound) prefetch_row(targets + p[e + ahead] * inner, inner);
            const uint64_t i = place_of(p[e]);
            scalar_t* to = out + (base + e) * inner;
            if (i < bound)
              for_channels(inner, [&]<int W>(int64_t c) {
                const auto held = load_as<acc_t, W>(targets + i * inner + c);
                store_as<W>(to + c, use.template operator()<W>((base + e) * inner + c, held));
              });
            else
              std::fill_n(to, inner, static_cast<scalar_t>(0));
          }
        });
      }
    });
  });
}

// Least and largest of the values, without -inf, whose exponential is 0 however it is shifted, and NaN.
template <typename acc_t, typename scalar_t>
std::pair<acc_t, acc_t> range_of(const scalar_t* x, int64_t count) {
  constexpr int64_t kBlock = 4096;
  const int64_t blocks = (count + kBlock - 1) / kBlock;
  constexpr acc_t kMost = worst<false, acc_t>(), kLeast = worst<true, acc_t>();
  Room<acc_t> low(blocks), high(blocks);
  for_ranges(blocks, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      acc_t least[16], most[16];
      std::fill_n(least, 16, kMost), std::fill_n(most, 16, kLeast);
      const int64_t stop = std::min(count, (b + 1) * kBlock);
      const auto see = [&](int64_t i, int l) {
        const auto value = static_cast<acc_t>(x[i]);
        least[l] = value > kLeast && value < least[l] ? value : least[l];
        most[l] = value > most[l] ? value : most[l];
      };
      int64_t i = b * kBlock;
      for (; i + 16 <= stop; i += 16)
        for (int l = 0; l < 16; ++l) see(i + l, l);
      for (; i < stop; ++i) see(i, 0);
      low[b] = *std::min_element(least, least + 16), high[b] = *std::max_element(most, most + 16);
    }
  });
  return {*std::min_element(low.get(), low.get() + blocks), *std::max_element(high.get(), high.get() + blocks)};
}

// exp(x - shift), taken shortly before they are added up. `close` becomes false where a difference is larger than
// the limit, other than -inf and NaN.
template <typename scalar_t, typename acc_t>
struct Powers {
  const scalar_t* x;
  acc_t* y;
  int64_t inner;
  acc_t shift, limit;
  std::atomic<bool>& close;

  template <int W>
  GEOOPS_INLINE Pack<acc_t, W> at(int64_t offset) const {
    return load_as<acc_t, W>(y + offset);
  }
  GEOOPS_INLINE void prefetch(int64_t) const {}

  void prepare(int64_t begin, int64_t end) const {
    acc_t some[kListed + Lanes<acc_t>::count];
    for (int64_t e = begin; e < end; ++e) some[e - begin] = static_cast<acc_t>(x[e]) - shift;
    exponentials(some, end - begin);
    std::copy_n(some, end - begin, y + begin);
  }

  void exponentials(acc_t* some, int64_t count) const {
    int far = 0;
    for (int64_t i = 0; i < count; ++i)
      far |= (some[i] > limit) | ((some[i] < -limit) & (some[i] > worst<true, acc_t>()));
    if (far != 0) close = false;
    exp_all(some, count);
  }
};

// Where values lie so close together that no exponential overflows or underflows, one shift serves all targets, and
// entries are read in the order in which they lie. Returns false where they do not.
template <typename scalar_t>
bool softmax_shifted(const char* op, const Tensor& x, const Tensor& index, const Tensor& out, const Sizes& z,
                     bool check) {
  using acc_t = accumulator_t<scalar_t>;
  constexpr bool same = std::is_same_v<acc_t, scalar_t>;
  constexpr acc_t kLimit = sizeof(acc_t) == 4 ? 60 : 600;  // so many of them that no sum overflows
  const auto* px = x.const_data_ptr<scalar_t>();
  auto* po = out.mutable_data_ptr<scalar_t>();
  const int64_t count = z.outer * z.edges * z.inner;
  if (count == 0) return false;
  const Room<acc_t> room(same ? 0 : count), sum(z.outer * z.n * z.inner);
  acc_t* powers = room.get();
  if constexpr (same) powers = po;
  const auto add = [&](acc_t shift) {
    std::atomic<bool> close{true};
    const Powers<scalar_t, acc_t> terms{px, powers, z.inner, shift, kLimit, close};
    if (z.inner == 1 && chunks_for(z.outer, z.edges, z.n) > 0) {
      reduce_targets<Sum>(op, index, z, check, sum.get(), terms);
    } else {  // two threads that each took the rows of their own targets would write to the same lines of the cache
      for_ranges((count + kListed - 1) / kListed, 8 * kListed, [&](int64_t begin, int64_t end) {
        for (int64_t b = begin; b < end; ++b) terms.prepare(b * kListed, std::min(count, (b + 1) * kListed));
      });
      if (close) reduce_targets<Sum>(op, index, z, check, sum.get(), Rows<acc_t, acc_t>{powers, z.inner});
    }
    return close.load();
  };
  if (!add(acc_t(0))) {  // most often nothing has to be shifted
    const auto [least, most] = range_of<acc_t>(px, count);
    if (!(most - least < kLimit) || !add(most)) return false;
  }
  for_ranges(z.outer * z.n * z.inner, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum[i] = 1 / sum[i];
  });
  for_rows(op, index, z, sum.get(), po, [&]<int W>(int64_t offset, const Pack<acc_t, W>& share) {
    return load_as<acc_t, W>(powers + offset) * share;
  });
  return true;
}

Tensor scatter_softmax(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_softmax";
  check_scatter(op, x_, index_, n);
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const Sizes z{x.size(0), x.size(1), n, x.size(2)};
  Tensor out = in_large_pages(torch::stable::empty_like(x));
  dispatch_floats(op, x.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    if (z.inner < kOrdered && softmax_shifted<scalar_t>(op, x, index, out, z, check)) return;
    const Order order = order_entries(op, "index", index, n, check);
    if (order.entries() < z.edges) torch::stable::zero_(out);
    const auto* px = x.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    for_ordered(order, z.outer, 16 * z.inner, [&](int64_t o, int64_t begin, int64_t end) {
      const int64_t base = o * z.edges * z.inner;
      Together<false, acc_t>().each(
          order, px + base, z.inner, begin, end,
          [&](int64_t, const int64_t* entry, int64_t count, const acc_t* __restrict__ power, const acc_t*,
              acc_t* __restrict__ total) {
            for (int64_t c = 0; c < z.inner; ++c) total[c] = 1 / total[c];
            for (int64_t k = 0; k < count; ++k) {
              scalar_t* __restrict__ to = po + base + entry[k] * z.inner;
              for_channels(z.inner, [&]<int W>(int64_t c) {
                store_as<W>(to + c, load_as<acc_t, W>(power + k * z.inner + c) * load_as<acc_t, W>(total + c));
              });
            }
          });
    });
  });
  return out;
}

Tensor scatter_logsumexp(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_logsumexp";
  check_scatter(op, x_, index_, n);
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const Sizes z{x.size(0), x.size(1), n, x.size(2)};
  Tensor out = torch::stable::new_empty(x, {z.outer, n, z.inner});
  dispatch_floats(op, x.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const auto* px = x.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    const auto result = [](acc_t top, acc_t sum) {
      return static_cast<scalar_t>(std::isinf(top) ? top : top + std::log(sum));
    };
    const Order order = order_entries(op, "index", index, n, check);
    for_ordered(order, z.outer, 16 * z.inner, [&](int64_t o, int64_t begin, int64_t end) {
      Together<true, acc_t>().each(
          order, px + o * z.edges * z.inner, z.inner, begin, end,
          [&](int64_t i, const int64_t*, int64_t, const acc_t*, const acc_t* top, const acc_t* sum) {
            scalar_t* to = po + (o * n + i) * z.inner;
            for (int64_t c = 0; c < z.inner; ++c) to[c] = result(top[c], sum[c]);
          });
    });
  });
  return out;
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
  Tensor out = in_large_pages(torch::stable::empty_like(y));
  dispatch_floats(op, y.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const auto *py = y.const_data_ptr<scalar_t>(), *pg = g.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    if (z.inner < kOrdered) {
      const Room<acc_t> dots(z.outer * n * z.inner);
      reduce_targets<Sum>(op, index, z, false, dots.get(), Products<scalar_t, acc_t>{py, pg, z.inner});
      return for_rows(op, index, z, dots.get(), po, [&]<int W>(int64_t offset, const Pack<acc_t, W>& dot) {
        return load_as<acc_t, W>(py + offset) * (load_as<acc_t, W>(pg + offset) - dot);
      });
    }
    const Order order = order_entries(op, "index", index, n, false);
    if (order.entries() < z.edges) torch::stable::zero_(out);
    for_ordered(order, z.outer, 4 * z.inner, [&](int64_t o, int64_t begin, int64_t end) {
      const int64_t base = o * z.edges * z.inner, last = order.ptr[end];
      std::vector<acc_t> room(z.inner);
      acc_t* __restrict__ dot = room.data();
      for (int64_t i = begin; i < end; ++i) {
        const int64_t *entry = order.entry.get() + order.ptr[i], count = order.ptr[i + 1] - order.ptr[i];
        order.prefetch(py + base, order.ptr[i], order.ptr[i + 1], last, z.inner);
        order.prefetch(pg + base, order.ptr[i], order.ptr[i + 1], last, z.inner);
        std::fill(room.begin(), room.end(), acc_t(0));
        for (int64_t k = 0; k < count; ++k) {
          const int64_t row = base + entry[k] * z.inner;
          for_channels(z.inner, [&]<int W>(int64_t c) {
            store_as<W>(dot + c,
                        load_as<acc_t, W>(dot + c) + load_as<acc_t, W>(py + row + c) * load_as<acc_t, W>(pg + row + c));
          });
        }
        for (int64_t k = 0; k < count; ++k) {
          const int64_t row = base + entry[k] * z.inner;
          for_channels(z.inner, [&]<int W>(int64_t c) {
            store_as<W>(po + row + c, load_as<acc_t, W>(py + row + c) *
                                          (load_as<acc_t, W>(pg + row + c) - load_as<acc_t, W>(dot + c)));
          });
        }
      }
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
