// Series that CPU and CUDA kernels share.
#pragma once

#include "both.h"

namespace geoops {

// artanh(r) / r for z = r^2 <= (3 - sqrt 8)^2, which is r = (x - 1) / (x + 1) for x in [1/sqrt 2, sqrt 2].
template <typename scalar_t, typename T>
GEOOPS_BOTH T artanh_ratio(const T& z) {
  constexpr int terms = sizeof(scalar_t) == 4 ? 5 : 11;
  T y = T{} + scalar_t(1) / (2 * terms - 1);
  for (int k = terms - 1; k > 0; --k) y = y * z + scalar_t(1) / (2 * k - 1);
  return y;
}

}  // namespace geoops
