// Numbers whose products are rounded before they are added, as on the CPU.
#pragma once

#include "launch.cuh"

namespace geoops {

template <typename T>
struct Rounded {
  T value;
  Rounded() = default;
  __device__ Rounded(T number) : value(number) {}
};

__device__ inline Rounded<float> operator+(Rounded<float> a, Rounded<float> b) { return __fadd_rn(a.value, b.value); }
__device__ inline Rounded<double> operator+(Rounded<double> a, Rounded<double> b) {
  return __dadd_rn(a.value, b.value);
}
__device__ inline Rounded<float> operator*(Rounded<float> a, Rounded<float> b) { return __fmul_rn(a.value, b.value); }
__device__ inline Rounded<double> operator*(Rounded<double> a, Rounded<double> b) {
  return __dmul_rn(a.value, b.value);
}
template <typename T>
__device__ Rounded<T> operator-(Rounded<T> a, Rounded<T> b) {
  return a + Rounded<T>(-b.value);
}
template <typename T>
__device__ Rounded<T> operator/(Rounded<T> a, Rounded<T> b) {
  return a.value / b.value;
}
template <typename T>
__device__ bool operator<(Rounded<T> a, Rounded<T> b) {
  return a.value < b.value;
}
template <typename T>
__device__ bool operator>(Rounded<T> a, Rounded<T> b) {
  return a.value > b.value;
}
template <typename T>
__device__ bool operator<=(Rounded<T> a, Rounded<T> b) {
  return a.value <= b.value;
}
template <typename T>
__device__ bool operator>=(Rounded<T> a, Rounded<T> b) {
  return a.value >= b.value;
}

// sum + off^2
template <typename T>
__device__ T add_square(T sum, T off) {
  return (Rounded<T>(sum) + Rounded<T>(off) * Rounded<T>(off)).value;
}

}  // namespace geoops
