// Splitting of work over libtorch's threads, so that torch.set_num_threads is respected.
#pragma once

#include "../checks.h"

#include <algorithm>
#include <atomic>
#include <cstdint>

#include <torch/csrc/stable/ops.h>

namespace geoops {

// Below about this many multiply-adds a thread costs more than it saves.
constexpr int64_t kGrain = 32768;

// Calls body(begin, end) on ranges that cover [0, count); each element is worth `cost` multiply-adds.
template <typename Body>
void for_ranges(int64_t count, int64_t cost, const Body& body) {
  if (count > 0) torch::stable::parallel_for(0, count, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, cost)), body);
}

// Raises IndexError at the first index outside [0, bound). A pass of its own: it streams, and the kernels stay
// branch-free.
template <typename index_t>
void check_bounds(const char* op, const char* name, const index_t* index, int64_t count, int64_t bound) {
  std::atomic<int64_t> first{count};
  for_ranges(count, 1, [&](int64_t begin, int64_t end) {
    bool outside = false;
    for (int64_t e = begin; e < end; ++e) outside |= (index[e] < 0) | (index[e] >= bound);
    if (!outside) return;
    int64_t e = begin;
    while (index[e] >= 0 && index[e] < bound) ++e;
    for (int64_t seen = first.load(); e < seen && !first.compare_exchange_weak(seen, e);) continue;
  });
  const int64_t e = first.load();
  if (e < count) fail<std::out_of_range>(op, ": ", name, "[", e, "] = ", index[e], " is outside [0, ", bound, ")");
}

// Rows are gathered at random, which the processor cannot foresee; so they are announced this many edges ahead.
constexpr int64_t kPrefetch = 8;

template <typename scalar_t>
void prefetch_row(const scalar_t* row, int64_t channels) {
  const auto* bytes = reinterpret_cast<const char*>(row);
  const int64_t size = std::min<int64_t>(channels * sizeof(scalar_t), 256);  // the hardware follows longer rows itself
  for (int64_t line = 0; line < size; line += 64) __builtin_prefetch(bytes + line);
}

}  // namespace geoops
