// Rows of numbers that groups of neighbouring threads read side by side, and numbers as keys that atomics can order.
#pragma once

#include "check.cuh"

#include <type_traits>

namespace geoops {

// Threads that share a row: a power of two, at most a warp.
inline int lanes_for(int64_t inner) {
  int lanes = 1;
  while (lanes < 32 && lanes < inner) lanes *= 2;
  return lanes;
}

// Tensors of integers are reduced in 32 or 64 bits, for which there are atomics; the low bits are the same.
template <typename scalar_t>
using atomic_t =
    std::conditional_t<is_half<scalar_t>, float,
                       std::conditional_t<std::is_integral_v<scalar_t> && sizeof(scalar_t) < 4, int32_t, scalar_t>>;

inline ScalarType atomic_type(ScalarType type) {
  const bool small = type == ScalarType::Byte || type == ScalarType::Char || type == ScalarType::Short;
  return small ? ScalarType::Int : accumulator_type(type);
}

template <typename T>
using key_t = std::conditional_t<sizeof(T) == 8, unsigned long long, unsigned>;

template <typename T>
constexpr ScalarType key_type = sizeof(T) == 8 ? ScalarType::Long : ScalarType::Int;

__device__ inline unsigned bits_of(float x) { return __float_as_uint(x); }
__device__ inline unsigned long long bits_of(double x) {
  return static_cast<unsigned long long>(__double_as_longlong(x));
}
__device__ inline float of_bits(unsigned bits) { return __uint_as_float(bits); }
__device__ inline double of_bits(unsigned long long bits) { return __longlong_as_double(static_cast<long long>(bits)); }

// The better a value, the larger its key; NaN has the largest, both zeros the same.
template <typename T>
__device__ inline key_t<T> key_of(T x, bool largest) {
  constexpr key_t<T> sign = key_t<T>(1) << (8 * sizeof(T) - 1);
  key_t<T> key;
  if constexpr (std::is_integral_v<T>) {
    key = static_cast<key_t<T>>(x) ^ sign;
  } else {
    if (x != x) return ~key_t<T>(0);
    const key_t<T> bits = x == 0 ? 0 : bits_of(x);
    key = bits & sign ? ~bits : bits | sign;
  }
  return largest ? key : ~key;
}

// The shift of exponentials from the key of a maximum: 0 where that is -inf or where there is nothing (key 0).
template <typename T>
__device__ inline T shift_of(key_t<T> key) {
  constexpr key_t<T> sign = key_t<T>(1) << (8 * sizeof(T) - 1);
  const T top = key == 0 ? T(0) : of_bits(key & sign ? key ^ sign : ~key);
  return top == -kInfinity<T> ? T(0) : top;
}

__device__ inline void add(float* to, float x) { atomicAdd(to, x); }
__device__ inline void add(double* to, double x) { atomicAdd(to, x); }
__device__ inline void add(int32_t* to, int32_t x) {
  atomicAdd(reinterpret_cast<unsigned*>(to), static_cast<unsigned>(x));
}
__device__ inline void add(int64_t* to, int64_t x) {
  atomicAdd(reinterpret_cast<unsigned long long*>(to), static_cast<unsigned long long>(x));
}

// Calls body.operator()<word_t>() for the unsigned integer that is as large as an entry.
template <typename Body>
void with_word(const char* op, const Tensor& x, const Body& body) {
  switch (x.element_size()) {
    case 1:
      return body.template operator()<uint8_t>();
    case 2:
      return body.template operator()<uint16_t>();
    case 4:
      return body.template operator()<uint32_t>();
    case 8:
      return body.template operator()<uint64_t>();
    default:
      fail<std::invalid_argument>(op, ": expected entries of 1, 2, 4 or 8 bytes, got ", x.scalar_type());
  }
}

// Most kernels exist for 64-bit indices only; a copy of the index is short beside the entries.
inline Tensor as_long(const char* op, const Tensor& index) {
  if (index.scalar_type() == ScalarType::Long) return torch::stable::contiguous(index);
  require(index.scalar_type() == ScalarType::Int, op, ": expected int32 or int64 indices, got ", index.scalar_type());
  return torch::stable::to(torch::stable::contiguous(index), ScalarType::Long);
}

// What one thread of those that share row `row` of (outer, edges, inner) does.
struct Layout {
  int64_t outer, edges, targets, inner;
  int lanes;

  int64_t threads() const { return inner == 0 ? 0 : outer * edges * lanes; }

  // Calls body(edge, entry, target entry) for the entries of this thread whose target exists.
  template <typename index_t, typename Body>
  __device__ void each(const index_t* index, const Body& body) const {
    for (int64_t row = first_thread() / lanes; row < outer * edges; row += all_threads() / lanes) {
      const int64_t o = outer == 1 ? 0 : row / edges, e = row - o * edges, i = index[e];
      if (!inside(i, targets)) continue;
      for (int64_t f = threadIdx.x % lanes; f < inner; f += lanes)
        body(e, row * inner + f, (o * targets + i) * inner + f);
    }
  }
};

inline Layout layout_of(const Tensor& x, int64_t n) {
  return {x.size(0), x.size(1), n, x.size(2), lanes_for(x.size(2))};
}

}  // namespace geoops
