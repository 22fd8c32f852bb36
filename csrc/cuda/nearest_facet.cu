// The nearest segment or triangle of many: one thread for each point walks through a tree of boxes around the facets.
#include "../facets.h"
#include "tree.cuh"

#include <tuple>

namespace geoops {
namespace {

template <int K, int D>
__global__ void find_facets(Tree<double> tree, const double* __restrict__ points, const int64_t* __restrict__ order,
                            int64_t count, int64_t* __restrict__ index, double* __restrict__ squared) {
  using real = Rounded<double>;
  for (int64_t i = first_thread(); i < count; i += all_threads()) {
    const int64_t q = order[i];
    Vector<real, D> p;
    for (int d = 0; d < D; ++d) p[d] = points[q * D + d];
    int64_t found = INT64_MAX;
    double best = kInfinity<double>;
    walk(
        tree, 0, tree.count,
        [&](int64_t node) {
          real sum = 0;
          for (int d = 0; d < D; ++d) {
            const real above = real(tree.low(node)[d]) - p[d], below = p[d] - real(tree.high(node)[d]), zero = 0;
            const real most = above < below ? below : above, off = most < zero ? zero : most;
            sum = sum + off * off;
          }
          return (sum * real(1 - kSlack)).value;
        },
        [&](int64_t, double away) { return !(away > best); },
        [&](int64_t first, int64_t last) {
          for (int64_t place = first; place < last; ++place) {
            Vector<real, D> corners[K];
            for (int k = 0; k < K; ++k)
              for (int d = 0; d < D; ++d) corners[k][d] = tree.item(place)[k * D + d];
            const double square = to_facet<K>(corners, p).value;
            const int64_t number = tree.number[place];
            if (square < best || (square == best && number < found)) best = square, found = number;
          }
        });
    index[q] = found;
    squared[q] = best;
  }
}

std::tuple<Tensor, Tensor> nearest_facet(const Tensor& corners_, const Tensor& points_) {
  const char* op = "nearest_facet";
  require_same_device(op, corners_, {&points_});
  check_facets(corners_, points_);
  const DeviceGuard guard(points_.get_device_index());
  const Tensor corners = torch::stable::contiguous(corners_), points = torch::stable::contiguous(points_);
  const int64_t count = points.size(0), dim = points.size(1);
  Tensor index = torch::stable::new_empty(points, {count}, ScalarType::Long);
  Tensor squared = torch::stable::new_empty(points, {count});
  if (count == 0) return {index, squared};
  const Forest<double> forest(op, corners, std::nullopt);
  const Tensor order = order_along_curve<double>(op, torch::stable::view(points, {count, 1, dim}), std::nullopt);
  dispatch_facets(corners, [&]<int K, int D>() {
    launch_for(op, find_facets<K, D>, count, points, forest.tree, data<double>(points), data<int64_t>(order), count,
               data<int64_t>(index), data<double>(squared));
  });
  return {index, squared};
}

GEOOPS_CUDA_OPS(m) { m.impl("nearest_facet", TORCH_BOX(&nearest_facet)); }

}  // namespace
}  // namespace geoops
