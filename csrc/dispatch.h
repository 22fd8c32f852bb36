// From run-time types to template arguments, and the type in which each is accumulated.
#pragma once

#include "checks.h"

#include <cstdint>
#include <type_traits>

#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

namespace geoops {

using BFloat16 = c10::BFloat16;
using Half = c10::Half;

// Sums of 16-bit numbers are kept in 32 bits: a running bfloat16 sum stops growing after about 256 equal terms.
template <typename scalar_t>
using accumulator_t = std::conditional_t<sizeof(scalar_t) == 2, float, scalar_t>;

inline ScalarType accumulator_type(ScalarType type) {
  return type == ScalarType::BFloat16 || type == ScalarType::Half ? ScalarType::Float : type;
}

// Calls body.operator()<scalar_t, index_t>().
template <typename Body>
void dispatch(const char* op, ScalarType scalar, ScalarType index, Body&& body) {
  const auto with_index = [&]<typename scalar_t>() {
    if (index == ScalarType::Long) return body.template operator()<scalar_t, int64_t>();
    if (index == ScalarType::Int) return body.template operator()<scalar_t, int32_t>();
    fail<std::invalid_argument>(op, ": expected int32 or int64 indices, got ", index);
  };
  switch (scalar) {
    case ScalarType::Float:
      return with_index.template operator()<float>();
    case ScalarType::Double:
      return with_index.template operator()<double>();
    case ScalarType::BFloat16:
      return with_index.template operator()<BFloat16>();
    case ScalarType::Half:
      return with_index.template operator()<Half>();
    default:
      fail<std::invalid_argument>(op, ": expected float32, float64, bfloat16 or float16, got ", scalar);
  }
}

}  // namespace geoops
