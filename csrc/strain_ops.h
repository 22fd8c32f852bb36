// Products of batches of 2x2 and 3x3 matrices and their strains: what the CPU and CUDA kernels check, allocate, and do
// for each matrix, as in decompositions.h.
#pragma once

#include "small_matrices.h"
#include "strain.h"

#include <tuple>

#include <torch/csrc/stable/library.h>

namespace geoops {

template <typename IO>
struct Product {
  const typename IO::scalar_t *a, *b;
  typename IO::scalar_t* out;
  bool transpose_a, transpose_b;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    auto left = IO::matrix(a, place), right = IO::matrix(b, place);
    if (transpose_a) left = dense::transpose(left);
    IO::write(out, place, transpose_b ? dense::times_transpose(left, right) : dense::times(left, right));
  }
};

template <typename IO>
constexpr int kFeatures = IO::D + IO::D * IO::D + 1;

template <typename IO>
struct Features {
  const typename IO::scalar_t* f;
  typename IO::scalar_t *features, *r, *u;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Vector<typename IO::T, kFeatures<IO>> values;
    dense::Matrix<typename IO::T, IO::D> rotation, left;
    dense::strain_features(IO::matrix(f, place), values, rotation, left);
    IO::write(features, place, values);
    IO::write(r, place, rotation);
    IO::write(u, place, left);
  }
};

template <typename IO>
struct FeaturesBackward {
  const typename IO::scalar_t *f, *features, *r, *u, *g, *gr;
  typename IO::scalar_t* out;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    constexpr int K = kFeatures<IO>;
    IO::write(out, place,
              dense::strain_features_backward(IO::matrix(f, place), IO::template vector<K>(features, place),
                                              IO::matrix(r, place), IO::matrix(u, place),
                                              IO::template vector<K>(g, place), IO::matrix(gr, place)));
  }
};

template <typename IO>
struct LogStrain {
  const typename IO::scalar_t* f;
  double least;
  typename IO::scalar_t *h, *x, *u, *sigma, *v;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Matrix<typename IO::T, IO::D> strain, raised, left, right;
    dense::Vector<typename IO::T, IO::D> values;
    dense::log_strain(IO::matrix(f, place), static_cast<typename IO::scalar_t>(least), strain, raised, left, values,
                      right);
    IO::write(h, place, strain);
    IO::write(x, place, raised);
    IO::write(u, place, left);
    IO::write(sigma, place, values);
    IO::write(v, place, right);
  }
};

template <typename IO>
struct LogStrainBackward {
  double least;
  const typename IO::scalar_t *u, *sigma, *v, *gh, *gx;
  typename IO::scalar_t* out;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    IO::write(out, place,
              dense::log_strain_backward(static_cast<typename IO::scalar_t>(least), IO::matrix(u, place),
                                         IO::vector(sigma, place), IO::matrix(v, place), IO::matrix(gh, place),
                                         IO::matrix(gx, place)));
  }
};

template <typename IO>
struct ExpStrain {
  const typename IO::scalar_t *a, *f;
  typename IO::scalar_t *out, *w, *q;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Matrix<typename IO::T, IO::D> vectors;
    dense::Vector<typename IO::T, IO::D> values;
    IO::write(out, place, dense::exp_strain(IO::matrix(a, place), IO::matrix(f, place), values, vectors));
    IO::write(w, place, values);
    IO::write(q, place, vectors);
  }
};

template <typename IO>
struct ExpStrainBackward {
  const typename IO::scalar_t *f, *w, *q, *g;
  typename IO::scalar_t *ga, *gf;
  GEOOPS_DENSE void operator()(const typename IO::Place& place) const {
    dense::Matrix<typename IO::T, IO::D> of_f;
    IO::write(ga, place,
              dense::exp_strain_backward(IO::matrix(f, place), IO::vector(w, place), IO::matrix(q, place),
                                         IO::matrix(g, place), of_f));
    IO::write(gf, place, of_f);
  }
};

// The ops; Device as for Decompositions.
template <typename Device>
struct Strains {
  using Guard = typename Device::Guard;
  template <typename scalar_t, int D>
  using IO = typename Device::template IO<scalar_t, D>;

  static Tensor matrices_of(const Tensor& x) { return Device::fresh(empty_of(x, x.dim())); }
  static Tensor vectors_of(const Tensor& x) { return Device::fresh(empty_of(x, x.dim() - 1)); }
  static int64_t features_of(const Tensor& x) { return x.size(-1) + x.size(-1) * x.size(-1) + 1; }

  static Tensor small_matmul(const Tensor& a_, const Tensor& b_, bool transpose_a, bool transpose_b) {
    const char* op = "small_matmul";
    check_matrices(op, "A", a_);
    check_partner(op, "B", b_, a_.numel(), a_);
    Device::same(op, a_, {&b_});
    const Guard guard(a_);
    const Tensor a = whole(a_), b = whole(b_);
    Tensor out = matrices_of(a);
    dispatch_small(op, a, [&]<typename scalar_t, int D>() {
      Device::each(
          op, a, 32,
          Product<IO<scalar_t, D>>{in<scalar_t>(a), in<scalar_t>(b), to<scalar_t>(out), transpose_a, transpose_b});
    });
    return out;
  }

  static std::tuple<Tensor, Tensor, Tensor> strain_features(const Tensor& f_) {
    const char* op = "strain_features";
    check_matrices(op, "F", f_);
    const Guard guard(f_);
    const Tensor f = whole(f_);
    std::vector<int64_t> shape;
    for (int64_t i = 0; i < f.dim() - 2; ++i) shape.push_back(f.size(i));
    shape.push_back(features_of(f));
    Tensor features = Device::fresh(torch::stable::new_empty(f, shape)), r = matrices_of(f), u = matrices_of(f);
    dispatch_small(op, f, [&]<typename scalar_t, int D>() {
      Device::each(
          op, f, 512,
          Features<IO<scalar_t, D>>{in<scalar_t>(f), to<scalar_t>(features), to<scalar_t>(r), to<scalar_t>(u)});
    });
    return {features, r, u};
  }

  static Tensor strain_features_backward(const Tensor& f_, const Tensor& features_, const Tensor& r_, const Tensor& u_,
                                         const Tensor& g_, const Tensor& gr_) {
    const char* op = "strain_features_backward";
    check_matrices(op, "F", f_);
    const int64_t numbers = f_.numel(), values = numbers / (f_.size(-1) * f_.size(-1)) * features_of(f_);
    check_partner(op, "features", features_, values, f_);
    check_partner(op, "R", r_, numbers, f_);
    check_partner(op, "U", u_, numbers, f_);
    check_partner(op, "g", g_, values, f_);
    check_partner(op, "gR", gr_, numbers, f_);
    Device::same(op, f_, {&features_, &r_, &u_, &g_, &gr_});
    const Guard guard(f_);
    const Tensor f = whole(f_), features = whole(features_), r = whole(r_), u = whole(u_), g = whole(g_),
                 gr = whole(gr_);
    Tensor out = matrices_of(f);
    dispatch_small(op, f, [&]<typename scalar_t, int D>() {
      Device::each(
          op, f, 128,
          FeaturesBackward<IO<scalar_t, D>>{in<scalar_t>(f), in<scalar_t>(features), in<scalar_t>(r), in<scalar_t>(u),
                                            in<scalar_t>(g), in<scalar_t>(gr), to<scalar_t>(out)});
    });
    return out;
  }

  static std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> log_strain(const Tensor& f_, double least) {
    const char* op = "log_strain";
    check_matrices(op, "F", f_);
    const Guard guard(f_);
    const Tensor f = whole(f_);
    Tensor h = matrices_of(f), x = matrices_of(f), u = matrices_of(f), sigma = vectors_of(f), v = matrices_of(f);
    dispatch_small(op, f, [&]<typename scalar_t, int D>() {
      Device::each(op, f, 512,
                   LogStrain<IO<scalar_t, D>>{in<scalar_t>(f), least, to<scalar_t>(h), to<scalar_t>(x), to<scalar_t>(u),
                                              to<scalar_t>(sigma), to<scalar_t>(v)});
    });
    return {h, x, u, sigma, v};
  }

  static Tensor log_strain_backward(const Tensor& u_, const Tensor& sigma_, const Tensor& v_, const Tensor& gh_,
                                    const Tensor& gx_, double least) {
    const char* op = "log_strain_backward";
    check_matrices(op, "U", u_);
    const int64_t numbers = u_.numel();
    check_partner(op, "sigma", sigma_, numbers / u_.size(-1), u_);
    check_partner(op, "V", v_, numbers, u_);
    check_partner(op, "gh", gh_, numbers, u_);
    check_partner(op, "gX", gx_, numbers, u_);
    Device::same(op, u_, {&sigma_, &v_, &gh_, &gx_});
    const Guard guard(u_);
    const Tensor u = whole(u_), sigma = whole(sigma_), v = whole(v_), gh = whole(gh_), gx = whole(gx_);
    Tensor out = matrices_of(u);
    dispatch_small(op, u, [&]<typename scalar_t, int D>() {
      Device::each(op, u, 256,
                   LogStrainBackward<IO<scalar_t, D>>{least, in<scalar_t>(u), in<scalar_t>(sigma), in<scalar_t>(v),
                                                      in<scalar_t>(gh), in<scalar_t>(gx), to<scalar_t>(out)});
    });
    return out;
  }

  static std::tuple<Tensor, Tensor, Tensor> exp_strain(const Tensor& a_, const Tensor& f_) {
    const char* op = "exp_strain";
    check_matrices(op, "A", a_);
    check_partner(op, "F", f_, a_.numel(), a_);
    Device::same(op, a_, {&f_});
    const Guard guard(a_);
    const Tensor a = whole(a_), f = whole(f_);
    Tensor out = matrices_of(a), w = vectors_of(a), q = matrices_of(a);
    dispatch_small(op, a, [&]<typename scalar_t, int D>() {
      Device::each(op, a, 512,
                   ExpStrain<IO<scalar_t, D>>{in<scalar_t>(a), in<scalar_t>(f), to<scalar_t>(out), to<scalar_t>(w),
                                              to<scalar_t>(q)});
    });
    return {out, w, q};
  }

  static std::tuple<Tensor, Tensor> exp_strain_backward(const Tensor& f_, const Tensor& w_, const Tensor& q_,
                                                        const Tensor& g_) {
    const char* op = "exp_strain_backward";
    check_matrices(op, "F", f_);
    const int64_t numbers = f_.numel();
    check_partner(op, "w", w_, numbers / f_.size(-1), f_);
    check_partner(op, "Q", q_, numbers, f_);
    check_partner(op, "g", g_, numbers, f_);
    Device::same(op, f_, {&w_, &q_, &g_});
    const Guard guard(f_);
    const Tensor f = whole(f_), w = whole(w_), q = whole(q_), g = whole(g_);
    Tensor ga = matrices_of(f), gf = matrices_of(f);
    dispatch_small(op, f, [&]<typename scalar_t, int D>() {
      Device::each(op, f, 256,
                   ExpStrainBackward<IO<scalar_t, D>>{in<scalar_t>(f), in<scalar_t>(w), in<scalar_t>(q),
                                                      in<scalar_t>(g), to<scalar_t>(ga), to<scalar_t>(gf)});
    });
    return {ga, gf};
  }

  template <typename Library>
  static void implement(Library& m) {
    m.impl("small_matmul", TORCH_BOX(&small_matmul));
    m.impl("strain_features", TORCH_BOX(&strain_features));
    m.impl("strain_features_backward", TORCH_BOX(&strain_features_backward));
    m.impl("log_strain", TORCH_BOX(&log_strain));
    m.impl("log_strain_backward", TORCH_BOX(&log_strain_backward));
    m.impl("exp_strain", TORCH_BOX(&exp_strain));
    m.impl("exp_strain_backward", TORCH_BOX(&exp_strain_backward));
  }
};

}  // namespace geoops
