// Short vectors that the compiler maps to whatever the processor has, and the elementary functions that attention
// needs.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#ifdef __x86_64__
#include <immintrin.h>
#endif

#define GEOOPS_INLINE inline __attribute__((always_inline))

namespace geoops {

// Bytes of a register. Compilers make numbers one by one of comparisons of longer vectors.
#if defined(__AVX512F__)
constexpr int kRegister = 64;
#elif defined(__AVX2__)
constexpr int kRegister = 32;
#else
constexpr int kRegister = 16;
#endif

template <typename scalar_t>
struct Lanes;

template <>
struct Lanes<float> {
  static constexpr int64_t count = kRegister / 4;
  typedef float type __attribute__((vector_size(kRegister)));
  typedef int32_t bits __attribute__((vector_size(kRegister)));
};

template <>
struct Lanes<double> {
  static constexpr int64_t count = kRegister / 8;
  typedef double type __attribute__((vector_size(kRegister)));
  typedef int64_t bits __attribute__((vector_size(kRegister)));
};

template <typename scalar_t>
using lanes_t = typename Lanes<scalar_t>::type;

template <typename scalar_t>
GEOOPS_INLINE lanes_t<scalar_t> load(const scalar_t* from) {
  lanes_t<scalar_t> x;
  std::memcpy(&x, from, sizeof(x));
  return x;
}

template <typename scalar_t>
GEOOPS_INLINE void store(scalar_t* to, const lanes_t<scalar_t>& x) {
  std::memcpy(to, &x, sizeof(x));
}

template <typename scalar_t>
GEOOPS_INLINE lanes_t<scalar_t> all(scalar_t value) {
  return lanes_t<scalar_t>{} + value;
}

// exp(x) for x <= 87, to 2e-7 relative; below -87 it stays at exp(-87). With x = n log 2 + r, |r| <= log(2) / 2, it is
// 2^n times the Taylor polynomial of degree 7 at r.
GEOOPS_INLINE lanes_t<float> exp_of(const lanes_t<float>& any) {
  const lanes_t<float> x = any < -87.0f ? all(-87.0f) : any;
  const lanes_t<float> shifted = x * 1.44269504f + 12582912.0f;  // the sum rounds to an integer in its last bits
  const lanes_t<float> n = shifted - 12582912.0f;
  const lanes_t<float> r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
  lanes_t<float> y = r * (1.0f / 5040) + 1.0f / 720;
  y = y * r + 1.0f / 120;
  y = y * r + 1.0f / 24;
  y = y * r + 1.0f / 6;
  y = y * r + 0.5f;
  y = y * r + 1.0f;
  y = y * r + 1.0f;
  Lanes<float>::bits scale = __builtin_convertvector(n, Lanes<float>::bits);
  scale = (scale + 127) << 23;
  return y * (lanes_t<float>)scale;
}

// log(x) for positive normal x, to 2e-7 absolute or relative: x = 2^e m with m in [1/sqrt 2, sqrt 2], and
// log m = 2 artanh((m - 1) / (m + 1)).
GEOOPS_INLINE lanes_t<float> log_of(const lanes_t<float>& x) {
  Lanes<float>::bits word = (Lanes<float>::bits)x;
  const Lanes<float>::bits e = (word - 0x3f3504f3) >> 23;
  word = word - (e << 23);
  const lanes_t<float> m = (lanes_t<float>)word;
  const lanes_t<float> s = (m - 1.0f) / (m + 1.0f), z = s * s;
  lanes_t<float> y = z * (1.0f / 9) + 1.0f / 7;
  y = y * z + 1.0f / 5;
  y = y * z + 1.0f / 3;
  y = y * z + 1.0f;
  return __builtin_convertvector(e, lanes_t<float>) * 0.693147181f + 2.0f * s * y;
}

// 1 / sqrt(x) for positive normal x: three steps of Newton from a guess by halving the exponent.
GEOOPS_INLINE lanes_t<float> rsqrt_of(const lanes_t<float>& x) {
  const Lanes<float>::bits word = 0x5f3759df - ((Lanes<float>::bits)x >> 1);
  lanes_t<float> y = (lanes_t<float>)word;  // a cast between vectors keeps the bits
  for (int i = 0; i < 3; ++i) y = y * (1.5f - 0.5f * x * y * y);
  return y;
}

template <typename Function>
GEOOPS_INLINE lanes_t<double> each(const lanes_t<double>& x, const Function& function) {
  lanes_t<double> y{};
  for (int64_t i = 0; i < Lanes<double>::count; ++i) y[i] = function(x[i]);
  return y;
}

GEOOPS_INLINE lanes_t<double> exp_of(const lanes_t<double>& x) {
  return each(x, [](double v) { return std::exp(v); });
}
GEOOPS_INLINE lanes_t<double> log_of(const lanes_t<double>& x) {
  return each(x, [](double v) { return std::log(v); });
}
GEOOPS_INLINE lanes_t<double> rsqrt_of(const lanes_t<double>& x) {
  return each(x, [](double v) { return 1 / std::sqrt(v); });
}

// sqrt(x). The compiler makes a branch per lane of std::sqrt, which sets errno, and halves that went through memory
// would have to wait for it.
#ifdef __AVX512F__
GEOOPS_INLINE lanes_t<float> root_of(const lanes_t<float>& x) {
  const __m256 low = _mm256_sqrt_ps(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7));
  const __m256 high = _mm256_sqrt_ps(__builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15));
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
GEOOPS_INLINE lanes_t<double> root_of(const lanes_t<double>& x) {
  const __m256d low = _mm256_sqrt_pd(__builtin_shufflevector(x, x, 0, 1, 2, 3));
  const __m256d high = _mm256_sqrt_pd(__builtin_shufflevector(x, x, 4, 5, 6, 7));
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}
#elif defined(__AVX2__)
GEOOPS_INLINE lanes_t<float> root_of(const lanes_t<float>& x) { return (lanes_t<float>)_mm256_sqrt_ps((__m256)x); }
GEOOPS_INLINE lanes_t<double> root_of(const lanes_t<double>& x) { return (lanes_t<double>)_mm256_sqrt_pd((__m256d)x); }
#elif defined(__x86_64__)
GEOOPS_INLINE lanes_t<float> root_of(const lanes_t<float>& x) { return (lanes_t<float>)_mm_sqrt_ps((__m128)x); }
GEOOPS_INLINE lanes_t<double> root_of(const lanes_t<double>& x) { return (lanes_t<double>)_mm_sqrt_pd((__m128d)x); }
#else
template <typename T>
GEOOPS_INLINE T root_of(const T& x) {
  T y{};
  for (size_t i = 0; i < sizeof(T) / sizeof(x[0]); ++i) y[i] = std::sqrt(x[i]);
  return y;
}
#endif

// x[i] = exp(x[i]) for x[i] <= 87 or NaN, up to `count` rounded up to whole vectors; exp(-inf) is 0.
template <typename scalar_t>
GEOOPS_INLINE void exp_all(scalar_t* x, int64_t count) {
  for (int64_t i = 0; i < count; i += Lanes<scalar_t>::count) {
    const lanes_t<scalar_t> value = load(x + i);
    store(x + i, lanes_t<scalar_t>(value < scalar_t(-708) ? all(scalar_t(0)) : exp_of(value)));
  }
}

}  // namespace geoops
