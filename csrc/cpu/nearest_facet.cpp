// The nearest segment or triangle of many, for many points: exact, by a tree of boxes around the facets.
// Without fused operations, as numpy computes in geometry/_nearest.py: results have the same bits.
#pragma GCC optimize("fp-contract=off")

#include "../facets.h"
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

constexpr int64_t kLeaf = 4;    // facets that a leaf may hold
constexpr int64_t kDepth = 64;  // of the stack of a search, more than the depth of any tree that fits in memory

template <int D>
using Point = Vector<double, D>;

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
          const double square = to_facet<K>(facets_[i].data(), p);
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
    for (int d = 0; d < D; ++d) {
      node.low[d] = std::numeric_limits<double>::infinity();
      node.high[d] = -std::numeric_limits<double>::infinity();
    }
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
  check_facets(corners_, points_);
  const Tensor corners = torch::stable::contiguous(corners_), points = torch::stable::contiguous(points_);
  Tensor index = torch::stable::new_empty(points, {points.size(0)}, ScalarType::Long);
  Tensor squared = torch::stable::new_empty(points, {points.size(0)});
  if (points.size(0) == 0) return {index, squared};
  auto* const found = index.mutable_data_ptr<int64_t>();
  auto* const away = squared.mutable_data_ptr<double>();
  dispatch_facets(corners, [&]<int K, int D>() { search<K, D>(corners, points, found, away); });
  return {index, squared};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("nearest_facet", TORCH_BOX(&nearest_facet_cpu)); }

}  // namespace
}  // namespace geoops
