// What ops on batches of 2x2 and 3x3 matrices share: checks, types, and access to the numbers.
#pragma once

#include "dispatch.h"
#include "small_dense.h"

#include <initializer_list>
#include <vector>

#include <torch/csrc/stable/ops.h>

namespace geoops {

inline bool is_small(const Tensor& x) {
  return x.dim() >= 2 && x.size(-1) == x.size(-2) && (x.size(-1) == 2 || x.size(-1) == 3);
}

inline void check_matrices(const char* op, const char* name, const Tensor& x) {
  require(is_small(x), op, ": expected ", name, " of shape (..., 2, 2) or (..., 3, 3)");
}

// Another argument: as many numbers as `count`, of the dtype of the first one.
inline void check_partner(const char* op, const char* name, const Tensor& x, int64_t count, const Tensor& first) {
  require(x.numel() == count, op, ": expected ", count, " numbers in ", name, ", got ", x.numel());
  require(x.scalar_type() == first.scalar_type(), op, ": ", name, " is ", x.scalar_type(),
          " and the first argument is ", first.scalar_type());
}

// Calls body.operator()<scalar_t, d>().
template <typename Body>
void dispatch_small(const char* op, const Tensor& x, Body&& body) {
  const auto with_size = [&]<typename scalar_t>() {
    x.size(-1) == 2 ? body.template operator()<scalar_t, 2>() : body.template operator()<scalar_t, 3>();
  };
  if (x.scalar_type() == ScalarType::Float) return with_size.template operator()<float>();
  if (x.scalar_type() == ScalarType::Double) return with_size.template operator()<double>();
  fail<std::invalid_argument>(op, ": expected float32 or float64, got ", x.scalar_type(), "; cast it");
}

// An empty tensor of the leading dimensions of another.
inline Tensor empty_of(const Tensor& x, int64_t leading) {
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < leading; ++i) shape.push_back(x.size(i));
  return torch::stable::new_empty(x, shape);
}

inline Tensor whole(const Tensor& x) { return torch::stable::contiguous(x); }

template <typename scalar_t>
const scalar_t* in(const Tensor& x) {
  return x.const_data_ptr<scalar_t>();
}

template <typename scalar_t>
scalar_t* to(const Tensor& x) {
  return x.mutable_data_ptr<scalar_t>();
}

}  // namespace geoops
