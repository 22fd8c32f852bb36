// What the searches demand of points, batches and boxes, and what they say otherwise.
#pragma once

#include "both.h"
#include "dispatch.h"

#include <cmath>
#include <optional>
#include <vector>

#include <torch/csrc/stable/ops.h>

namespace geoops {

constexpr int64_t kMost = (int64_t{1} << 31) - 2;

struct Points {
  const char* name;
  const Tensor tensor;
  const std::optional<Tensor>& batch;
};

inline void check_form(const char* op, const char* name, const Tensor& x) {
  require(x.dim() == 2, op, ": expected ", name, " of shape (points, dim), got ", x.dim(), " dimensions");
  require(x.scalar_type() == ScalarType::Float || x.scalar_type() == ScalarType::Double, op, ": expected ", name,
          " in float32 or float64, got ", x.scalar_type());
  require(x.size(1) >= 1, op, ": expected at least one coordinate of each point of ", name);
  require(x.size(0) <= kMost, op, ": expected at most ", kMost, " points in ", name, ", got ", x.size(0));
}

// Entry e of x is no finite number.
template <typename T>
[[noreturn]] void refuse_coordinate(const char* op, const char* name, const Tensor& x, int64_t e, T value) {
  fail<std::invalid_argument>(op, ": expected finite coordinates, but ", name, "[", e / x.size(1), ", ", e % x.size(1),
                              "] = ", value, "; remove such points");
}

inline void check_search(const char* op, const Points& from, const Points& to, double r) {
  const Tensor &x = from.tensor, &y = to.tensor;
  require(x.scalar_type() == y.scalar_type() && y.dim() == 2 && x.size(1) == y.size(1), op, ": ", from.name, " (",
          x.scalar_type(), ", ", x.size(1), " coordinates) and ", to.name, " (", y.scalar_type(), ", ", y.size(1),
          " coordinates) differ");
  require(r >= 0, op, ": expected a radius r >= 0, got ", r);
}

inline void check_batches(const char* op, const std::optional<Tensor>& batch_x, const std::optional<Tensor>& batch_y) {
  require(batch_x.has_value() == batch_y.has_value(), op,
          ": expected both batch_x and batch_y, or neither; give both sets a batch vector");
}

inline void check_batch_form(const char* op, const char* name, int64_t count, const Tensor& batch) {
  require(batch.dim() == 1 && batch.size(0) == count, op, ": expected the batch vector of ", name, " of shape (", count,
          "), one number for each point");
}

[[noreturn]] inline void refuse_descent(const char* op, const char* name, int64_t number, int64_t at, int64_t before) {
  fail<std::invalid_argument>(op, ": expected the batch vector of ", name, " in ascending order, but number ", number,
                              " at ", at, " follows ", before, "; sort the points by their batch number");
}

[[noreturn]] inline void refuse_number(const char* op, const char* name, int64_t number, int64_t at) {
  fail<std::invalid_argument>(op, ": expected batch numbers >= 0, but that of ", name, "[", at, "] is ", number);
}

// Returns the lengths of a periodic box in the type of the points.
template <typename T>
std::vector<T> lengths_of(const char* op, const Tensor& box, const Tensor& x) {
  require(box.dim() == 1 && box.size(0) == x.size(1) && box.scalar_type() == ScalarType::Double && box.is_cpu(), op,
          ": expected a float64 box of shape (", x.size(1), ") on the CPU, one length for each axis");
  const Tensor sides = torch::stable::contiguous(box);
  std::vector<T> length;
  for (int64_t d = 0; d < x.size(1); ++d) {
    length.push_back(static_cast<T>(sides.const_data_ptr<double>()[d]));
    require(length.back() > 0, op, ": expected lengths > 0, but box[", d, "] = ", length.back());
  }
  return length;
}

// Moves a coordinate into a periodic box; along an axis of infinite length it stays.
template <typename T>
GEOOPS_BOTH T wrap(T value, T length) {
  if (length - length != 0) return value;
  T rest = std::fmod(value, length);
  if (rest < 0) rest += length;
  return rest < length ? rest : T(0);
}

inline void check_share(const char* op, double ratio, int64_t number) {
  require(number >= 0 || (ratio >= 0 && ratio <= 1), op, ": expected a number >= 0 or a ratio in [0, 1], got ", number,
          " and ", ratio);
}

inline void check_priority(const char* op, const Tensor& x, const Tensor& priority) {
  require(priority.dim() == 1 && priority.size(0) == x.size(0) && priority.scalar_type() == x.scalar_type(), op,
          ": expected priority of shape (", x.size(0), ") in ", x.scalar_type());
}

// Samples of an example of `size` points.
GEOOPS_BOTH int64_t samples_of(int64_t size, double ratio, int64_t number) {
  if (number >= 0) return number < size ? number : size;
  const auto share = static_cast<int64_t>(std::ceil(ratio * static_cast<double>(size) * (1 - 1e-12)));
  return share < size ? share : size;
}

}  // namespace geoops
