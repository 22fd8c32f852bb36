// The whole native surface of geoops: one schema per op, kernels in cpu/ and cuda/.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(geoops, m) {
  m.def("gather(Tensor x, Tensor index, bool check) -> Tensor");
  m.def("scatter_sum(Tensor x, Tensor index, SymInt n, bool check) -> Tensor");
  m.def("scatter_mul(Tensor x, Tensor index, SymInt n, bool check) -> Tensor");
  m.def("scatter_others(Tensor x, Tensor index, SymInt n) -> Tensor");
  m.def("scatter_extremum(Tensor x, Tensor index, SymInt n, bool largest, bool check) -> (Tensor, Tensor)");
  m.def("take(Tensor x, Tensor arg) -> Tensor");
  m.def("put(Tensor g, Tensor arg, SymInt e) -> Tensor");
  m.def("segment_sum(Tensor x, Tensor ptr) -> Tensor");
  m.def("segment_mul(Tensor x, Tensor ptr) -> Tensor");
  m.def("segment_extremum(Tensor x, Tensor ptr, bool largest) -> (Tensor, Tensor)");
  m.def("gather_csr(Tensor x, Tensor ptr, SymInt e) -> Tensor");
  m.def("index_to_ptr(Tensor index, SymInt n, bool check) -> Tensor");
  m.def("scatter_softmax(Tensor x, Tensor index, SymInt n, bool check) -> Tensor");
  m.def("softmax_backward(Tensor y, Tensor g, Tensor index, SymInt n) -> Tensor");
  m.def("scatter_logsumexp(Tensor x, Tensor index, SymInt n, bool check) -> Tensor");
  m.def("edge_sum(Tensor x, Tensor w, Tensor src, Tensor dst, SymInt n, bool check) -> Tensor");
  m.def("edge_dot(Tensor x, Tensor y, Tensor src, Tensor dst, bool check) -> Tensor");
  m.def("edge_attention(Tensor logits, Tensor v, Tensor src, Tensor dst, SymInt n, bool check) -> (Tensor, Tensor)");
  m.def(
      "neighbours(Tensor x, Tensor y, Tensor? batch_x, Tensor? batch_y, Tensor? box, SymInt k, float r, bool loop) "
      "-> Tensor");
  m.def("nearest(Tensor x, Tensor y, Tensor? batch_x, Tensor? batch_y, Tensor? box) -> Tensor");
  m.def("fps(Tensor x, Tensor? batch, Tensor? priority, float ratio, SymInt number) -> Tensor");
  m.def(
      "relative_attention(Tensor q, Tensor k, Tensor v, Tensor x, Tensor y, Tensor normal, Tensor offset, Tensor bias) "
      "-> Tensor");
  m.def("svd(Tensor F, bool rotations) -> (Tensor, Tensor, Tensor)");
  m.def("svd_backward(Tensor U, Tensor sigma, Tensor V, Tensor gU, Tensor gsigma, Tensor gV) -> Tensor");
  m.def("polar(Tensor F) -> (Tensor, Tensor)");
  m.def("polar_backward(Tensor R, Tensor S, Tensor gR, Tensor gS) -> Tensor");
  m.def("eigh(Tensor A) -> (Tensor, Tensor)");
  m.def("eigh_backward(Tensor w, Tensor Q, Tensor gw, Tensor gQ) -> Tensor");
  m.def("singular_value_map(Tensor F, Tensor y, Tensor U, Tensor V, Tensor even, Tensor odd) -> Tensor");
  m.def("singular_value_map_backward(Tensor g, Tensor U, Tensor V, Tensor even, Tensor odd) -> (Tensor, Tensor)");
  m.def("small_matmul(Tensor A, Tensor B, bool transpose_a, bool transpose_b) -> Tensor");
  m.def("strain_features(Tensor F) -> (Tensor, Tensor, Tensor)");
  m.def("strain_features_backward(Tensor F, Tensor features, Tensor R, Tensor U, Tensor g, Tensor gR) -> Tensor");
  m.def("log_strain(Tensor F, float least) -> (Tensor, Tensor, Tensor, Tensor, Tensor)");
  m.def("log_strain_backward(Tensor U, Tensor sigma, Tensor V, Tensor gh, Tensor gX, float least) -> Tensor");
  m.def("exp_strain(Tensor A, Tensor F) -> (Tensor, Tensor, Tensor)");
  m.def("exp_strain_backward(Tensor F, Tensor w, Tensor Q, Tensor g) -> (Tensor, Tensor)");
  m.def("nearest_facet(Tensor corners, Tensor points) -> (Tensor, Tensor)");
  m.def(
      "mpm_step(Tensor x, Tensor v, Tensor C, Tensor F, Tensor tau, Tensor mass, Tensor volume, SymInt nx, SymInt "
      "ny, SymInt nz, int walls, int bound, float gx, float gy, float gz, float dx, float dt, float clip, float "
      "eps) -> (Tensor, Tensor, Tensor, Tensor)");
  m.def(
      "mpm_step_backward(Tensor gx, Tensor gv, Tensor gC, Tensor gF, Tensor x, Tensor v, Tensor C, Tensor F, Tensor "
      "tau, Tensor mass, Tensor volume, Tensor v2, Tensor C2, SymInt nx, SymInt ny, SymInt nz, int walls, int "
      "bound, float grav_x, float grav_y, float grav_z, float dx, float dt, float clip, float eps) -> (Tensor, "
      "Tensor, Tensor, Tensor, Tensor)");
}
