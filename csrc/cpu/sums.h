// Sums and products of rows that share a target, with the same bits for any number of threads.
#pragma once

#include "../reductions.h"
#include "chunks.h"
#include "pack.h"

namespace geoops {

// Channels `inner` of `edges` entries in each of `outer` rows; n targets.
struct Sizes {
  int64_t outer, edges, n, inner;
};

// Out-of-bounds indices become larger than any bound.
template <typename index_t>
GEOOPS_INLINE uint64_t place_of(index_t index) {
  return static_cast<uint64_t>(static_cast<int64_t>(index));
}

// One channel; value.prepare(begin, end), if there is one, is told which entries are next.
template <typename Reduce, typename acc_t, typename Value>
GEOOPS_INLINE bool reduce_chunks(const char* op, const Tensor& index, const Sizes& z, int64_t chunks, acc_t* out,
                                 const Value& value) {
  const auto sums = chunk_targets<acc_t>(z.outer, chunks, z.n, static_cast<acc_t>(Reduce::start));
  const auto bound = static_cast<uint64_t>(z.n);
  std::atomic<bool> complete{true};
  dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
    const auto* p = index.const_data_ptr<index_t>();
    for_chunks(sums.get(), z.outer, chunks, z.edges, z.n, [&](int64_t o, acc_t* to, int64_t begin, int64_t end) {
      bool all = true;
      for (int64_t start = begin; start < end; start += kListed) {
        const int64_t stop = std::min(end, start + kListed);
        if constexpr (requires { value.prepare(start, stop); }) value.prepare(o * z.edges + start, o * z.edges + stop);
        for (int64_t e = start; e < stop; ++e) {
          const uint64_t i = place_of(p[e]);
          if (i < bound)
            to[i] = Reduce::of(to[i], value.template at<1>(o * z.edges + e));
          else
            all = false;
        }
      }
      if (!all) complete = false;
    });
  });
  join_chunks(
      sums.get(), z.outer, chunks, z.n, [](acc_t a, acc_t b) { return Reduce::of(a, b); },
      [&](int64_t i, acc_t sum) { out[i] = sum; });
  return complete;
}

// out[o, i, c] = reduction of value.at<W>(offset of entry e) over the entries e with index[e] = i;
// value.prefetch(offset) announces a row. Returns whether
// all indices are in bounds; others are left out, or raise IndexError if `check`.
template <typename Reduce, typename acc_t, typename Value>
bool reduce_targets(const char* op, const Tensor& index, const Sizes& z, bool check, acc_t* out, const Value& value) {
  const int64_t chunks = z.inner == 1 ? chunks_for(z.outer, z.edges, z.n) : 0, inner = z.inner;
  if (chunks > 0) {
    const bool complete = reduce_chunks<Reduce>(op, index, z, chunks, out, value);
    if (!complete && check) check_all(op, "index", index, z.n);
    return complete;
  }
  const int64_t ahead = rows_ahead<acc_t>(inner);
  for_ranges(z.outer * z.n * inner, 1,
             [&](int64_t begin, int64_t end) { std::fill(out + begin, out + end, static_cast<acc_t>(Reduce::start)); });
  const auto add = [&]<int width>(int64_t first, int64_t last, const Listed& some) {
    const int64_t inner = width > 0 ? width : z.inner;
    for (int64_t o = first; o < last; ++o)
      for (int64_t k = 0; k < some.count; ++k) {
        if (inner > 1 && k + ahead < some.count) {
          value.prefetch((o * z.edges + some.edge[k + ahead]) * inner);
          prefetch_row(out + (o * z.n + some.target[k + ahead]) * inner, inner);
        }
        const int64_t row = (o * z.edges + some.edge[k]) * inner;
        acc_t* __restrict__ to = out + (o * z.n + some.target[k]) * inner;
        for_channels(inner, [&]<int W>(int64_t c) {
          store_as<W>(to + c, Reduce::of(load_as<acc_t, W>(to + c), value.template at<W>(row + c)));
        });
      }
  };
  return for_targets(op, "index", index, z.n, z.outer, inner, check,
                     [&](int64_t first, int64_t last, const Listed& some) {
                       with_width(inner, [&]<int width>() { add.template operator()<width>(first, last, some); });
                     });
}

// Rows of one tensor.
template <typename scalar_t, typename acc_t>
struct Rows {
  const scalar_t* x;
  int64_t inner;
  template <int W>
  GEOOPS_INLINE Pack<acc_t, W> at(int64_t offset) const {
    return load_as<acc_t, W>(x + offset);
  }
  GEOOPS_INLINE void prefetch(int64_t offset) const { prefetch_row(x + offset, inner); }
};

// Products of the entries of two.
template <typename scalar_t, typename acc_t>
struct Products {
  const scalar_t *x, *y;
  int64_t inner;
  template <int W>
  GEOOPS_INLINE Pack<acc_t, W> at(int64_t offset) const {
    return load_as<acc_t, W>(x + offset) * load_as<acc_t, W>(y + offset);
  }
  GEOOPS_INLINE void prefetch(int64_t offset) const {
    prefetch_row(x + offset, inner), prefetch_row(y + offset, inner);
  }
};

}  // namespace geoops
