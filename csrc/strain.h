// Strains of 2x2 and 3x3 deformation gradients and what becomes of them, with adjoints that hold at equal stretches,
// over lanes as in small_dense.h.
#pragma once

#include "series.h"
#include "small_dense.h"

#if !defined(__CUDACC__) && !defined(GEOOPS_EMULATED)
#include "cpu/elementary.h"
#endif

namespace geoops::dense {

template <typename T>
GEOOPS_DENSE T logarithm(const T& x) {
  if constexpr (std::is_arithmetic_v<T>) {
    return std::log(x);
  } else {
    return logarithm_of(x);  // of the lanes
  }
}

template <typename T>
GEOOPS_DENSE void exponential(const T& x, T& exp, T& exp_minus_one) {
  if constexpr (std::is_arithmetic_v<T>) {
    exp = std::exp(x);
    exp_minus_one = std::expm1(x);
  } else {
    exponential_of(x, exp, exp_minus_one);
  }
}

// (log a - log b) / (2 (a - b) / (a + b)) for a >= b > 0, which is 1 at a = b.
template <typename T>
GEOOPS_DENSE T log_ratio(const T& a, const T& b) {
  const T r = (a - b) / (a + b), z = r * r;
  const auto near = z < all_of<T>(number_t<T>(0.0294));
  return near ? artanh_ratio<number_t<T>>(z) : logarithm<T>(a / b) / (2.0f * (near ? all_of<T>(1) : r));
}

// (1 - exp(-x)) / x for x >= 0, which is 1 at x = 0.
template <typename T>
GEOOPS_DENSE T decay_ratio(const T& x) {
  const auto none = x == T{};
  T exp, exp_minus_one;
  exponential<T>(-x, exp, exp_minus_one);
  return none ? all_of<T>(1) : -exp_minus_one / (none ? all_of<T>(1) : x);
}

// U diag(y) U^T, the same in both halves.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> symmetric(const Matrix<T, D>& u, const Vector<T, D>& y) {
  Matrix<T, D> x;
  for (int i = 0; i < D; ++i)
    for (int j = i; j < D; ++j) {
      T sum = u[i][0] * y[0] * u[j][0];
      for (int k = 1; k < D; ++k) sum += u[i][k] * y[k] * u[j][k];
      x[i][j] = x[j][i] = sum;
    }
  return x;
}

template <typename T, int D>
GEOOPS_DENSE T determinant(const Matrix<T, D>& x) {
  if constexpr (D == 2)
    return x[0][0] * x[1][1] - x[0][1] * x[1][0];
  else
    return dot(x[0], cross(x[1], x[2]));
}

// Features sigma - 1, F^T F - 1 and det F - 1 of F = U diag(sigma) V^T with rotations, and R = U V^T.
template <typename T, int D>
GEOOPS_DENSE void strain_features(const Matrix<T, D>& f, Vector<T, D + D * D + 1>& features, Matrix<T, D>& r,
                                  Matrix<T, D>& u) {
  Matrix<T, D> v;
  Vector<T, D> sigma;
  svd(f, true, u, sigma, v);
  r = times_transpose(u, v);
  const T bad = u[0][0] * 0.0f;
  for (int i = 0; i < D; ++i) features[i] = sigma[i] - 1.0f;
  const Matrix<T, D> columns = transpose(f);
  for (int i = 0; i < D; ++i)
    for (int j = i; j < D; ++j)
      features[D + i * D + j] = features[D + j * D + i] = dot(columns[i], columns[j]) - number_t<T>(i == j) + bad;
  features[D + D * D] = determinant(f) - 1.0f + bad;
}

// Adjoint of the above: U X V^T + F (G + G^T), with the derivatives of the singular values and of det F in the diagonal
// of X, and those of R, divided by sigma_i + sigma_j, besides it.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> strain_features_backward(const Matrix<T, D>& f, const Vector<T, D + D * D + 1>& features,
                                                   const Matrix<T, D>& r, const Matrix<T, D>& u,
                                                   const Vector<T, D + D * D + 1>& g, const Matrix<T, D>& gr) {
  const Matrix<T, D> ut = transpose(u), vt = times(ut, r);
  Matrix<T, D> x = times_transpose(times(ut, gr), vt), green;
  Vector<T, D> sigma;
  for (int i = 0; i < D; ++i) sigma[i] = features[i] + 1.0f;
  const T volume = g[D + D * D];
  for (int i = 0; i < D; ++i) {
    T others = volume;
    for (int j = 0; j < D; ++j)
      if (j != i) others *= sigma[j];
    x[i][i] = g[i] + others;
    for (int j = i + 1; j < D; ++j) {
      x[i][j] = (x[i][j] - x[j][i]) * inverse_or_zero<T>(sigma[i] + sigma[j], sigma[0]);
      x[j][i] = -x[i][j];
    }
    for (int j = 0; j < D; ++j) green[i][j] = g[D + i * D + j] + g[D + j * D + i];
  }
  x = times(times(u, x), vt);
  green = times(f, green);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) x[i][j] += green[i][j];
  return x;
}

// With singular values below `least` raised to it: h = U diag(log sigma) U^T, and x = U diag(sigma) V^T, which is F
// itself where there are none.
template <typename T, int D>
GEOOPS_DENSE void log_strain(const Matrix<T, D>& f, number_t<T> least, Matrix<T, D>& h, Matrix<T, D>& x,
                             Matrix<T, D>& u, Vector<T, D>& sigma, Matrix<T, D>& v) {
  svd(f, false, u, sigma, v);
  Vector<T, D> strain;
  Matrix<T, D> lifted;
  for (int i = 0; i < D; ++i) {
    const auto below = sigma[i] < all_of<T>(least);
    strain[i] = logarithm<T>(below ? all_of<T>(least) : sigma[i]);
    const T lift = below ? least - sigma[i] : T{};
    for (int j = 0; j < D; ++j) lifted[j][i] = u[j][i] * lift;
  }
  h = symmetric(u, strain);
  x = times_transpose(lifted, v);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) x[i][j] += f[i][j];
}

// Adjoint of the above, from the divided differences of log and of the raised singular values.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> log_strain_backward(number_t<T> least_, const Matrix<T, D>& u, const Vector<T, D>& sigma,
                                              const Matrix<T, D>& v, const Matrix<T, D>& gh, const Matrix<T, D>& gx) {
  const T least = all_of<T>(least_), one = all_of<T>(1);
  const Matrix<T, D> ut = transpose(u);
  Matrix<T, D> m = times(times(ut, gh), u), x = times(times(ut, gx), v);
  for (int i = 0; i < D; ++i) {
    const auto held = sigma[i] < least;
    m[i][i] = held ? T{} : m[i][i] / (held ? one : sigma[i]);
    x[i][i] = held ? -x[i][i] : T{};
    for (int j = i + 1; j < D; ++j) {
      const T &a = sigma[i], &b = sigma[j];
      const T ra = a < least ? least : a, rb = b < least ? least : b, total = a + b;
      const auto same = a == b;
      const T slope = same ? T(a < least ? T{} : one) : (ra - rb) / (same ? one : a - b);
      const T share = total > T{} ? 1.0f / (total > T{} ? total : one) : T{};
      const T even = (m[i][j] + m[j][i]) * 2.0f * slope * log_ratio<T>(ra, rb) / (ra + rb);
      m[i][j] = even * (b * share);
      m[j][i] = even * (a * share);
      const T lift = (ra - a) + (rb - b), inverse = inverse_or_zero<T>(total, sigma[0]);
      const T sum = 0.5f * (x[i][j] + x[j][i]) * (slope - 1.0f);
      const T turn = 0.5f * (x[i][j] - x[j][i]) * (inverse > T{} ? lift * inverse : T(lift > T{} ? -one : T{}));
      x[i][j] = sum + turn;
      x[j][i] = sum - turn;
    }
  }
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) m[i][j] += x[i][j];
  x = times_transpose(times(u, m), v);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) x[i][j] += gx[i][j];
  return x;
}

// exp(A) x = x + (exp(A) - 1) x with A = Q diag(w) Q^T, of which the former form is exact for negative w and the latter
// at A = 0.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> stretched(const Matrix<T, D>& q, const Vector<T, D>& w, const Matrix<T, D>& x) {
  const auto far = larger(-w[0], w[D - 1]) > all_of<T>(0.5f);
  Vector<T, D> change;
  T exp;
  for (int i = 0; i < D; ++i) {
    exponential<T>(w[i], exp, change[i]);
    change[i] = far ? exp : change[i];
  }
  Matrix<T, D> y = times(symmetric(q, change), x);
  for (int i = 0; i < D; ++i)
    for (int j = 0; j < D; ++j) y[i][j] += far ? T{} : x[i][j];
  return y;
}

// exp(A) F for the symmetric part A = Q diag(w) Q^T.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> exp_strain(const Matrix<T, D>& a, const Matrix<T, D>& f, Vector<T, D>& w, Matrix<T, D>& q) {
  eigh(a, w, q);
  return stretched(q, w, f);
}

// Its derivatives: Q (K * Q^T sym(g F^T) Q) Q^T with the divided differences K of exp, and exp(A) g.
template <typename T, int D>
GEOOPS_DENSE Matrix<T, D> exp_strain_backward(const Matrix<T, D>& f, const Vector<T, D>& w, const Matrix<T, D>& q,
                                              const Matrix<T, D>& g, Matrix<T, D>& gf) {
  gf = stretched(q, w, g);
  const Matrix<T, D> qt = transpose(q), full = times_transpose(g, f);
  Matrix<T, D> m = times(times(qt, full), q);
  for (int j = 0; j < D; ++j) {
    T exp, less;
    exponential<T>(w[j], exp, less);
    m[j][j] *= exp;
    for (int i = 0; i < j; ++i) m[i][j] = m[j][i] = 0.5f * (m[i][j] + m[j][i]) * exp * decay_ratio<T>(w[j] - w[i]);
  }
  m = times(times(q, m), qt);
  for (int i = 0; i < D; ++i)
    for (int j = i + 1; j < D; ++j) m[i][j] = m[j][i] = 0.5f * (m[i][j] + m[j][i]);
  return m;
}

}  // namespace geoops::dense
