// Reductions over edges that end in many targets, without atomics and with the same bits for any number of threads.
#pragma once

#include "../dispatch.h"
#include "pack.h"
#include "parallel.h"

#include <vector>

#include <torch/csrc/stable/library.h>

namespace geoops {

// Raises IndexError at the first index outside [0, bound).
inline void check_all(const char* op, const char* name, const Tensor& index, int64_t bound) {
  dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
    check_bounds(op, name, index.const_data_ptr<index_t>(), index.numel(), bound);
  });
}

constexpr int64_t kListed = 1024;  // edges listed at a time; the lists stay in the first-level cache

// Edges of one owner, in ascending order, with their targets.
struct Listed {
  const int64_t *edge, *target;
  int64_t count;
};

// Appends the edges of [e, stop) that end in targets [lo, lo + width); returns how many are then listed.
template <typename index_t>
GEOOPS_INLINE int64_t list_some(const index_t* index, int64_t e, int64_t stop, int64_t lo, uint64_t width,
                                int64_t* edge, int64_t* target) {
  int64_t count = 0;
#ifdef __AVX512F__
  const __m512i first = _mm512_set1_epi64(lo), size = _mm512_set1_epi64(static_cast<int64_t>(width));
  __m512i place = _mm512_add_epi64(_mm512_set1_epi64(e), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
  for (; e + 8 <= stop; e += 8) {  // whole vectors are written: there is room for one beyond the list
    const __m512i at = sizeof(index_t) == 8
                           ? _mm512_loadu_si512(index + e)
                           : _mm512_maskz_cvtepi32_epi64(  // the form without a mask warns in GCC 12
                                 0xff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index + e)));
    const __mmask8 ours = _mm512_cmplt_epu64_mask(_mm512_sub_epi64(at, first), size);
    _mm512_storeu_si512(edge + count, _mm512_maskz_compress_epi64(ours, place));
    _mm512_storeu_si512(target + count, _mm512_maskz_compress_epi64(ours, at));
    count += __builtin_popcount(ours);
    place = _mm512_add_epi64(place, _mm512_set1_epi64(8));
  }
#endif
  for (; e < stop; ++e) {  // no branch: whether an edge is ours is a coin toss
    edge[count] = e;
    target[count] = index[e];
    count += static_cast<uint64_t>(static_cast<int64_t>(index[e]) - lo) < width;
  }
  return count;
}

// Lists the edges [begin, end) that end in targets [lo, hi); returns how many there are.
template <typename index_t, typename Body>
int64_t list_edges(const index_t* index, int64_t begin, int64_t end, int64_t lo, int64_t hi, const Body& body) {
  int64_t edge[kListed + 8], target[kListed + 8], listed = 0;
  for (int64_t start = begin; start < end; start += kListed) {
    const int64_t stop = std::min(end, start + kListed);
    const int64_t count = list_some(index, start, stop, lo, static_cast<uint64_t>(hi - lo), edge, target);
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

// Raises unless every row of ptr ascends within [0, edges]. Kernels cannot be safe without it, so it is always done; it
// is short beside the entries.
inline void check_ptr(const char* op, const Tensor& ptr, int64_t edges) {
  check_ascending(op, "ptr", ptr.const_data_ptr<int64_t>(), ptr.size(0), ptr.size(1), edges + 1);
}

// Calls body(begin, end) for ranges of segments that have about equal numbers of entries.
template <typename Body>
void for_balanced(const int64_t* ptr, int64_t segments, int64_t cost, const Body& body) {
  const int64_t work = ptr[segments] - ptr[0] + segments;  // a segment and an entry each count as one
  const int64_t parts = std::clamp<int64_t>(work * (cost + 1) / kGrain, 1, torch::stable::get_num_threads());
  const auto bound = [&](int64_t part) {
    int64_t low = part == parts ? segments : 0, high = part == 0 ? 0 : segments;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      ptr[middle] - ptr[0] + middle < work* part / parts ? low = middle + 1 : high = middle;
    }
    return low;
  };
  torch::stable::parallel_for(0, parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) body(bound(part), bound(part + 1));
  });
}

// Calls body(o, row, begin, end) for segments [begin, end) of outer row o, whose pointers are `row`, with about equal
// numbers of entries. There are `rows` ascending rows of pointers: one for all, or one for each outer row.
template <typename Body>
void for_segments(const int64_t* ptr, int64_t rows, int64_t segments, int64_t outer, int64_t cost, const Body& body) {
  if (segments == 0 || outer == 0) return;
  const auto row_of = [&](int64_t o) { return ptr + (rows > 1 ? o * (segments + 1) : 0); };
  if (outer >= torch::stable::get_num_threads()) {
    const int64_t work = (ptr[segments] - ptr[0] + segments) * (cost + 1);
    return for_ranges(outer, work, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o) body(o, row_of(o), int64_t{0}, segments);
    });
  }
  for (int64_t o = 0; o < outer; ++o)
    for_balanced(row_of(o), segments, cost, [&](int64_t begin, int64_t end) { body(o, row_of(o), begin, end); });
}

template <typename Body>
void for_segments(const Tensor& ptr, int64_t outer, int64_t cost, const Body& body) {
  for_segments(ptr.const_data_ptr<int64_t>(), ptr.size(0), ptr.size(1) - 1, outer, cost, body);
}

}  // namespace geoops
