// Which of two values is the minimum or maximum: NaN wins over numbers, and of equals the first.
#pragma once

#include <limits>
#include <type_traits>

#include "dispatch.h"

#ifdef __CUDACC__
#define GEOOPS_DEVICE_INLINE __device__ __forceinline__
#else
#define GEOOPS_DEVICE_INLINE inline __attribute__((always_inline))
#endif

namespace geoops {

// Returns `yes` where value is better than held, else `no`, of numbers or, lane by lane, of vectors. 16-bit floats are
// compared in 32 bits. Every comparison selects at once: compilers keep no vector of truths for 512 bits.
template <bool largest, typename value_t, typename choice_t>
GEOOPS_DEVICE_INLINE choice_t if_better(const value_t& value, const value_t& held, const choice_t& yes,
                                        const choice_t& no) {
  const choice_t ordered = largest ? (value > held ? yes : no) : (value < held ? yes : no);
  const choice_t first_nan = held == held ? yes : no;
  return value != value ? first_nan : ordered;
}

// No value is worse; it stands for "nothing yet".
template <bool largest, typename acc_t>
constexpr acc_t worst() {
  if constexpr (std::is_floating_point_v<acc_t>)
    return largest ? -std::numeric_limits<acc_t>::infinity() : std::numeric_limits<acc_t>::infinity();
  return largest ? std::numeric_limits<acc_t>::lowest() : std::numeric_limits<acc_t>::max();
}

}  // namespace geoops
