// What searches for neighbours demand of points and batches.
#include "../dispatch.h"
#include "neighbours.h"

namespace geoops {
namespace {

// The ranges of equal numbers, and those numbers.
std::vector<Segment> ranges(const char* op, const char* name, int64_t count, const std::optional<Tensor>& batch_,
                            std::vector<int64_t>& numbers) {
  std::vector<Segment> found;
  if (!batch_) {
    if (count > 0) found.push_back({0, count, -1}), numbers.push_back(0);
    return found;
  }
  require(batch_->dim() == 1 && batch_->size(0) == count, op, ": expected the batch vector of ", name, " of shape (",
          count, "), one number for each point");
  const Tensor batch = torch::stable::contiguous(*batch_);
  dispatch_index(op, batch.scalar_type(), [&]<typename index_t>() {
    const auto* b = batch.const_data_ptr<index_t>();
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0 && b[i] == b[i - 1]) continue;
      require(i == 0 || b[i] > b[i - 1], op, ": expected the batch vector of ", name,
              " in ascending order, but number ", b[i], " at ", i, " follows ", b[i - 1],
              "; sort the points by their batch number");
      require(b[i] >= 0, op, ": expected batch numbers >= 0, but that of ", name, "[", i, "] is ", b[i]);
      if (i > 0) found.back().end = i;
      found.push_back({i, count, -1});
      numbers.push_back(b[i]);
    }
  });
  return found;
}

}  // namespace

std::pair<std::vector<Segment>, std::vector<Segment>> segments(const char* op, const char* name_x, const Tensor& x,
                                                               const std::optional<Tensor>& batch_x, const char* name_y,
                                                               const Tensor& y, const std::optional<Tensor>& batch_y) {
  require(batch_x.has_value() == batch_y.has_value(), op,
          ": expected both batch_x and batch_y, or neither; give both sets a batch vector");
  std::vector<int64_t> in_x, in_y;
  auto of_x = ranges(op, name_x, x.size(0), batch_x, in_x), of_y = ranges(op, name_y, y.size(0), batch_y, in_y);
  for (size_t i = 0, j = 0; i < of_x.size() && j < of_y.size();) {
    if (in_x[i] == in_y[j])
      of_x[i].other = j, of_y[j].other = i, ++i, ++j;
    else
      ++(in_x[i] < in_y[j] ? i : j);
  }
  return {of_x, of_y};
}

void check_points(const char* op, const char* name, const Tensor& x) {
  require(x.dim() == 2, op, ": expected ", name, " of shape (points, dim), got ", x.dim(), " dimensions");
  require(x.scalar_type() == ScalarType::Float || x.scalar_type() == ScalarType::Double, op, ": expected ", name,
          " in float32 or float64, got ", x.scalar_type());
  require(x.size(1) >= 1, op, ": expected at least one coordinate of each point of ", name);
  require(x.size(0) <= kMost, op, ": expected at most ", kMost, " points in ", name, ", got ", x.size(0));
  dispatch_floats(op, x.scalar_type(), [&]<typename T>() {
    if constexpr (!is_half<T>) {
      const auto* p = x.const_data_ptr<T>();
      const int64_t e = first_bad(x.numel(), [&](int64_t i) { return !(p[i] - p[i] == 0); });
      if (e < x.numel())
        fail<std::invalid_argument>(op, ": expected finite coordinates, but ", name, "[", e / x.size(1), ", ",
                                    e % x.size(1), "] = ", p[e], "; remove such points");
    }
  });
}

}  // namespace geoops
