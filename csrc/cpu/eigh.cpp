// Eigenvalues of symmetric 2x2 and 3x3 matrices, with the backward pass.
#include "small_dense.h"

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

std::tuple<Tensor, Tensor> eigh(const Tensor& a_) {
  check_matrices("eigh", "A", a_);
  const Tensor a = torch::stable::contiguous(a_);
  Tensor q = in_large_pages(torch::stable::new_empty(a, shape_of(a, a.dim())));
  Tensor w = in_large_pages(torch::stable::new_empty(a, shape_of(a, a.dim() - 1)));
  dispatch_small("eigh", a, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto* pa = a.const_data_ptr<scalar_t>();
    auto *pw = w.mutable_data_ptr<scalar_t>(), *pq = q.mutable_data_ptr<scalar_t>();
    B::each(a.numel() / (D * D), 512, [&](int64_t begin, int64_t count) {
      dense::Matrix<lanes_t<scalar_t>, D> vectors;
      dense::Vector<lanes_t<scalar_t>, D> values;
      dense::eigh(B::matrix(pa, begin, count), values, vectors);
      B::write(pw, begin, count, values);
      B::write(pq, begin, count, vectors);
    });
  });
  return {w, q};
}

Tensor eigh_backward(const Tensor& w_, const Tensor& q_, const Tensor& gw_, const Tensor& gq_) {
  const char* op = "eigh_backward";
  check_matrices(op, "Q", q_);
  check_partner(op, "w", w_, q_.numel() / q_.size(-1), q_);
  check_partner(op, "gw", gw_, q_.numel() / q_.size(-1), q_);
  check_partner(op, "gQ", gq_, q_.numel(), q_);
  const Tensor w = torch::stable::contiguous(w_), q = torch::stable::contiguous(q_);
  const Tensor gw = torch::stable::contiguous(gw_), gq = torch::stable::contiguous(gq_);
  Tensor out = in_large_pages(torch::stable::new_empty(q, shape_of(q, q.dim())));
  dispatch_small(op, q, [&]<typename scalar_t, int D>() {
    using B = Blocks<scalar_t, D>;
    const auto *pw = w.const_data_ptr<scalar_t>(), *pq = q.const_data_ptr<scalar_t>();
    const auto *pgw = gw.const_data_ptr<scalar_t>(), *pgq = gq.const_data_ptr<scalar_t>();
    auto* po = out.mutable_data_ptr<scalar_t>();
    B::each(q.numel() / (D * D), 128, [&](int64_t begin, int64_t count) {
      B::write(po, begin, count,
               dense::eigh_backward(B::vector(pw, begin, count), B::matrix(pq, begin, count),
                                    B::vector(pgw, begin, count), B::matrix(pgq, begin, count)));
    });
  });
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("eigh", TORCH_BOX(&eigh));
  m.impl("eigh_backward", TORCH_BOX(&eigh_backward));
}

}  // namespace
}  // namespace geoops
