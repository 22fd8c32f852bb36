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

inline void check_rows(const char* op, const char* name, const Tensor& rows) {
  require(rows.dim() == 3, op, ": expected ", name, " of shape (nodes, heads, channels), got ", rows.dim(),
          " dimensions");
}

inline void check_weights(const char* op, const char* name, const Tensor& w, const Tensor& x, const Tensor& src) {
  require(w.dim() == 2 && w.size(0) == src.numel() && w.size(1) == x.size(1), op, ": expected ", name, " of shape (",
          src.numel(), " edges, ", x.size(1), " heads)");
  require(x.scalar_type() == w.scalar_type(), op, ": ", name, " is ", w.scalar_type(), " and the rows are ",
          x.scalar_type());
}

inline void check_edge_sum(const char* op, const Tensor& x, const Tensor& w, const Tensor& src, const Tensor& dst,
                           int64_t n) {
  check_edges(op, src, dst);
  check_rows(op, "the rows", x);
  check_weights(op, "the weights", w, x, src);
  require(n >= 0, op, ": expected a number of targets n >= 0, got ", n);
}

inline void check_edge_dot(const Tensor& x, const Tensor& y, const Tensor& src, const Tensor& dst) {
  check_edges("edge_dot", src, dst);
  check_rows("edge_dot", "x", x);
  check_rows("edge_dot", "y", y);
  require(x.size(1) == y.size(1) && x.size(2) == y.size(2), "edge_dot: x and y differ in heads or channels");
  require(x.scalar_type() == y.scalar_type(), "edge_dot: x is ", x.scalar_type(), " and y is ", y.scalar_type());
}

}  // namespace geoops
