// Singular values, polar factors and eigenvalues of batches of 2x2 and 3x3 matrices: what the CPU and CUDA kernels
// check, allocate, and do for each matrix. A device reads and writes matrices in lanes of its own and walks through a
// batch.
#pragma once

#include "small_matrices.h"

#include <tuple>

#include <torch/csrc/stable/library.h>

namespace geoops {

// Each job is one matrix, or a block of them, at `place`. IO reads and writes them; its T is the type of the lanes.
template <typename IO>
struct Svd {
  using T = typename IO::T;
  const typename IO::scalar_t* f;
  typename IO::scalar_t *u, *sigma, *v;
  bool rotations;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Matrix<T, IO::D> left, right;
    dense::Vector<T, IO::D> values;
    dense::svd(IO::matrix(f, place), rotations, left, values, right);
    IO::write(u, place, left);
    IO::write(sigma, place, values);
    IO::write(v, place, right);
  }
};

template <typename IO>
struct SvdBackward {
  const typename IO::scalar_t *u, *sigma, *v, *gu, *gs, *gv;
  typename IO::scalar_t* out;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    IO::write(out, place,
              dense::svd_backward(IO::matrix(u, place), IO::vector(sigma, place), IO::matrix(v, place),
                                  IO::matrix(gu, place), IO::vector(gs, place), IO::matrix(gv, place)));
  }
};

template <typename IO>
struct Polar {
  const typename IO::scalar_t* f;
  typename IO::scalar_t *r, *s;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Matrix<typename IO::T, IO::D> rotation, stretch;
    dense::polar(IO::matrix(f, place), rotation, stretch);
    IO::write(r, place, rotation);
    IO::write(s, place, stretch);
  }
};

template <typename IO>
struct PolarBackward {
  const typename IO::scalar_t *r, *s, *gr, *gs;
  typename IO::scalar_t* out;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    IO::write(out, place,
              dense::polar_backward(IO::matrix(r, place), IO::matrix(s, place), IO::matrix(gr, place),
                                    IO::matrix(gs, place)));
  }
};

template <typename IO>
struct Eigh {
  const typename IO::scalar_t* a;
  typename IO::scalar_t *w, *q;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Matrix<typename IO::T, IO::D> vectors;
    dense::Vector<typename IO::T, IO::D> values;
    dense::eigh(IO::matrix(a, place), values, vectors);
    IO::write(w, place, values);
    IO::write(q, place, vectors);
  }
};

template <typename IO>
struct EighBackward {
  const typename IO::scalar_t *w, *q, *gw, *gq;
  typename IO::scalar_t* out;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    IO::write(
        out, place,
        dense::eigh_backward(IO::vector(w, place), IO::matrix(q, place), IO::vector(gw, place), IO::matrix(gq, place)));
  }
};

// U diag(y) V^T
template <typename IO>
struct Map {
  const typename IO::scalar_t *y, *u, *v;
  typename IO::scalar_t* out;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    auto left = IO::matrix(u, place);
    const auto values = IO::vector(y, place);
    for (int i = 0; i < IO::D; ++i)
      for (int j = 0; j < IO::D; ++j) left[i][j] *= values[j];
    IO::write(out, place, dense::times_transpose(left, IO::matrix(v, place)));
  }
};

template <typename IO>
struct MapBackward {
  const typename IO::scalar_t *g, *u, *v, *even, *odd;
  typename IO::scalar_t *gf, *gy;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Vector<typename IO::T, IO::D> values;
    IO::write(gf, place,
              dense::map_backward(IO::matrix(g, place), IO::matrix(u, place), IO::matrix(v, place),
                                  IO::matrix(even, place), IO::matrix(odd, place), values));
    IO::write(gy, place, values);
  }
};

// The ops. Device has `IO<scalar_t, d>`, `Guard`, `same` (checks where tensors are), `fresh` (of large results) and
// `each(op, x, cost, job)`, which runs the job for all matrices of x; `cost` is the work of one.
template <typename Device>
struct Decompositions {
  using Guard = typename Device::Guard;
  template <typename scalar_t, int D>
  using IO = typename Device::template IO<scalar_t, D>;

  static Tensor matrices_of(const Tensor& x) { return Device::fresh(empty_of(x, x.dim())); }
  static Tensor vectors_of(const Tensor& x) { return Device::fresh(empty_of(x, x.dim() - 1)); }

  static std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& f_, bool rotations) {
    const char* op = "svd";
    check_matrices(op, "F", f_);
    const Guard guard(f_);
    const Tensor f = whole(f_);
    Tensor u = matrices_of(f), sigma = vectors_of(f), v = matrices_of(f);
    dispatch_small(op, f, [&]<typename scalar_t, int D>() {
      Device::each(
          op, f, 512,
          Svd<IO<scalar_t, D>>{in<scalar_t>(f), to<scalar_t>(u), to<scalar_t>(sigma), to<scalar_t>(v), rotations});
    });
    return {u, sigma, v};
  }

  static Tensor svd_backward(const Tensor& u_, const Tensor& sigma_, const Tensor& v_, const Tensor& gu_,
                             const Tensor& gs_, const Tensor& gv_) {
    const char* op = "svd_backward";
    check_matrices(op, "U", u_);
    const int64_t numbers = u_.numel();
    check_partner(op, "sigma", sigma_, numbers / u_.size(-1), u_);
    check_partner(op, "V", v_, numbers, u_);
    check_partner(op, "gU", gu_, numbers, u_);
    check_partner(op, "gsigma", gs_, numbers / u_.size(-1), u_);
    check_partner(op, "gV", gv_, numbers, u_);
    Device::same(op, u_, {&sigma_, &v_, &gu_, &gs_, &gv_});
    const Guard guard(u_);
    const Tensor u = whole(u_), sigma = whole(sigma_), v = whole(v_), gu = whole(gu_), gs = whole(gs_), gv = whole(gv_);
    Tensor out = matrices_of(u);
    dispatch_small(op, u, [&]<typename scalar_t, int D>() {
      Device::each(op, u, 128,
                   SvdBackward<IO<scalar_t, D>>{in<scalar_t>(u), in<scalar_t>(sigma), in<scalar_t>(v), in<scalar_t>(gu),
                                                in<scalar_t>(gs), in<scalar_t>(gv), to<scalar_t>(out)});
    });
    return out;
  }

  static std::tuple<Tensor, Tensor> polar(const Tensor& f_) {
    const char* op = "polar";
    check_matrices(op, "F", f_);
    const Guard guard(f_);
    const Tensor f = whole(f_);
    Tensor r = matrices_of(f), s = matrices_of(f);
    dispatch_small(op, f, [&]<typename scalar_t, int D>() {
      Device::each(op, f, 512, Polar<IO<scalar_t, D>>{in<scalar_t>(f), to<scalar_t>(r), to<scalar_t>(s)});
    });
    return {r, s};
  }

  static Tensor polar_backward(const Tensor& r_, const Tensor& s_, const Tensor& gr_, const Tensor& gs_) {
    const char* op = "polar_backward";
    check_matrices(op, "R", r_);
    check_partner(op, "S", s_, r_.numel(), r_);
    check_partner(op, "gR", gr_, r_.numel(), r_);
    check_partner(op, "gS", gs_, r_.numel(), r_);
    Device::same(op, r_, {&s_, &gr_, &gs_});
    const Guard guard(r_);
    const Tensor r = whole(r_), s = whole(s_), gr = whole(gr_), gs = whole(gs_);
    Tensor out = matrices_of(r);
    dispatch_small(op, r, [&]<typename scalar_t, int D>() {
      Device::each(op, r, 128,
                   PolarBackward<IO<scalar_t, D>>{in<scalar_t>(r), in<scalar_t>(s), in<scalar_t>(gr), in<scalar_t>(gs),
                                                  to<scalar_t>(out)});
    });
    return out;
  }

  static std::tuple<Tensor, Tensor> eigh(const Tensor& a_) {
    const char* op = "eigh";
    check_matrices(op, "A", a_);
    const Guard guard(a_);
    const Tensor a = whole(a_);
    Tensor w = vectors_of(a), q = matrices_of(a);
    dispatch_small(op, a, [&]<typename scalar_t, int D>() {
      Device::each(op, a, 512, Eigh<IO<scalar_t, D>>{in<scalar_t>(a), to<scalar_t>(w), to<scalar_t>(q)});
    });
    return {w, q};
  }

  static Tensor eigh_backward(const Tensor& w_, const Tensor& q_, const Tensor& gw_, const Tensor& gq_) {
    const char* op = "eigh_backward";
    check_matrices(op, "Q", q_);
    check_partner(op, "w", w_, q_.numel() / q_.size(-1), q_);
    check_partner(op, "gw", gw_, q_.numel() / q_.size(-1), q_);
    check_partner(op, "gQ", gq_, q_.numel(), q_);
    Device::same(op, q_, {&w_, &gw_, &gq_});
    const Guard guard(q_);
    const Tensor w = whole(w_), q = whole(q_), gw = whole(gw_), gq = whole(gq_);
    Tensor out = matrices_of(q);
    dispatch_small(op, q, [&]<typename scalar_t, int D>() {
      Device::each(op, q, 128,
                   EighBackward<IO<scalar_t, D>>{in<scalar_t>(w), in<scalar_t>(q), in<scalar_t>(gw), in<scalar_t>(gq),
                                                 to<scalar_t>(out)});
    });
    return out;
  }

  // U diag(y) V^T; the other arguments are for its derivative.
  static Tensor singular_value_map(const Tensor& f, const Tensor& y_, const Tensor& u_, const Tensor& v_,
                                   const Tensor& even, const Tensor& odd) {
    const char* op = "singular_value_map";
    check_matrices(op, "F", f);
    const int64_t numbers = f.numel();
    check_partner(op, "y", y_, numbers / f.size(-1), f);
    check_partner(op, "U", u_, numbers, f);
    check_partner(op, "V", v_, numbers, f);
    check_partner(op, "even", even, numbers, f);
    check_partner(op, "odd", odd, numbers, f);
    Device::same(op, f, {&y_, &u_, &v_});
    const Guard guard(f);
    const Tensor y = whole(y_), u = whole(u_), v = whole(v_);
    Tensor out = matrices_of(f);
    dispatch_small(op, f, [&]<typename scalar_t, int D>() {
      Device::each(op, f, 64,
                   Map<IO<scalar_t, D>>{in<scalar_t>(y), in<scalar_t>(u), in<scalar_t>(v), to<scalar_t>(out)});
    });
    return out;
  }

  static std::tuple<Tensor, Tensor> singular_value_map_backward(const Tensor& g_, const Tensor& u_, const Tensor& v_,
                                                                const Tensor& even_, const Tensor& odd_) {
    const char* op = "singular_value_map_backward";
    check_matrices(op, "g", g_);
    const int64_t numbers = g_.numel();
    check_partner(op, "U", u_, numbers, g_);
    check_partner(op, "V", v_, numbers, g_);
    check_partner(op, "even", even_, numbers, g_);
    check_partner(op, "odd", odd_, numbers, g_);
    Device::same(op, g_, {&u_, &v_, &even_, &odd_});
    const Guard guard(g_);
    const Tensor g = whole(g_), u = whole(u_), v = whole(v_), even = whole(even_), odd = whole(odd_);
    Tensor gf = matrices_of(g), gy = vectors_of(g);
    dispatch_small(op, g, [&]<typename scalar_t, int D>() {
      Device::each(op, g, 128,
                   MapBackward<IO<scalar_t, D>>{in<scalar_t>(g), in<scalar_t>(u), in<scalar_t>(v), in<scalar_t>(even),
                                                in<scalar_t>(odd), to<scalar_t>(gf), to<scalar_t>(gy)});
    });
    return {gf, gy};
  }

  template <typename Library>
  static void implement(Library& m) {
    m.impl("svd", TORCH_BOX(&svd));
    m.impl("svd_backward", TORCH_BOX(&svd_backward));
    m.impl("polar", TORCH_BOX(&polar));
    m.impl("polar_backward", TORCH_BOX(&polar_backward));
    m.impl("eigh", TORCH_BOX(&eigh));
    m.impl("eigh_backward", TORCH_BOX(&eigh_backward));
    m.impl("singular_value_map", TORCH_BOX(&singular_value_map));
    m.impl("singular_value_map_backward", TORCH_BOX(&singular_value_map_backward));
  }
};

}  // namespace geoops
