// Segments of one channel: as many entries at a time as a register holds, those beyond the segment masked. A loop over
// single entries would end at a place that the processor cannot foresee.
#pragma once

#include "../extremum.h"
#include "pack.h"

#include <utility>

namespace geoops {

template <typename T>
using int_as = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

template <typename T, int... I>
GEOOPS_INLINE Pack<T, sizeof...(I)> count_up(std::integer_sequence<int, I...>) {
  return Pack<T, sizeof...(I)>{I...};
}

template <typename T, int W, typename Join>
GEOOPS_INLINE T fold(const Pack<T, W>& x, const Join& join) {
  if constexpr (W == 2) {
    return join(x[0], x[1]);
  } else {
    return [&]<int... I>(std::integer_sequence<int, I...>) {
      const Pack<T, W / 2> low = __builtin_shufflevector(x, x, I...);
      const Pack<T, W / 2> high = __builtin_shufflevector(x, x, (I + W / 2)...);
      return fold<T, W / 2>(join(low, high), join);
    }(std::make_integer_sequence<int, W / 2>{});
  }
}

// Sum or product of x[first, last); what lies before `readable` can be read.
template <typename Reduce, typename scalar_t>
GEOOPS_INLINE scalar_t reduce_line(const scalar_t* x, int64_t first, int64_t last, int64_t readable) {
  using acc_t = wide_t<scalar_t>;
  using int_t = int_as<acc_t>;
  constexpr int W = kRegister / sizeof(acc_t);
  const auto lane = count_up<int_t>(std::make_integer_sequence<int, W>{});
  const auto start = pack_of<acc_t, W>(static_cast<acc_t>(Reduce::start));
  Pack<acc_t, W> kept = start;
  int64_t e = first;
  for (; e < last && e + W <= readable; e += W) {
    const auto left = pack_of<int_t, W>(static_cast<int_t>(std::min<int64_t>(last - e, W)));
    kept = Reduce::of(kept, lane < left ? load_as<acc_t, W>(x + e) : start);
  }
  acc_t result = fold<acc_t, W>(kept, [](const auto& a, const auto& b) { return Reduce::of(a, b); });
  for (; e < last; ++e) result = Reduce::of(result, static_cast<acc_t>(x[e]));
  return static_cast<scalar_t>(result);
}

// Numbers that order values of 32 bits as they are to be found, the best highest: NaN, then numbers; zeros are equal.
template <bool largest, typename held_t, int W>
GEOOPS_INLINE Pack<int32_t, W> rank_of(const Pack<held_t, W>& value) {
  if constexpr (std::is_same_v<held_t, float>) {
    constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
    const Pack<float, W> unsigned_zero = value + 0.0f;
    Pack<int32_t, W> bits;
    std::memcpy(&bits, &unsigned_zero, sizeof(bits));
    bits ^= (bits >> 31) & kMost;
    if constexpr (!largest) bits = ~bits;
    return value != value ? pack_of<int32_t, W>(kMost) : bits;
  } else {
    return largest ? value : ~value;
  }
}

// The value of a rank; NaN for all NaN, and positive zero for both zeros.
template <bool largest, typename held_t>
GEOOPS_INLINE held_t value_of(int32_t rank) {
  const int32_t ordered = largest ? rank : ~rank;
  if constexpr (std::is_same_v<held_t, float>) {
    const int32_t bits = ordered ^ ((ordered >> 31) & std::numeric_limits<int32_t>::max());
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  } else {
    return ordered;
  }
}

// Returns where the minimum or maximum of x[first, last), which is not empty, is: the first of equals.
template <bool largest, typename scalar_t>
GEOOPS_INLINE int64_t find_line(const scalar_t* x, int64_t first, int64_t last, int64_t readable) {
  using held_t = wide_t<scalar_t>;
  constexpr int W = kRegister / sizeof(held_t);
  constexpr int32_t kLeast = std::numeric_limits<int32_t>::min();
  const auto lane = count_up<int32_t>(std::make_integer_sequence<int, W>{});
  const auto more = [](const auto& a, const auto& b) { return a > b ? a : b; };
  const auto less = [](const auto& a, const auto& b) { return a < b ? a : b; };
  int64_t e = first, at = first;
  int32_t best = kLeast;
  for (; e < last && e + W <= readable; e += W) {
    const auto left = pack_of<int32_t, W>(static_cast<int32_t>(std::min<int64_t>(last - e, W)));
    const auto rank =
        lane < left ? rank_of<largest, held_t, W>(load_as<held_t, W>(x + e)) : pack_of<int32_t, W>(kLeast);
    const int32_t most = fold<int32_t, W>(rank, more);
    if (most > best) {
      best = most;
      at = e + fold<int32_t, W>(rank == most ? lane : pack_of<int32_t, W>(W), less);
    }
  }
  for (; e < last; ++e)
    if (const int32_t rank = rank_of<largest, held_t, 1>(static_cast<held_t>(x[e])); rank > best) best = rank, at = e;
  return at;
}

}  // namespace geoops
