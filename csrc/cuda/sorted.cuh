// Torch's sort and running sum, and searches in what is sorted.
#pragma once

#include "check.cuh"

#include <optional>

namespace geoops {

// The first place of an ascending vector whose entry is not less than `value`, or above it.
__device__ inline int64_t first_from(const int64_t* index, int64_t count, int64_t value, bool above = false) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = low + (high - low) / 2;
    index[middle] < value || (above && index[middle] == value) ? low = middle + 1 : high = middle;
  }
  return low;
}

inline void call_torch(const char* name, const char* overload, StableIValue* stack) {
  TORCH_ERROR_CODE_CHECK(torch_call_dispatcher(name, overload, stack, TORCH_ABI_VERSION));
}

inline Tensor running_sum(const Tensor& x) {
  StableIValue stack[3]{torch::stable::detail::from(x), torch::stable::detail::from(int64_t{0}),
                        torch::stable::detail::from(std::optional<ScalarType>())};
  call_torch("aten::cumsum", "", stack);
  return torch::stable::detail::to<Tensor>(stack[0]);
}

struct Sorted {
  Tensor values, order;
};

// Sorts a vector of int64; equal ones stay in order.
inline Sorted sort_keys(const Tensor& key) {
  using torch::stable::detail::from, torch::stable::detail::to;
  StableIValue stack[4]{from(key), from(std::optional<bool>(true)), from(int64_t{0}), from(false)};
  call_torch("aten::sort", "stable", stack);
  return {to<Tensor>(stack[0]), to<Tensor>(stack[1])};
}

}  // namespace geoops
