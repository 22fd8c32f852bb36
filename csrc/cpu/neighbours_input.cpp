// What searches for neighbours demand of points and batches.
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
  check_batch_form(op, name, count, *batch_);
  const Tensor batch = torch::stable::contiguous(*batch_);
  dispatch_index(op, batch.scalar_type(), [&]<typename index_t>() {
    const auto* b = batch.const_data_ptr<index_t>();
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0 && b[i] == b[i - 1]) continue;
      if (i > 0 && b[i] < b[i - 1]) refuse_descent(op, name, b[i], i, b[i - 1]);
      if (b[i] < 0) refuse_number(op, name, b[i], i);
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
  check_batches(op, batch_x, batch_y);
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
  check_form(op, name, x);
  dispatch_floats(op, x.scalar_type(), [&]<typename T>() {
    if constexpr (!is_half<T>) {
      const auto* p = x.const_data_ptr<T>();
      const int64_t e = first_bad(x.numel(), [&](int64_t i) { return !(p[i] - p[i] == 0); });
      if (e < x.numel()) refuse_coordinate(op, name, x, e, p[e]);
    }
  });
}

}  // namespace geoops
