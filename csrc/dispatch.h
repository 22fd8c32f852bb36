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

template <typename scalar_t>
constexpr bool is_half = std::is_same_v<scalar_t, BFloat16> || std::is_same_v<scalar_t, Half>;

// Sums of 16-bit floats are kept in 32 bits: a running bfloat16 sum stops growing after about 256 equal terms. Integers
// are added in their own type and wrap, as in torch.
template <typename scalar_t>
using accumulator_t = std::conditional_t<is_half<scalar_t>, float, scalar_t>;

inline ScalarType accumulator_type(ScalarType type) {
  return type == ScalarType::BFloat16 || type == ScalarType::Half ? ScalarType::Float : type;
}

// Calls body.operator()<index_t>().
template <typename Body>
void dispatch_index(const char* op, ScalarType index, Body&& body) {
  if (index == ScalarType::Long) return body.template operator()<int64_t>();
  if (index == ScalarType::Int) return body.template operator()<int32_t>();
  fail<std::invalid_argument>(op, ": expected int32 or int64 indices, got ", index);
}

// Calls body.operator()<scalar_t>() for floating types.
template <typename Body>
void dispatch_floats(const char* op, ScalarType scalar, Body&& body) {
  switch (scalar) {
    case ScalarType::Float:
      return body.template operator()<float>();
    case ScalarType::Double:
      return body.template operator()<double>();
    case ScalarType::BFloat16:
      return body.template operator()<BFloat16>();
    case ScalarType::Half:
      return body.template operator()<Half>();
    default:
      fail<std::invalid_argument>(op, ": expected float32, float64, bfloat16 or float16, got ", scalar);
  }
}

// Calls body.operator()<scalar_t>() for floating types and integers.
template <typename Body>
void dispatch_numbers(const char* op, ScalarType scalar, Body&& body) {
  switch (scalar) {
    case ScalarType::Byte:
      return body.template operator()<uint8_t>();
    case ScalarType::Char:
      return body.template operator()<int8_t>();
    case ScalarType::Short:
      return body.template operator()<int16_t>();
    case ScalarType::Int:
      return body.template operator()<int32_t>();
    case ScalarType::Long:
      return body.template operator()<int64_t>();
    default:
      return dispatch_floats(op, scalar, body);
  }
}

// Calls body.operator()<scalar_t, index_t>() for floating types.
template <typename Body>
void dispatch(const char* op, ScalarType scalar, ScalarType index, Body&& body) {
  dispatch_floats(op, scalar, [&]<typename scalar_t>() {
    dispatch_index(op, index, [&]<typename index_t>() { body.template operator()<scalar_t, index_t>(); });
  });
}

}  // namespace geoops
