// The nearest segment or triangle of many, for many points: exact, by a tree of boxes around the facets.
// Without fused operations, as numpy computes in geometry/_nearest.py: results have the same bits.
#pragma GCC optimize("fp-contract=off")

#include "parallel.h"

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>
#include <vector>

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

constexpr int64_t kLeaf = 4;      // facets that a leaf may hold
constexpr int64_t kDepth = 64;    // of the stack of a search, more than the depth of any tree that fits in memory
constexpr double kSlack = 1e-12;  // relative; what rounding can make of the distance to a box
constexpr double kFlat = 1e-24;   // squared sine below which a triangle has no plane

template <int D>
using Point = std::array<double, D>;

template <int D>
double dot(const Point<D>& u, const Point<D>& v) {
  double sum = 0;
  for (int d = 0; d < D; ++d) sum += u[d] * v[d];
  return sum;
}

template <int D>
Point<D> minus(const Point<D>& u, const Point<D>& v) {
  Point<D> w;
  for (int d = 0; d < D; ++d) w[d] = u[d] - v[d];
  return w;
}

template <int D>
double to_segment(const Point<D>& a, const Point<D>& b, const Point<D>& p) {
  const Point<D> e = minus<D>(b, a), w = minus<D>(p, a);
  const double length = dot<D>(e, e);
  const double t = std::clamp(dot<D>(e, w) / (length > 0 ? length : 1.0), 0.0, 1.0);
  double sum = 0;
  for (int d = 0; d < D; ++d) {
    const double off = w[d] - t * e[d];
    sum += off * off;
  }
  return sum;
}

// Inside of the prism over the triangle it is the distance to the plane, elsewhere that to the nearest edge.
template <int D>
double to_triangle(const Point<D>& a, const Point<D>& b, const Point<D>& c, const Point<D>& p) {
  const Point<D> u = minus<D>(b, a), v = minus<D>(c, a), w = minus<D>(p, a);
  const double uu = dot<D>(u, u), uv = dot<D>(u, v), vv = dot<D>(v, v), wu = dot<D>(w, u), wv = dot<D>(w, v);
  const double area = uu * vv - uv * uv;
  if (area > kFlat * uu * vv) {
    const double beta = (vv * wu - uv * wv) / area, gamma = (uu * wv - uv * wu) / area;
    if (beta >= 0 && gamma >= 0 && beta + gamma <= 1) {
      double sum = 0;
      for (int d = 0; d < D; ++d) {
        const double off = w[d] - beta * u[d] - gamma * v[d];
        sum += off * off;
      }
      return sum;
    }
  }
  return std::min({to_segment<D>(a, b, p), to_segment<D>(b, c, p), to_segment<D>(c, a, p)});
}

// K corners in D dimensions each.
template <int K, int D>
class Tree {
 public:
  Tree(const double* corners, int64_t count) : number_(count), centre_(count) {
    std::iota(number_.begin(), number_.end(), 0);
    const auto* facets = reinterpret_cast<const Facet*>(corners);
    for (int64_t i = 0; i < count; ++i)
      for (int d = 0; d < D; ++d) {
        centre_[i][d] = 0;
        for (int k = 0; k < K; ++k) centre_[i][d] += facets[i][k][d];
      }
    nodes_.reserve(2 * (count / kLeaf + 1));
    build(facets, 0, count);
    facets_.reserve(count);
    for (const int64_t i : number_) facets_.push_back(facets[i]);
  }

  // Returns the facet and the squared distance; of several facets at the same distance the first.
  std::pair<int64_t, double> nearest(const Point<D>& p) const {
    int64_t found = std::numeric_limits<int64_t>::max();
    double best = std::numeric_limits<double>::infinity();
    std::pair<int64_t, double> stack[kDepth];
    int64_t depth = 0;
    stack[depth++] = {0, 0.0};
    while (depth > 0) {
      const auto [at, away] = stack[--depth];
      if (away > best) continue;
      const Node& node = nodes_[at];
      if (node.right == 0) {
        for (int64_t i = node.begin; i < node.end; ++i) {
          const double square = distance(facets_[i], p);
          if (square < best || (square == best && number_[i] < found)) best = square, found = number_[i];
        }
        continue;
      }
      const double left = to_box(nodes_[at + 1], p), right = to_box(nodes_[node.right], p);
      const std::pair<int64_t, double> first{at + 1, left}, second{node.right, right};
      stack[depth++] = left <= right ? second : first;
      stack[depth++] = left <= right ? first : second;
    }
    return {found, best};
  }

 private:
  using Facet = std::array<Point<D>, K>;
  struct Node {
    Point<D> low, high;
    int64_t begin, end, right;  // children are the next node and `right`; 0 in a leaf
  };

  static double distance(const Facet& f, const Point<D>& p) {
    if constexpr (K == 2) {
      return to_segment<D>(f[0], f[1], p);
    } else {
      return to_triangle<D>(f[0], f[1], f[2], p);
    }
  }

  static double to_box(const Node& node, const Point<D>& p) {
    double sum = 0;
    for (int d = 0; d < D; ++d) {
      const double off = std::max({node.low[d] - p[d], p[d] - node.high[d], 0.0});
      sum += off * off;
    }
    return sum * (1 - kSlack);
  }

  int64_t build(const Facet* facets, int64_t begin, int64_t end) {
    const auto at = static_cast<int64_t>(nodes_.size());
    Node node{{}, {}, begin, end, 0};
    node.low.fill(std::numeric_limits<double>::infinity());
    node.high.fill(-std::numeric_limits<double>::infinity());
    Point<D> low = node.low, high = node.high;
    for (int64_t i = begin; i < end; ++i)
      for (int d = 0; d < D; ++d) {
        for (int k = 0; k < K; ++k) {
          node.low[d] = std::min(node.low[d], facets[number_[i]][k][d]);
          node.high[d] = std::max(node.high[d], facets[number_[i]][k][d]);
        }
        low[d] = std::min(low[d], centre_[number_[i]][d]);
        high[d] = std::max(high[d], centre_[number_[i]][d]);
      }
    nodes_.push_back(node);
    if (end - begin <= kLeaf) return at;
    int axis = 0;
    for (int d = 1; d < D; ++d)
      if (high[d] - low[d] > high[axis] - low[axis]) axis = d;
    const int64_t middle = begin + (end - begin) / 2;
    std::nth_element(number_.begin() + begin, number_.begin() + middle, number_.begin() + end,
                     [&](int64_t i, int64_t j) { return centre_[i][axis] < centre_[j][axis]; });
    build(facets, begin, middle);
    const int64_t right = build(facets, middle, end);
    nodes_[at].right = right;
    return at;
  }

  std::vector<int64_t> number_;  // of the facet at each place
  std::vector<Point<D>> centre_;
  std::vector<Node> nodes_;
  std::vector<Facet> facets_;
};

template <int K, int D>
void search(const Tensor& corners, const Tensor& points, int64_t* index, double* squared) {
  const Tree<K, D> tree(corners.const_data_ptr<double>(), corners.size(0));
  const auto* p = reinterpret_cast<const Point<D>*>(points.const_data_ptr<double>());
  for_ranges(points.size(0), 512, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) std::tie(index[i], squared[i]) = tree.nearest(p[i]);
  });
}

std::tuple<Tensor, Tensor> nearest_facet_cpu(const Tensor& corners_, const Tensor& points_) {
  const char* op = "nearest_facet: ";
  require(corners_.dim() == 3 && points_.dim() == 2, op,
          "expected corners (facets, corners, dim) and points (points, dim)");
  require(corners_.scalar_type() == ScalarType::Double && points_.scalar_type() == ScalarType::Double, op,
          "expected float64, got ", corners_.scalar_type(), " and ", points_.scalar_type());
  const int64_t kind = corners_.size(1), dim = corners_.size(2);
  require((kind == 2 || kind == 3) && (dim == 2 || dim == 3), op, "expected 2 or 3 corners in 2 or 3 dimensions, got ",
          kind, " in ", dim);
  require(points_.size(1) == dim, op, "points have ", points_.size(1), " coordinates, corners have ", dim);
  require(corners_.size(0) > 0 || points_.size(0) == 0, op, "there are no facets");
  const Tensor corners = torch::stable::contiguous(corners_), points = torch::stable::contiguous(points_);
  Tensor index = torch::stable::new_empty(points, {points.size(0)}, ScalarType::Long);
  Tensor squared = torch::stable::new_empty(points, {points.size(0)});
  if (points.size(0) == 0) return {index, squared};
  auto* const found = index.mutable_data_ptr<int64_t>();
  auto* const away = squared.mutable_data_ptr<double>();
  if (kind == 2)
    dim == 2 ? search<2, 2>(corners, points, found, away) : search<2, 3>(corners, points, found, away);
  else
    dim == 2 ? search<3, 2>(corners, points, found, away) : search<3, 3>(corners, points, found, away);
  return {index, squared};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("nearest_facet", TORCH_BOX(&nearest_facet_cpu)); }

}  // namespace
}  // namespace geoops
