// The squared distance from a point to a segment or a triangle, in any type of numbers.
#pragma once

#include "both.h"
#include "checks.h"

#include <cstdint>

namespace geoops {

constexpr double kSlack = 1e-12;  // relative; what rounding can make of the distance to a box
constexpr double kFlat = 1e-24;   // squared sine below which a triangle has no plane

template <typename real, int D>
struct Vector {
  real c[D];
  GEOOPS_BOTH real& operator[](int d) { return c[d]; }
  GEOOPS_BOTH const real& operator[](int d) const { return c[d]; }
};

template <typename real, int D>
GEOOPS_BOTH real dot(const Vector<real, D>& u, const Vector<real, D>& v) {
  real sum = 0;
  for (int d = 0; d < D; ++d) sum = sum + u[d] * v[d];
  return sum;
}

template <typename real, int D>
GEOOPS_BOTH Vector<real, D> operator-(const Vector<real, D>& u, const Vector<real, D>& v) {
  Vector<real, D> w;
  for (int d = 0; d < D; ++d) w[d] = u[d] - v[d];
  return w;
}

template <typename real, int D>
GEOOPS_BOTH real to_segment(const Vector<real, D>& a, const Vector<real, D>& b, const Vector<real, D>& p) {
  const Vector<real, D> e = b - a, w = p - a;
  const real length = dot(e, e), zero = 0, one = 1;
  real t = dot(e, w) / (length > zero ? length : one);
  t = t < zero ? zero : one < t ? one : t;
  real sum = 0;
  for (int d = 0; d < D; ++d) {
    const real off = w[d] - t * e[d];
    sum = sum + off * off;
  }
  return sum;
}

// Inside of the prism over the triangle it is the distance to the plane, elsewhere that to the nearest edge.
template <typename real, int D>
GEOOPS_BOTH real to_triangle(const Vector<real, D>& a, const Vector<real, D>& b, const Vector<real, D>& c,
                             const Vector<real, D>& p) {
  const Vector<real, D> u = b - a, v = c - a, w = p - a;
  const real uu = dot(u, u), uv = dot(u, v), vv = dot(v, v), wu = dot(w, u), wv = dot(w, v);
  const real area = uu * vv - uv * uv, zero = 0, one = 1;
  if (area > real(kFlat) * uu * vv) {
    const real beta = (vv * wu - uv * wv) / area, gamma = (uu * wv - uv * wu) / area;
    if (beta >= zero && gamma >= zero && beta + gamma <= one) {
      real sum = 0;
      for (int d = 0; d < D; ++d) {
        const real off = w[d] - beta * u[d] - gamma * v[d];
        sum = sum + off * off;
      }
      return sum;
    }
  }
  real best = to_segment(a, b, p);
  const real second = to_segment(b, c, p), third = to_segment(c, a, p);
  best = second < best ? second : best;
  return third < best ? third : best;
}

template <int K, typename real, int D>
GEOOPS_BOTH real to_facet(const Vector<real, D>* corners, const Vector<real, D>& p) {
  if constexpr (K == 2)
    return to_segment(corners[0], corners[1], p);
  else
    return to_triangle(corners[0], corners[1], corners[2], p);
}

inline void check_facets(const Tensor& corners, const Tensor& points) {
  const char* op = "nearest_facet: ";
  require(corners.dim() == 3 && points.dim() == 2, op,
          "expected corners (facets, corners, dim) and points (points, dim)");
  require(corners.scalar_type() == ScalarType::Double && points.scalar_type() == ScalarType::Double, op,
          "expected float64, got ", corners.scalar_type(), " and ", points.scalar_type());
  const int64_t kind = corners.size(1), dim = corners.size(2);
  require((kind == 2 || kind == 3) && (dim == 2 || dim == 3), op, "expected 2 or 3 corners in 2 or 3 dimensions, got ",
          kind, " in ", dim);
  require(points.size(1) == dim, op, "points have ", points.size(1), " coordinates, corners have ", dim);
  require(corners.size(0) > 0 || points.size(0) == 0, op, "there are no facets");
}

// Calls body.operator()<K, D>() for K corners in D dimensions.
template <typename Body>
void dispatch_facets(const Tensor& corners, const Body& body) {
  if (corners.size(1) == 2)
    corners.size(2) == 2 ? body.template operator()<2, 2>() : body.template operator()<2, 3>();
  else
    corners.size(2) == 2 ? body.template operator()<3, 2>() : body.template operator()<3, 3>();
}

}  // namespace geoops
