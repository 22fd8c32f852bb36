// Indices are looked through on the device; the host waits once for the first that is bad.
#pragma once

#include "launch.cuh"

#include <array>

namespace geoops {

template <typename T>
T* data(const Tensor& tensor) {
  return static_cast<T*>(tensor.mutable_data_ptr());
}

template <typename index_t>
__global__ void find_outside(const index_t* __restrict__ index, int64_t count, int64_t bound,
                             unsigned long long* __restrict__ first) {
  for (int64_t i = first_thread(); i < count; i += all_threads())
    if (!inside(index[i], bound)) {
      atomicMin(first, static_cast<unsigned long long>(i));
      return;
    }
}

// Finds the first entry of a row of `width` that is less than the one before it.
template <typename index_t>
__global__ void find_descent(const index_t* __restrict__ index, int64_t count, int64_t width,
                             unsigned long long* __restrict__ first) {
  for (int64_t i = first_thread() + 1; i < count; i += all_threads())
    if (index[i] < index[i - 1] && i % width != 0) {
      atomicMin(first, static_cast<unsigned long long>(i));
      return;
    }
}

template <typename index_t>
int64_t fetch_one(const char* op, const Tensor& index, int64_t at) {
  index_t value;
  fetch(op, &value, data<index_t>(index) + at, 1, index);
  return value;
}

struct Bounded {
  const char* name;
  const Tensor& index;
  int64_t bound;
};

// Raises IndexError at the first index outside [0, bound). All are of one dtype and contiguous.
template <size_t count>
void check_bounds(const char* op, const Bounded (&all)[count]) {
  const Tensor first = torch::stable::new_empty(all[0].index, {count}, ScalarType::Long);
  torch::stable::fill_(first, -1);
  dispatch_index(op, all[0].index.scalar_type(), [&]<typename index_t>() {
    for (size_t k = 0; k < count; ++k)
      launch_for(op, find_outside<index_t>, all[k].index.numel(), first, data<index_t>(all[k].index),
                 all[k].index.numel(), all[k].bound, data<unsigned long long>(first) + k);
    std::array<int64_t, count> bad;
    fetch(op, bad.data(), data<int64_t>(first), count, first);
    for (size_t k = 0; k < count; ++k)
      if (bad[k] >= 0)
        fail<std::out_of_range>(op, ": ", all[k].name, "[", bad[k],
                                "] = ", fetch_one<index_t>(op, all[k].index, bad[k]), " is outside [0, ", all[k].bound,
                                ")");
  });
}

// Raises unless every row (the last dimension) ascends within [0, bound).
inline void check_ascending(const char* op, const char* name, const Tensor& index, int64_t bound) {
  const int64_t count = index.numel(), width = index.size(1);
  if (count == 0) return;
  const Tensor first = torch::stable::new_empty(index, {2}, ScalarType::Long);
  torch::stable::fill_(first, -1);
  dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
    auto* found = data<unsigned long long>(first);
    launch_for(op, find_outside<index_t>, count, first, data<index_t>(index), count, bound, found);
    launch_for(op, find_descent<index_t>, count, first, data<index_t>(index), count, width, found + 1);
    int64_t bad[2];
    fetch(op, bad, data<int64_t>(first), 2, first);
    if (bad[0] >= 0)
      fail<std::out_of_range>(op, ": ", name, "[", bad[0] % width, "] = ", fetch_one<index_t>(op, index, bad[0]),
                              " is outside [0, ", bound, ")");
    if (bad[1] >= 0)
      fail<std::invalid_argument>(op, ": expected ", name, " in ascending order, but ", name, "[", bad[1] % width,
                                  "] = ", fetch_one<index_t>(op, index, bad[1]), " follows ",
                                  fetch_one<index_t>(op, index, bad[1] - 1), "; sort it, or use scatter");
  });
}

}  // namespace geoops
