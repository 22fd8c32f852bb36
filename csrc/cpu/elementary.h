// Exponential and logarithm of lanes to about one unit in the last place, for every argument.
#pragma once

#include "../series.h"
#include "lanes.h"

#include <limits>
#include <utility>

namespace geoops {

template <typename T>
using number_of = std::remove_cvref_t<decltype(std::declval<T&>()[0])>;

template <typename scalar_t>
struct Elementary;
template <>
struct Elementary<float> {
  static constexpr int mantissa = 23, terms_exp = 7;
  static constexpr float shift = 0x1.8p23f;  // numbers that are added to it round to integers in its last bits
  static constexpr int32_t shift_bits = 0x4b400000, root_half_bits = 0x3f3504f3, bias = 127;
  static constexpr float log2_high = 0x1.62e4p-1f, log2_low = 0x1.7f7d1cp-20f, per_log2 = 0x1.715476p0f;
  static constexpr float lowest = -104, highest = 90, past_one = 30;
  static constexpr float up = 0x1p24f, up_log2 = 24;
};
template <>
struct Elementary<double> {
  static constexpr int mantissa = 52, terms_exp = 13;
  static constexpr double shift = 0x1.8p52;
  static constexpr int64_t shift_bits = 0x4338000000000000, root_half_bits = 0x3fe6a09e667f3bcd, bias = 1023;
  static constexpr double log2_high = 0x1.62e42feep-1, log2_low = 0x1.a39ef35793c76p-33, per_log2 = 0x1.71547652b82fep0;
  static constexpr double lowest = -746, highest = 711, past_one = 50;
  static constexpr double up = 0x1p53, up_log2 = 53;
};

// exp(x) and exp(x) - 1. With x = n log 2 + r, |r| <= log(2) / 2, they follow from 2^n and the Taylor polynomial of
// exp(r) - 1. 2^n is made of two factors, each within the range.
template <typename T>
GEOOPS_INLINE void exponential_of(const T& any, T& exp, T& exp_minus_one) {
  using scalar_t = number_of<T>;
  using E = Elementary<scalar_t>;
  using bits = typename Lanes<scalar_t>::bits;
  T x = any < E::lowest ? all<scalar_t>(E::lowest) : any;
  x = x > E::highest ? all<scalar_t>(E::highest) : x;
  const T shifted = x * E::per_log2 + E::shift, n = shifted - E::shift;
  const T r = (x - n * E::log2_high) - n * E::log2_low;
  scalar_t factor = 1;
  for (int k = 2; k <= E::terms_exp; ++k) factor /= k;
  T y = all<scalar_t>(factor);
  for (int k = E::terms_exp; k > 2; --k) y = y * r + (factor *= k);
  y = r + r * r * y;
  const bits power = (bits)shifted - E::shift_bits, half = power >> 1;
  const T one = (T)((half + E::bias) << E::mantissa), other = (T)((power - half + E::bias) << E::mantissa);
  exp = (y * one + one) * other;
  exp_minus_one = y * one * other + (one * other - 1);
  exp_minus_one = any > E::past_one ? exp : exp_minus_one;
}

// log(x): -inf at 0, NaN below. With x = 2^e m, m in [1/sqrt 2, sqrt 2], log m = 2 artanh((m - 1) / (m + 1)).
template <typename T>
GEOOPS_INLINE T logarithm_of(const T& any) {
  using scalar_t = number_of<T>;
  using E = Elementary<scalar_t>;
  using bits = typename Lanes<scalar_t>::bits;
  constexpr scalar_t inf = std::numeric_limits<scalar_t>::infinity();
  const auto small = any < std::numeric_limits<scalar_t>::min();
  const T x = small ? any * E::up : any;
  const bits word = (bits)x, e = (word - E::root_half_bits) >> E::mantissa;
  const T m = (T)(word - (e << E::mantissa)), s = (m - 1) / (m + 1);
  T power = (T)(e + E::shift_bits) - E::shift;
  power = small ? power - E::up_log2 : power;
  T y = power * E::log2_high + (power * E::log2_low + 2 * s * artanh_ratio<scalar_t>(s * s));
  y = any == inf ? any : y;
  y = any == 0 ? all<scalar_t>(-inf) : y;
  return any >= 0 ? y : T(T{} + std::numeric_limits<scalar_t>::quiet_NaN());
}

}  // namespace geoops
