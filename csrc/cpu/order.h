// Entries in the order of their targets, so that what belongs to one target is read together and written once.
#pragma once

#include "targets.h"

namespace geoops {

constexpr int64_t kOrdered = 24;  // channels from which on that pays

struct Order {
  Room<int64_t> ptr;    // entries of target i begin at ptr[i] and end before ptr[i + 1]
  Room<int64_t> entry;  // ascending within each target
  int64_t targets;

  int64_t entries() const { return ptr[targets]; }  // whose target exists

  // Announces the rows that follow those of one target, of which there are as many; `last` ends the list.
  template <typename scalar_t>
  GEOOPS_INLINE void prefetch(const scalar_t* rows, int64_t begin, int64_t end, int64_t last, int64_t inner) const {
    end = std::min(end, last - kAhead);
    for (int64_t k = begin; k < end; ++k) prefetch_row(rows + entry[k + kAhead] * inner, inner);
  }

  static constexpr int64_t kAhead = 32;
};

// A stable counting sort. Every thread counts and places the entries of its own targets. If `check`, the first index
// out of bounds raises IndexError; without, it is left out.
inline Order order_entries(const char* op, const char* name, const Tensor& index, int64_t n, bool check) {
  const int64_t edges = index.numel();
  Order order{Room<int64_t>(n + 2), Room<int64_t>(edges), n};
  std::fill_n(order.ptr.get(), n + 2, 0);
  // Counts stand two places on; after the sums the place before is where the target begins, and after the last of its
  // entries is placed, where the next one begins.
  int64_t* const begins = order.ptr.get() + 1;
  for_targets(op, name, index, n, 1, 1, check, [&](int64_t, int64_t, const Listed& some) {
    for (int64_t k = 0; k < some.count; ++k) ++begins[some.target[k] + 1];
  });
  for (int64_t i = 0; i < n; ++i) begins[i + 1] += begins[i];
  int64_t* const to = order.entry.get();
  for_targets(op, name, index, n, 1, 1, false, [&](int64_t, int64_t, const Listed& some) {
    for (int64_t k = 0; k < some.count; ++k) to[begins[some.target[k]]++] = some.edge[k];
  });
  return order;
}

// Calls body(o, begin, end) for ranges of targets of each outer row, with about equal numbers of entries.
template <typename Body>
void for_ordered(const Order& order, int64_t outer, int64_t cost, const Body& body) {
  for_segments(order.ptr.get(), 1, order.targets, outer, cost,
               [&](int64_t o, const int64_t*, int64_t begin, int64_t end) { body(o, begin, end); });
}

}  // namespace geoops
