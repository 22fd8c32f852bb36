// Conditions under which the kernels are memory-safe. The Python wrappers state them at length and first; these hold
// for callers of torch.ops.geoops too. pybind11 turns std::invalid_argument into ValueError, std::out_of_range into
// IndexError.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/core/ScalarType.h>

namespace geoops {

using torch::headeronly::ScalarType;
using torch::stable::Tensor;

template <typename Error, typename... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream message;
  (message << ... << parts);
  throw Error(message.str());
}

template <typename... Parts>
void require(bool condition, const Parts&... parts) {
  if (!condition) fail<std::invalid_argument>(parts...);
}

inline void check_edges(const char* op, const Tensor& src, const Tensor& dst) {
  require(src.dim() == 1 && dst.dim() == 1, op, ": expected one-dimensional src and dst, got ", src.dim(), " and ",
          dst.dim(), " dimensions");
  require(src.numel() == dst.numel(), op, ": src has ", src.numel(), " edges and dst has ", dst.numel());
  require(src.scalar_type() == dst.scalar_type(), op, ": src is ", src.scalar_type(), " and dst is ", dst.scalar_type(),
          "; cast one of them");
}

inline void check_edge_sum(const Tensor& x, const Tensor& w, const Tensor& src, const Tensor& dst, int64_t n) {
  check_edges("edge_sum", src, dst);
  require(x.dim() == 2, "edge_sum: expected x of shape (sources, channels), got ", x.dim(), " dimensions");
  require(w.dim() == 1 && w.numel() == src.numel(), "edge_sum: expected one weight for each of ", src.numel(),
          " edges, got ", w.numel());
  require(x.scalar_type() == w.scalar_type(), "edge_sum: x is ", x.scalar_type(), " and w is ", w.scalar_type());
  require(n >= 0, "edge_sum: expected a number of targets n >= 0, got ", n);
}

inline void check_edge_dot(const Tensor& x, const Tensor& y, const Tensor& src, const Tensor& dst) {
  check_edges("edge_dot", src, dst);
  require(x.dim() == 2 && y.dim() == 2 && x.size(1) == y.size(1),
          "edge_dot: expected x of shape (sources, channels) and y of shape (targets, channels)");
  require(x.scalar_type() == y.scalar_type(), "edge_dot: x is ", x.scalar_type(), " and y is ", y.scalar_type());
}

}  // namespace geoops
