// Singular values and polar factors of 2x2 and 3x3 matrices, with their backward passes.
#include "small_dense.h"

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

std::tuple<Tensor, Tensor, Tensor> svd(const Tensor& f_, bool rotations) {
  check_matrices("svd", "F", f_);
  const Tensor f = torch::stable::contiguous(f_);
  Tensor u = in_large_pages(torch::stable::new_empty(f, shape_of(f, f.dim()))),
         v = in_large_pages(torch::stable::new_empty(f, shape_of(f, f.dim())));
  Tensor sigma = in_large_pages(torch::stable::new_empty(f, shape_of(f, f.dim() - 1)));
  dispatch_small("svd", f, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto* pf = f.const_data_ptr<scalar_t>();
    auto *pu = u.mutable_data_ptr<scalar_t>(), *ps = sigma.mutable_data_ptr<scalar_t>();
    auto* pv = v.mutable_data_ptr<scalar_t>();
    B::each(f.numel() / (D * D), 512, [&](int64_t begin, int64_t count) {
      dense::Matrix<lanes_t<scalar_t>, D> a, b;
      dense::Vector<lanes_t<scalar_t>, D> s;
      dense::svd(B::matrix(pf, begin, count), rotations, a, s, b);
      B::write(pu, begin, count, a);
      B::write(ps, begin, count, s);
      B::write(pv, begin, count, b);
    });
  });
  return {u, sigma, v};
}

Tensor svd_backward(const Tensor& u_, const Tensor& sigma_, const Tensor& v_, const Tensor& gu_, const Tensor& gs_,
                    const Tensor& gv_) {
  const char* op = "svd_backward";
  check_matrices(op, "U", u_);
  const int64_t numbers = u_.numel();
  check_partner(op, "sigma", sigma_, numbers / u_.size(-1), u_);
  check_partner(op, "V", v_, numbers, u_);
  check_partner(op, "gU", gu_, numbers, u_);
  check_partner(op, "gsigma", gs_, numbers / u_.size(-1), u_);
  check_partner(op, "gV", gv_, numbers, u_);
  const Tensor u = torch::stable::contiguous(u_), sigma = torch::stable::contiguous(sigma_);
  const Tensor v = torch::stable::contiguous(v_), gu = torch::stable::contiguous(gu_);
  const Tensor gs = torch::stable::contiguous(gs_), gv = torch::stable::contiguous(gv_);
  Tensor out = in_large_pages(torch::stable::new_empty(u, shape_of(u, u.dim())));
  dispatch_small(op, u, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto *pu = u.const_data_ptr<scalar_t>(), *ps = sigma.const_data_ptr<scalar_t>();
    const auto *pv = v.const_data_ptr<scalar_t>(), *pgu = gu.const_data_ptr<scalar_t>();
    const auto *pgs = gs.const_data_ptr<scalar_t>(), *pgv = gv.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    B::each(numbers / (D * D), 128, [&](int64_t begin, int64_t count) {
      B::write(po, begin, count,
               dense::svd_backward(B::matrix(pu, begin, count), B::vector(ps, begin, count),
                                   B::matrix(pv, begin, count), B::matrix(pgu, begin, count),
                                   B::vector(pgs, begin, count), B::matrix(pgv, begin, count)));
    });
  });
  return out;
}

std::tuple<Tensor, Tensor> polar(const Tensor& f_) {
  check_matrices("polar", "F", f_);
  const Tensor f = torch::stable::contiguous(f_);
  Tensor r = in_large_pages(torch::stable::new_empty(f, shape_of(f, f.dim()))),
         s = in_large_pages(torch::stable::new_empty(f, shape_of(f, f.dim())));
  dispatch_small("polar", f, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto* pf = f.const_data_ptr<scalar_t>();
    auto *pr = r.mutable_data_ptr<scalar_t>(), *ps = s.mutable_data_ptr<scalar_t>();
    B::each(f.numel() / (D * D), 512, [&](int64_t begin, int64_t count) {
      dense::Matrix<lanes_t<scalar_t>, D> a, b;
      dense::polar(B::matrix(pf, begin, count), a, b);
      B::write(pr, begin, count, a);
      B::write(ps, begin, count, b);
    });
  });
  return {r, s};
}

Tensor polar_backward(const Tensor& r_, const Tensor& s_, const Tensor& gr_, const Tensor& gs_) {
  const char* op = "polar_backward";
  check_matrices(op, "R", r_);
  check_partner(op, "S", s_, r_.numel(), r_);
  check_partner(op, "gR", gr_, r_.numel(), r_);
  check_partner(op, "gS", gs_, r_.numel(), r_);
  const Tensor r = torch::stable::contiguous(r_), s = torch::stable::contiguous(s_);
  const Tensor gr = torch::stable::contiguous(gr_), gs = torch::stable::contiguous(gs_);
  Tensor out = in_large_pages(torch::stable::new_empty(r, shape_of(r, r.dim())));
  dispatch_small(op, r, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto *pr = r.const_data_ptr<scalar_t>(), *ps = s.const_data_ptr<scalar_t>();
    const auto *pgr = gr.const_data_ptr<scalar_t>(), *pgs = gs.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    B::each(r.numel() / (D * D), 128, [&](int64_t begin, int64_t count) {
      B::write(po, begin, count,
               dense::polar_backward(B::matrix(pr, begin, count), B::matrix(ps, begin, count),
                                     B::matrix(pgr, begin, count), B::matrix(pgs, begin, count)));
    });
  });
  return out;
}

// U diag(y) V^T; the other arguments are for its derivative.
Tensor singular_value_map(const Tensor& f, const Tensor& y_, const Tensor& u_, const Tensor& v_, const Tensor& even,
                          const Tensor& odd) {
  const char* op = "singular_value_map";
  check_matrices(op, "F", f);
  const int64_t numbers = f.numel();
  check_partner(op, "y", y_, numbers / f.size(-1), f);
  check_partner(op, "U", u_, numbers, f);
  check_partner(op, "V", v_, numbers, f);
  check_partner(op, "even", even, numbers, f);
  check_partner(op, "odd", odd, numbers, f);
  const Tensor y = torch::stable::contiguous(y_), u = torch::stable::contiguous(u_), v = torch::stable::contiguous(v_);
  Tensor out = in_large_pages(torch::stable::new_empty(u, shape_of(f, f.dim())));
  dispatch_small(op, f, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto *pu = u.const_data_ptr<scalar_t>(), *py = y.const_data_ptr<scalar_t>();
    const auto* pv = v.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    B::each(numbers / (D * D), 64, [&](int64_t begin, int64_t count) {
      auto left = B::matrix(pu, begin, count);
      const auto values = B::vector(py, begin, count);
      for (int i = 0; i < D; ++i)
        for (int j = 0; j < D; ++j) left[i][j] *= values[j];
      B::write(po, begin, count, dense::times_transpose(left, B::matrix(pv, begin, count)));
    });
  });
  return out;
}

std::tuple<Tensor, Tensor> singular_value_map_backward(const Tensor& g_, const Tensor& u_, const Tensor& v_,
                                                       const Tensor& even_, const Tensor& odd_) {
  const char* op = "singular_value_map_backward";
  check_matrices(op, "g", g_);
  const int64_t numbers = g_.numel();
  check_partner(op, "U", u_, numbers, g_);
  check_partner(op, "V", v_, numbers, g_);
  check_partner(op, "even", even_, numbers, g_);
  check_partner(op, "odd", odd_, numbers, g_);
  const Tensor g = torch::stable::contiguous(g_), u = torch::stable::contiguous(u_), v = torch::stable::contiguous(v_);
  const Tensor even = torch::stable::contiguous(even_), odd = torch::stable::contiguous(odd_);
  Tensor gf = in_large_pages(torch::stable::new_empty(g, shape_of(g, g.dim())));
  Tensor gy = in_large_pages(torch::stable::new_empty(g, shape_of(g, g.dim() - 1)));
  dispatch_small(op, g, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto *pg = g.const_data_ptr<scalar_t>(), *pu = u.const_data_ptr<scalar_t>();
    const auto *pv = v.const_data_ptr<scalar_t>(), *pe = even.const_data_ptr<scalar_t>();
    const auto* po = odd.const_data_ptr<scalar_t>();
    auto *pf = gf.mutable_data_ptr<scalar_t>(), *py = gy.mutable_data_ptr<scalar_t>();
    B::each(numbers / (D * D), 128, [&](int64_t begin, int64_t count) {
      dense::Vector<lanes_t<scalar_t>, D> y;
      B::write(
          pf, begin, count,
          dense::map_backward(B::matrix(pg, begin, count), B::matrix(pu, begin, count), B::matrix(pv, begin, count),
                              B::matrix(pe, begin, count), B::matrix(po, begin, count), y));
      B::write(py, begin, count, y);
    });
  });
  return {gf, gy};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("svd", TORCH_BOX(&svd));
  m.impl("svd_backward", TORCH_BOX(&svd_backward));
  m.impl("polar", TORCH_BOX(&polar));
  m.impl("polar_backward", TORCH_BOX(&polar_backward));
  m.impl("singular_value_map", TORCH_BOX(&singular_value_map));
  m.impl("singular_value_map_backward", TORCH_BOX(&singular_value_map_backward));
}

}  // namespace
}  // namespace geoops
