// What the CPU and CUDA kernels of scatter and segment check before they run.
#pragma once

#include "both.h"
#include "checks.h"

namespace geoops {

struct Sum {
  static constexpr int start = 0;
  template <typename T>
  static GEOOPS_BOTH constexpr T of(T a, T b) {
    return a + b;
  }
};

struct Product {
  static constexpr int start = 1;
  template <typename T>
  static GEOOPS_BOTH constexpr T of(T a, T b) {
    return a * b;
  }
};

inline void check_layout(const char* op, const char* name, const Tensor& x) {
  require(x.dim() == 3, op, ": expected ", name, " of shape (outer, entries, inner), got ", x.dim(), " dimensions");
}

inline void check_scatter(const char* op, const Tensor& x, const Tensor& index, int64_t n) {
  check_layout(op, "x", x);
  require(index.dim() == 1 && index.numel() == x.size(1), op, ": expected one index for each of ", x.size(1),
          " entries, got ", index.numel(), " in ", index.dim(), " dimensions");
  require(n >= 0, op, ": expected a number of targets n >= 0, got ", n);
}

inline void check_segment(const char* op, const Tensor& x, const Tensor& ptr) {
  check_layout(op, "x", x);
  require(ptr.dim() == 2 && ptr.size(1) >= 1 && (ptr.size(0) == 1 || ptr.size(0) == x.size(0)), op,
          ": expected ptr of shape (1 or outer, segments + 1)");
  require(ptr.scalar_type() == ScalarType::Long, op, ": expected int64 ptr, got ", ptr.scalar_type());
}

inline void check_arg(const char* op, const Tensor& x, const Tensor& arg) {
  check_layout(op, "x", x);
  check_layout(op, "arg", arg);
  require(x.size(0) == arg.size(0) && x.size(2) == arg.size(2), op, ": x and arg differ in outer or inner size");
  require(arg.scalar_type() == ScalarType::Long, op, ": expected int64 arg, got ", arg.scalar_type());
}

}  // namespace geoops
