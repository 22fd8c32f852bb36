// Points and batch vectors are looked through on the device, with the words of the CPU.
#pragma once

#include "../points.h"
#include "check.cuh"
#include "rows.cuh"

namespace geoops {

template <typename T>
__global__ void find_infinite(const T* __restrict__ x, int64_t count, unsigned long long* __restrict__ first) {
  for (int64_t i = first_thread(); i < count; i += all_threads())
    if (x[i] - x[i] != 0) {
      atomicMin(first, static_cast<unsigned long long>(i));
      return;
    }
}

// Calls body.operator()<T>() for float or double.
template <typename Body>
void dispatch_coordinates(const Tensor& x, const Body& body) {
  x.scalar_type() == ScalarType::Float ? body.template operator()<float>() : body.template operator()<double>();
}

inline void check_points(const char* op, const char* name, const Tensor& x) {
  check_form(op, name, x);
  if (x.numel() == 0) return;
  const Tensor first = torch::stable::new_empty(x, {1}, ScalarType::Long);
  torch::stable::fill_(first, -1);
  dispatch_coordinates(x, [&]<typename T>() {
    launch_for(op, find_infinite<T>, x.numel(), x, data<T>(x), x.numel(), data<unsigned long long>(first));
    int64_t bad = 0;
    fetch(op, &bad, data<int64_t>(first), 1, first);
    if (bad < 0) return;
    T value;
    fetch(op, &value, data<T>(x) + bad, 1, x);
    refuse_coordinate(op, name, x, bad, value);
  });
}

// Returns the batch vector in 64 bits.
inline std::optional<Tensor> checked_batch(const char* op, const char* name, int64_t count,
                                           const std::optional<Tensor>& batch_) {
  if (!batch_) return batch_;
  check_batch_form(op, name, count, *batch_);
  const Tensor batch = as_long(op, *batch_);
  if (count == 0) return batch;
  const Tensor first = torch::stable::new_empty(batch, {1}, ScalarType::Long);
  torch::stable::fill_(first, -1);
  launch_for(op, find_descent<int64_t>, count - 1, batch, data<int64_t>(batch), count, count,
             data<unsigned long long>(first));
  const int64_t number = fetch_one<int64_t>(op, batch, 0), fall = fetch_one<int64_t>(op, first, 0);
  if (number < 0) refuse_number(op, name, number, 0);
  if (fall >= 0)
    refuse_descent(op, name, fetch_one<int64_t>(op, batch, fall), fall, fetch_one<int64_t>(op, batch, fall - 1));
  return batch;
}

}  // namespace geoops
