// The whole native surface of geoops: one schema per op, kernels in cpu/ and cuda/.
#include <torch/csrc/stable/library.h>

STABLE_TORCH_LIBRARY(geoops, m) {
  m.def("edge_sum(Tensor x, Tensor w, Tensor src, Tensor dst, SymInt n) -> Tensor");
  m.def("edge_dot(Tensor x, Tensor y, Tensor src, Tensor dst) -> Tensor");
  m.def(
      "relative_attention(Tensor q, Tensor k, Tensor v, Tensor x, Tensor y, Tensor normal, Tensor offset, Tensor bias) "
      "-> Tensor");
  m.def("nearest_facet(Tensor corners, Tensor points) -> (Tensor, Tensor)");
}
