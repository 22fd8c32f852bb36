// Reductions over edges that end in many targets, without atomics and with the same bits for any number of threads.
#pragma once

#include "../dispatch.h"
#include "pack.h"
#include "parallel.h"

#include <vector>

#include <torch/csrc/stable/library.h>

namespace geoops {

constexpr int64_t kListed = 1024;  // edges listed at a time; the lists stay in the first-level cache

// Edges of one owner, in ascending order, with their targets.
struct Listed {
  const int64_t *edge, *target;
  int64_t count;
};

// Lists the edges [begin, end) that end in targets [lo, hi); returns how many there are.
template <typename index_t, typename Body>
int64_t list_edges(const index_t* index, int64_t begin, int64_t end, int64_t lo, int64_t hi, const Body& body) {
  int64_t edge[kListed], target[kListed], listed = 0;
  const auto width = static_cast<uint64_t>(hi - lo);
  for (int64_t start = begin; start < end; start += kListed) {
    const int64_t stop = std::min(end, start + kListed);
    int64_t count = 0;
    for (int64_t e = start; e < stop; ++e) {  // no branch: whether an edge is ours is a coin toss
      edge[count] = e;
      target[count] = index[e];
      count += static_cast<uint64_t>(static_cast<int64_t>(index[e]) - lo) < width;
    }
    if (count > 0) body(Listed{edge, target, count});
    listed += count;
  }
  return listed;
}

// Calls body(first_row, last_row, listed) so that every target of every outer row [first_row, last_row) has one owner,
// who gets its edges in ascending order. `cost` is the work of an edge in one outer row, in multiply-adds. Edges out of
// bounds are never listed; if `check`, the first of them raises IndexError after the walk. Returns whether all were
// listed.
template <typename Body>
bool for_targets(const char* op, const char* name, const Tensor& index, int64_t n, int64_t outer, int64_t cost,
                 bool check, const Body& body) {
  const int64_t edges = index.numel();
  if (edges == 0) return true;
  int64_t total = 0;
  dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
    const auto* p = index.const_data_ptr<index_t>();
    const int64_t threads = torch::stable::get_num_threads();
    const int64_t useful = std::clamp<int64_t>(edges * outer * (cost + 4) / kGrain, 1, threads);
    const int64_t rows = std::max<int64_t>(1, std::min(outer, useful));
    const int64_t parts = std::max<int64_t>(1, std::min((useful + rows - 1) / rows, n));
    std::vector<int64_t> listed(parts);
    torch::stable::parallel_for(0, rows * parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t job = begin; job < end; ++job) {
        const int64_t row = job / parts, part = job % parts;
        const int64_t first = outer * row / rows, last = outer * (row + 1) / rows;
        const int64_t found = list_edges(p, 0, edges, n * part / parts, n * (part + 1) / parts,
                                         [&](const Listed& some) { body(first, last, some); });
        if (row == 0) listed[part] = found;
      }
    });
    for (const int64_t found : listed) total += found;
    if (check && total < edges) check_bounds(op, name, p, edges, n);
  });
  return total == edges;
}

// Calls body(first_row, last_row, listed) for all edges whose target exists, in no order and with no owner.
template <typename Body>
void for_edges(const char* op, const Tensor& index, int64_t n, int64_t outer, int64_t cost, const Body& body) {
  dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
    const auto* p = index.const_data_ptr<index_t>();
    for_ranges(index.numel(), outer * cost, [&](int64_t begin, int64_t end) {
      list_edges(p, begin, end, 0, n, [&](const Listed& some) { body(int64_t{0}, outer, some); });
    });
  });
}

// Raises unless every row of ptr ascends within [0, edges]. Kernels cannot be safe without it, so it is always done; it
// is short beside the entries.
inline void check_ptr(const char* op, const Tensor& ptr, int64_t edges) {
  check_ascending(op, "ptr", ptr.const_data_ptr<int64_t>(), ptr.size(0), ptr.size(1), edges + 1);
}

// Calls body(o, row, begin, end) for segments [begin, end) of outer row o, whose pointers are `row`, with about equal
// numbers of entries. `ptr` (1 or outer, segments + 1) is ascending.
template <typename Body>
void for_segments(const Tensor& ptr, int64_t outer, int64_t cost, const Body& body) {
  const int64_t segments = ptr.size(1) - 1, threads = torch::stable::get_num_threads();
  if (segments == 0 || outer == 0) return;
  const auto* p = ptr.const_data_ptr<int64_t>();
  const auto row_of = [&](int64_t o) { return p + (ptr.size(0) > 1 ? o * (segments + 1) : 0); };
  if (outer >= threads) {
    const int64_t work = (p[segments] - p[0] + segments) * (cost + 1);
    return for_ranges(outer, work, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) body(o, row_of(o), int64_t{0}, segments);
    });
  }
  for (int64_t o = 0; o < outer; ++o) {
    const int64_t* row = row_of(o);
    const int64_t work = row[segments] - row[0] + segments;  // a segment and an entry each count as one
    const int64_t parts = std::clamp<int64_t>(work * (cost + 1) / kGrain, 1, threads);
    const auto bound = [&](int64_t part) {
      int64_t low = part == parts ? segments : 0, high = part == 0 ? 0 : segments;
      while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        row[middle] - row[0] + middle < work* part / parts ? low = middle + 1 : high = middle;
      }
      return low;
    };
    torch::stable::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
      for (int64_t part = begin; part < end; ++part) body(o, row, bound(part), bound(part + 1));
    });
  }
}

}  // namespace geoops
