// One value for each entry: chunks of the entries, each with targets of its own, which are then put together in order.
// The number of chunks depends on sizes alone, so results have the same bits for any number of threads.
#pragma once

#include "targets.h"

namespace geoops {

// How many chunks an outer row is cut into, or 0 where there are so many targets that lists are better.
inline int64_t chunks_for(int64_t outer, int64_t edges, int64_t n) {
  if (outer >= 8) return 1;
  return n > 0 && edges >= 2 * n ? std::min<int64_t>(edges / n, 8) : 0;
}

// Targets of all chunks, filled with `start`: (outer, chunks, n).
template <typename T>
Room<T> chunk_targets(int64_t outer, int64_t chunks, int64_t n, T start) {
  Room<T> all(outer * chunks * n);
  for_ranges(outer * chunks, n / 8 + 1,
             [&](int64_t begin, int64_t end) { std::fill(all.get() + begin * n, all.get() + end * n, start); });
  return all;
}

// Calls body(o, targets, begin, end) for every chunk [begin, end) of entries, where targets are those of the chunk.
template <typename T, typename Body>
void for_chunks(T* targets, int64_t outer, int64_t chunks, int64_t edges, int64_t n, const Body& body) {
  for_ranges(outer * chunks, edges / chunks, [&](int64_t first, int64_t last) {
    for (int64_t job = first; job < last; ++job) {
      const int64_t chunk = job % chunks;
      body(job / chunks, targets + job * n, edges * chunk / chunks, edges * (chunk + 1) / chunks);
    }
  });
}

// Calls join(a, b) -> a for the values of the chunks of a target in order, and finish(o * n + i, a) with the result.
template <typename T, typename Join, typename Finish>
void join_chunks(T* targets, int64_t outer, int64_t chunks, int64_t n, const Join& join, const Finish& finish) {
  constexpr int64_t kBlock = 512;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  for_ranges(outer * blocks, kBlock * chunks, [&](int64_t first, int64_t last) {
    for (int64_t job = first; job < last; ++job) {
      const int64_t o = job / blocks, begin = job % blocks * kBlock, end = std::min(n, begin + kBlock);
      T* __restrict__ result = targets + o * chunks * n;
      for (int64_t chunk = 1; chunk < chunks; ++chunk) {
        const T* __restrict__ other = targets + (o * chunks + chunk) * n;
        for (int64_t i = begin; i < end; ++i) result[i] = join(result[i], other[i]);
      }
      for (int64_t i = begin; i < end; ++i) finish(o * n + i, result[i]);
    }
  });
}

}  // namespace geoops
