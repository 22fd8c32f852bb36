// The part of CUDA that csrc/cuda uses, on the CPU: blocks run one after the other, their threads as fibres. See
// emulation.cpp for the scheduler and for what is reported as an error.
#pragma once

#include <math.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __shared__ static  // one block at a time

namespace emulation {

struct Place {
  unsigned x = 0, y = 0, z = 0;
};
extern Place thread, block, block_dim, grid_dim;

void run(const char* op, unsigned blocks, unsigned threads, const std::function<void()>& kernel);
void barrier(const char* file, int line);
void warp_barrier(unsigned mask, const char* file, int line);
// Waits for all lanes of the mask; returns what each of them brought.
const uint64_t* exchange(unsigned mask, uint64_t mine, const char* file, int line);
// The lane to read from, which must belong to the mask.
int source(unsigned mask, int lane, const char* file, int line);
// May let other threads go first; then takes note of an atomic access.
void before_atomic(const void* address, int size);

template <typename T>
T shuffle(unsigned mask, T value, int lane, const char* file, int line) {
  static_assert(sizeof(T) <= sizeof(uint64_t));
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = exchange(mask, bits, file, line)[source(mask, lane, file, line)];
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

inline int lane() { return static_cast<int>(thread.x % 32); }

// A lane beyond its group of `width` reads its own value, as on the device.
inline int within(int lane_, int width) { return lane_ / width == lane() / width && lane_ >= 0 ? lane_ : lane(); }

// Not instrumented: an atomic access is no race.
template <typename T, typename Change>
__attribute__((noinline, no_sanitize("address", "thread", "undefined"))) T atomically(T* address,
                                                                                      const Change& change) {
  before_atomic(address, sizeof(T));
  const T old = *address;
  *address = change(old);
  return old;
}

}  // namespace emulation

#define threadIdx emulation::thread
#define blockIdx emulation::block
#define blockDim emulation::block_dim
#define gridDim emulation::grid_dim
#define __syncthreads() emulation::barrier(__FILE__, __LINE__)
namespace emulation {

struct Site {
  const char* file;
  int line;
};

}  // namespace emulation

inline void __syncwarp(unsigned mask = 0xffffffffu, emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  emulation::warp_barrier(mask, at.file, at.line);
}

template <typename T>
T __shfl_sync(unsigned mask, T value, int from, int width = 32,
              emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  const int lane = emulation::lane() / width * width + (from % width + width) % width;
  return emulation::shuffle(mask, value, lane, at.file, at.line);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32,
                   emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  return emulation::shuffle(mask, value, emulation::within(emulation::lane() + static_cast<int>(by), width), at.file,
                            at.line);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32,
                 emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  return emulation::shuffle(mask, value, emulation::within(emulation::lane() - static_cast<int>(by), width), at.file,
                            at.line);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int by, int width = 32,
                  emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  return emulation::shuffle(mask, value, emulation::within(emulation::lane() ^ by, width), at.file, at.line);
}

inline unsigned __ballot_sync(unsigned mask, bool vote, emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  const uint64_t* votes = emulation::exchange(mask, vote, at.file, at.line);
  unsigned all = 0;
  for (int lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1) all |= static_cast<unsigned>(votes[lane]) << lane;
  return all;
}
inline bool __any_sync(unsigned mask, bool vote, emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  return __ballot_sync(mask, vote, at) != 0;
}
inline bool __all_sync(unsigned mask, bool vote, emulation::Site at = {__builtin_FILE(), __builtin_LINE()}) {
  return __ballot_sync(mask, vote, at) == mask;
}

#define GEOOPS_ATOMIC(name, expression)                                                                             \
  template <typename T>                                                                                             \
  T name(T* address, std::type_identity_t<T> value) {                                                               \
    return emulation::atomically(address,                                                                           \
                                 [=](T old) __attribute__((no_sanitize("undefined"))) -> T { return expression; }); \
  }
GEOOPS_ATOMIC(atomicAdd, old + value)
GEOOPS_ATOMIC(atomicMin, value < old ? value : old)
GEOOPS_ATOMIC(atomicMax, value > old ? value : old)
GEOOPS_ATOMIC(atomicExch, (static_cast<void>(old), value))
GEOOPS_ATOMIC(atomicOr, old | value)
GEOOPS_ATOMIC(atomicAnd, old& value)
#undef GEOOPS_ATOMIC

template <typename T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return emulation::atomically(address, [=](T old) { return old == expected ? value : old; });
}

template <typename T>
T __ldg(const T* address) {
  return *address;
}
template <typename T>
T min(T a, T b) {
  return b < a ? b : a;
}
template <typename T>
T max(T a, T b) {
  return a < b ? b : a;
}
template <typename T>
T rsqrt(T x) {
  return 1 / std::sqrt(x);
}
template <typename To, typename From>
To geoops_bits(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &value, sizeof(To));
  return to;
}
inline unsigned __float_as_uint(float x) { return geoops_bits<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return geoops_bits<float>(x); }
inline long long __double_as_longlong(double x) { return geoops_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return geoops_bits<double>(x); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline double __dmul_rn(double a, double b) { return a * b; }
inline double __dadd_rn(double a, double b) { return a + b; }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __ffs(unsigned x) { return __builtin_ffs(static_cast<int>(x)); }
