// Decompositions of 2x2 and 3x3 matrices without branches, over a lane type T: a number, or a vector with one matrix
// in each lane. Jacobi rotations in a fixed number of sweeps, on the columns for singular values (Hestenes; the
// normal equations of McAdams et al. 2011 lose half of the digits) and on both sides for eigenvalues.
#pragma once

#include <cmath>
#include <type_traits>
#include <utility>

#if !defined(__CUDACC__) && !defined(GEOOPS_EMULATED)
#include "cpu/lanes.h"  // a thread of CUDA has numbers for lanes
#endif

#ifdef __CUDACC__
#define GEOOPS_DENSE __host__ __device__ __forceinline__
#define GEOOPS_ROLLED  // nvcc keeps it rolled itself, and a matrix in registers only if it may choose
#else
#define GEOOPS_DENSE inline __attribute__((always_inline))
#define GEOOPS_ROLLED _Pragma("GCC unroll 1")
#endif

namespace geoops::dense {

template <typename T, bool = std::is_arithmetic_v<T>>
struct NumberOf {
  using type = T;
};
template <typename T>
struct NumberOf<T, false> {
  using type = std::remove_cvref_t<decltype(std::declval<T&>()[0])>;
};
template <typename T>
using number_t = typename NumberOf<T>::type;

template <typename T>
struct Limits;
template <>
struct Limits<float> {
  static constexpr float low = 0x1p-40f, high = 0x1p100f, up = 0x1p100f, down = 0x1p-100f;
  static constexpr float tiny = 1e-36f, epsilon = 0x1p-23f;
  static constexpr int sweeps = 4;
};
template <>
struct Limits<double> {
  static constexpr double low = 0x1p-400, high = 0x1p700, up = 0x1p700, down = 0x1p-700;
  static constexpr double tiny = 1e-300, epsilon = 0x1p-52;
  static constexpr int sweeps = 5;
};
template <typename T>
using limits = Limits<number_t<T>>;

// Two values that differ by less than this many units in the last place of the largest one count as equal.
constexpr float kEqual = 8.0f;

template <typename T>
GEOOPS_DENSE T all_of(number_t<T> value) {
  return T{} + value;
}

template <typename T>
GEOOPS_DENSE T magnitude(const T& x) {
  return x < T{} ? -x : x;
}

template <typename T>
GEOOPS_DENSE T larger(const T& x, const T& y) {
  return x > y ? x : y;
}

template <typename T>
GEOOPS_DENSE T root(const T& x) {
  if constexpr (std::is_arithmetic_v<T>) {
    return std::sqrt(x);
  } else {
    return root_of(x);  // of the lanes
  }
}

template <typename T, int D>
struct Vector {
  T at[D];
  GEOOPS_DENSE T& operator[](int i) { return at[i]; }
  GEOOPS_DENSE const T& operator[](int i) const { return at[i]; }
};

// Row by row in input and output; the decompositions hold columns, `at[j]` being the j-th.
template <typename T, int D>
struct Matrix {
  Vector<T, D> at[D];
  GEOOPS_DENSE Vector<T, D>& operator[](int i) { return at[i]; }
  GEOOPS_DENSE const Vector<T, D>& operator[](int i) const { return at[i]; }
};

template <typename T, int D>
GEOOPS_DENSE T dot(const Vector<T, D>& x, const Vector<T, D>& y) {
  T sum = x[0] * y[0];
  for (int i = 1; i < D; ++i) sum += x[i] * y[i];
  return sum;
}

template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> transpose(const Matrix<T, D>& x) {
  Matrix<T, D> y;
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) y[i][j] = x[j][i];
  return y;
}

template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> times(const Matrix<T, D>& x, const Matrix<T, D>& y) {
  Matrix<T, D> z;
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) {
      z[i][j] = x[i][0] * y[0][j];
      for (int k = 1; k < D; ++k) z[i][j] += x[i][k] * y[k][j];
    }
  return z;
}

// x y^T
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> times_transpose(const Matrix<T, D>& x, const Matrix<T, D>& y) {
  Matrix<T, D> z;
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) z[i][j] = dot(x[i], y[j]);
  return z;
}

template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> identity() {
  Matrix<T, D> x;
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) x[i][j] = all_of<T>(i == j);
  return x;
}

template <typename T>
GEOOPS_DENSE Vector<T, 3> cross(const Vector<T, 3>& x, const Vector<T, 3>& y) {
  return {{x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0]}};
}

// A unit vector at right angles to a unit vector.
template <typename T>
GEOOPS_DENSE Vector<T, 3> perpendicular(const Vector<T, 3>& x) {
  const auto first = magnitude(x[0]) < magnitude(x[2]);
  Vector<T, 3> y{{first ? T{} : -x[1], first ? -x[2] : x[0], first ? x[1] : T{}}};
  const T scale = 1.0f / root(dot(y, y));
  for (int i = 0; i < 3; ++i) y[i] *= scale;
  return y;
}

// A matrix divided by its largest entry, with an exact power of two first where the reciprocal leaves the range.
// `bad` is NaN where an entry is NaN or infinite, else zero.
template <typename T, int D>
struct Scaled {
  Matrix<T, D> x;
  T largest, back, bad;

  GEOOPS_DENSE explicit Scaled(const Matrix<T, D>& from) {
    using L = limits<T>;
    T most = T{};
    bad = T{};
    for (int i = 0; i < D; ++i)
      for (int j = 0; j < D; ++j) {
        most = larger(magnitude(from[i][j]), most);
        bad += from[i][j] * 0.0f;
      }
    const auto small = most<all_of<T>(L::low), big = most> all_of<T>(L::high);
    const T one = all_of<T>(1);
    const T power = small ? all_of<T>(L::up) : T(big ? all_of<T>(L::down) : one);
    back = small ? all_of<T>(L::down) : T(big ? all_of<T>(L::up) : one);
    largest = most * power;
    largest = largest > T{} ? largest : one;
    const T inverse = 1.0f / largest;
    for (int i = 0; i < D; ++i)
      for (int j = 0; j < D; ++j) x[i][j] = from[i][j] * power * inverse;
  }

  GEOOPS_DENSE T restore(const T& value) const { return value * largest * back + bad; }
};

// Cosine and sine of half of the angle of (d, e); (1, 0) where both vanish. With `whole` the angle is in (-90, 90]
// degrees, which also puts the larger value first; else in [-45, 45].
template <bool whole, typename T>
GEOOPS_DENSE void half_angle(const T& d, const T& e, T& c, T& s) {
  const T x = magnitude(d) + root(d * d + e * e), square = x * x + e * e;
  const auto none = square < all_of<T>(limits<T>::tiny);
  const T scale = 1.0f / root(none ? all_of<T>(1) : square);
  const auto behind = d < T{};
  if constexpr (whole) {
    c = behind ? magnitude(e) : x;
    s = behind ? T(e < T{} ? -x : x) : e;
  } else {
    c = x;
    s = behind ? -e : e;
  }
  c = none ? all_of<T>(1) : c * scale;
  s = none ? T{} : s * scale;
}

template <typename T, int D>
GEOOPS_DENSE void rotate(Vector<T, D>& x, Vector<T, D>& y, const T& c, const T& s) {
  for (int i = 0; i < D; ++i) {
    const T old = x[i];
    x[i] = c * old + s * y[i];
    y[i] = c * y[i] - s * old;
  }
}

// Turns nearly orthonormal columns into a rotation.
template <typename T, int D>
GEOOPS_DENSE void orthonormalise(Matrix<T, D>& x) {
  const T first = 1.0f / root(dot(x[0], x[0]));
  for (int i = 0; i < D; ++i) x[0][i] *= first;
  if constexpr (D == 2) {
    x[1][0] = -x[0][1];
    x[1][1] = x[0][0];
  } else {
    const T along = dot(x[0], x[1]);
    for (int i = 0; i < D; ++i) x[1][i] -= along * x[0][i];
    const T second = 1.0f / root(dot(x[1], x[1]));
    for (int i = 0; i < D; ++i) x[1][i] *= second;
    x[2] = cross(x[0], x[1]);
  }
}

// F = U diag(sigma) V^T; U and V are rotations and the last value carries the sign of det F, or, without
// `rotations`, the last column of U does.
template <typename T, int D>
GEOOPS_DENSE void svd(const Matrix<T, D>& f, bool rotations, Matrix<T, D>& u, Vector<T, D>& sigma, Matrix<T, D>& v) {
  const Scaled<T, D> scaled(f);
  const T tiny = all_of<T>(limits<T>::tiny), one = all_of<T>(1);
  Matrix<T, D> b = transpose(scaled.x), w = identity<T, D>();
  GEOOPS_ROLLED
  for (int sweep = 0; sweep < (D == 2 ? 2 : limits<T>::sweeps); ++sweep)
    for (int p = 0; p < D; ++p)
      for (int q = p + 1; q < D; ++q) {
        T c, s;
        half_angle<true>(dot(b[p], b[p]) - dot(b[q], b[q]), 2.0f * dot(b[p], b[q]), c, s);
        rotate(b[p], b[q], c, s);
        rotate(w[p], w[q], c, s);
      }
  orthonormalise(w);
  b = times_transpose(w, scaled.x);
  Matrix<T, D> left;
  const T square = dot(b[0], b[0]);
  const auto some = square > tiny;
  const T length = root(some ? square : one), scale = 1.0f / length;
  for (int i = 0; i < D; ++i) left[0][i] = some ? b[0][i] * scale : all_of<T>(i == 0);
  sigma[0] = some ? length : T{};
  if constexpr (D == 2) {
    left[1] = {{-left[0][1], left[0][0]}};
  } else {
    const T along = dot(left[0], b[1]), before = dot(b[1], b[1]);
    for (int i = 0; i < D; ++i) b[1][i] -= along * left[0][i];
    // Columns are orthogonal by now, unless the second is nothing but rounding.
    const T square1 = dot(b[1], b[1]);
    const auto some1 = square1 > larger<T>(tiny, 0.25f * before);
    const Vector<T, D> spare = perpendicular(left[0]);
    const T length1 = root(some1 ? square1 : one), scale1 = 1.0f / length1;
    for (int i = 0; i < D; ++i) left[1][i] = some1 ? b[1][i] * scale1 : spare[i];
    sigma[1] = some1 ? length1 : T{};
    left[2] = cross(left[0], left[1]);
  }
  sigma[D - 1] = dot(left[D - 1], b[D - 1]);
  const auto negative = sigma[D - 1] < T{};
  if (!rotations) {
    sigma[D - 1] = magnitude(sigma[D - 1]);
    for (int i = 0; i < D; ++i) left[D - 1][i] = negative ? -left[D - 1][i] : left[D - 1][i];
  }
  // Only rounding can have left the values out of order.
  for (int pass = 1; pass < D; ++pass)
    for (int i = D - 1; i >= pass; --i) {
      const T below = magnitude(sigma[i]), above = sigma[i - 1];
      const T less = below < above ? below : above;
      sigma[i - 1] = below < above ? above : below;
      sigma[i] = sigma[i] < T{} ? -less : less;
    }
  for (int i = 0; i < D; ++i) {
    sigma[i] = scaled.restore(sigma[i]);
    for (int j = 0; j < D; ++j) {
      u[i][j] = left[j][i] + scaled.bad;
      v[i][j] = w[j][i] + scaled.bad;
    }
  }
}

// (a + a^T) / 2 = Q diag(w) Q^T with ascending w and a rotation Q.
template <typename T, int D>
GEOOPS_DENSE void eigh(const Matrix<T, D>& from, Vector<T, D>& w, Matrix<T, D>& q) {
  Matrix<T, D> whole;
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) whole[i][j] = 0.5f * from[i][j] + 0.5f * from[j][i];
  const Scaled<T, D> scaled(whole);
  Matrix<T, D> a = scaled.x, x = identity<T, D>();
  GEOOPS_ROLLED
  for (int sweep = 0; sweep < (D == 2 ? 1 : limits<T>::sweeps); ++sweep)
    for (int p = 0; p < D; ++p)
      for (int r = p + 1; r < D; ++r) {
        T c, s;
        half_angle<false>(a[p][p] - a[r][r], 2.0f * a[p][r], c, s);
        rotate(a[p], a[r], c, s);
        a = transpose(a);
        rotate(a[p], a[r], c, s);
        a = transpose(a);
        rotate(x[p], x[r], c, s);
      }
  orthonormalise(x);
  for (int i = 0; i < D; ++i) {
    Vector<T, D> image;
    for (int k = 0; k < D; ++k) image[k] = dot(scaled.x[k], x[i]);
    w[i] = dot(x[i], image);
  }
  for (int pass = 1; pass < D; ++pass)
    for (int i = D - 1; i >= pass; --i) {
      const T below = w[i - 1], above = w[i];
      const auto swap = above < below;
      w[i] = swap ? below : above;
      w[i - 1] = swap ? above : below;
      for (int k = 0; k < D; ++k) {
        const T left = x[i - 1][k], right = x[i][k];
        x[i][k] = swap ? left : right;
        x[i - 1][k] = swap ? -right : left;
      }
    }
  for (int i = 0; i < D; ++i) {
    w[i] = scaled.restore(w[i]);
    for (int j = 0; j < D; ++j) q[i][j] = x[j][i] + scaled.bad;
  }
}

// 1 / x, or 0 where x vanishes up to rounding of values as large as `scale`.
template <typename T>
GEOOPS_DENSE T inverse_or_zero(const T& x, const T& scale) {
  const auto none = magnitude(x) <= scale * (kEqual * limits<T>::epsilon);
  return none ? T{} : 1.0f / (none ? all_of<T>(1) : x);
}

// U ((P + Q) / (sigma_j - sigma_i) + (P - Q) / (sigma_i + sigma_j) + diag(gs)) V^T with P = skew(U^T gU),
// Q = skew(V^T gV) (Papadopoulo & Lourakis 2000).
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> svd_backward(const Matrix<T, D>& u, const Vector<T, D>& sigma, const Matrix<T, D>& v,
                                       const Matrix<T, D>& gu, const Vector<T, D>& gs, const Matrix<T, D>& gv) {
  const Matrix<T, D> p = times(transpose(u), gu), q = times(transpose(v), gv);
  Matrix<T, D> g;
  for (int i = 0; i < D; ++i) {
    g[i][i] = gs[i];
    for (int j = i + 1; j < D; ++j) {
      const T pij = 0.5f * (p[i][j] - p[j][i]), qij = 0.5f * (q[i][j] - q[j][i]), scale = sigma[0];
      const T even = (pij + qij) * inverse_or_zero<T>(sigma[j] - sigma[i], scale);
      const T odd = (pij - qij) * inverse_or_zero<T>(sigma[i] + sigma[j], scale);
      g[i][j] = even + odd;
      g[j][i] = even - odd;
    }
  }
  return times_transpose(times(u, g), v);
}

// The derivatives of U diag(y) V^T in F = U diag(sigma) V^T and in y, from the quotients of differences.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> map_backward(const Matrix<T, D>& g_, const Matrix<T, D>& u, const Matrix<T, D>& v,
                                       const Matrix<T, D>& even, const Matrix<T, D>& odd, Vector<T, D>& gy) {
  Matrix<T, D> g = times(times(transpose(u), g_), v);
  for (int i = 0; i < D; ++i) {
    gy[i] = g[i][i];
    g[i][i] = T{};
    for (int j = i + 1; j < D; ++j) {
      const T sum = 0.5f * (g[i][j] + g[j][i]), difference = 0.5f * (g[i][j] - g[j][i]);
      g[i][j] = even[i][j] * sum + odd[i][j] * difference;
      g[j][i] = even[j][i] * sum - odd[j][i] * difference;
    }
  }
  return times_transpose(times(u, g), v);
}

// Q (skew(Q^T gQ) / (w_j - w_i) + diag(gw)) Q^T
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> eigh_backward(const Vector<T, D>& w, const Matrix<T, D>& q, const Vector<T, D>& gw,
                                        const Matrix<T, D>& gq) {
  const Matrix<T, D> p = times(transpose(q), gq);
  const T scale = larger(magnitude(w[0]), magnitude(w[D - 1]));
  Matrix<T, D> g;
  for (int i = 0; i < D; ++i) {
    g[i][i] = gw[i];
    for (int j = i + 1; j < D; ++j)
      g[i][j] = g[j][i] = 0.5f * (p[i][j] - p[j][i]) * inverse_or_zero<T>(w[j] - w[i], scale);
  }
  return times_transpose(times(q, g), q);
}

// F = R S with R = U V^T and S = V diag(sigma) V^T.
template <typename T, int D>
GEOOPS_DENSE void polar(const Matrix<T, D>& f, Matrix<T, D>& r, Matrix<T, D>& s) {
  Matrix<T, D> u, v, stretched;
  Vector<T, D> sigma;
  svd(f, true, u, sigma, v);
  r = times_transpose(u, v);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) stretched[i][j] = v[i][j] * sigma[j];
  s = times_transpose(stretched, v);
}

// Skew X with X S + S X = M - M^T: with the vectors x and m of the skew matrices, (tr(S) 1 - S) x = m. Zero where that
// system is singular up to rounding.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> sylvester(const Matrix<T, D>& s, const Matrix<T, D>& m) {
  Matrix<T, D> x{};
  if constexpr (D == 2) {
    const T trace = s[0][0] + s[1][1], scale = magnitude(s[0][0]) + magnitude(s[1][1]) + magnitude(s[0][1]);
    x[1][0] = (m[1][0] - m[0][1]) * inverse_or_zero(trace, scale);
    x[0][1] = -x[1][0];
  } else {
    const T largest = larger(larger(magnitude(s[0][0]), magnitude(s[1][1])), magnitude(s[2][2]));
    const T unit = 1.0f / (largest > T{} ? largest : all_of<T>(1));  // the determinant is of third order
    Matrix<T, 3> k;
    for (int i = 0; i < 3; ++i)
      for (int j = 0; j < 3; ++j) k[i][j] = -s[i][j] * unit;
    for (int i = 0; i < 3; ++i) k[i][i] = (s[(i + 1) % 3][(i + 1) % 3] + s[(i + 2) % 3][(i + 2) % 3]) * unit;
    const Vector<T, 3> rhs{{m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]}};
    const Matrix<T, 3> adjugate{{cross(k[1], k[2]), cross(k[2], k[0]), cross(k[0], k[1])}};  // symmetric
    const T inverse = inverse_or_zero<T>(dot(k[0], adjugate[0]), all_of<T>(1)) * unit;
    Vector<T, 3> y;
    for (int i = 0; i < 3; ++i) y[i] = dot(adjugate[i], rhs) * inverse;
    x[2][1] = y[0], x[0][2] = y[1], x[1][0] = y[2];
    x[1][2] = -y[0], x[2][0] = -y[1], x[0][1] = -y[2];
  }
  return x;
}

// R (X + sym gS) with X the solution for M = R^T gR - sym(gS) S.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> polar_backward(const Matrix<T, D>& r, const Matrix<T, D>& s, const Matrix<T, D>& gr,
                                         const Matrix<T, D>& gs) {
  Matrix<T, D> h, m = times(transpose(r), gr);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) h[i][j] = 0.5f * (gs[i][j] + gs[j][i]);
  const Matrix<T, D> hs = times(h, s);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) m[i][j] -= hs[i][j];
  Matrix<T, D> x = sylvester(s, m);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) x[i][j] += h[i][j];
  return times(r, x);
}

}  // namespace geoops::dense
