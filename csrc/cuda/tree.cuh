// Boxes around things in space: points, or facets with several corners.
//
// The things are sorted along a curve that fills space (Morton), which only makes searches fast, and parted into runs
// of kRun. A complete binary tree over the runs has a box for each node. Rounding is monotonic, so a distance to a box
// in the arithmetic of the distances to points is never above those of the points in it: searches are exact.
#pragma once

#include "check.cuh"
#include "rounded.cuh"
#include "sorted.cuh"

namespace geoops {

constexpr int64_t kRun = 8;
constexpr int kBits = 63;  // of a key to sort by

template <typename T>
struct Tree {
  T* items;         // the coordinates at each place, corner after corner
  int64_t* number;  // of the thing at each place
  T* box;           // low and high corner of each node: the root is 1, the children of i are 2 i and 2 i + 1
  int64_t* least;   // number in each node
  int64_t count, corners, dim, runs;  // runs: a power of two, of which the last may be empty
  int height;

  __device__ const T* item(int64_t place) const { return items + place * corners * dim; }
  __device__ const T* low(int64_t node) const { return box + node * 2 * dim; }
  __device__ const T* high(int64_t node) const { return low(node) + dim; }
};

// Goes through the nodes with places in [begin, end), the nearer child first. Calls away(node) for the distance,
// wanted(node, distance) for whether to look into it, and visit(first, last) for places of a run. Without a stack: a
// bit for each level says whether the other child is still to come.
template <typename T, typename Away, typename Wanted, typename Visit>
__device__ void walk(const Tree<T>& tree, int64_t begin, int64_t end, const Away& away, const Wanted& wanted,
                     const Visit& visit) {
  int64_t node = 1;
  unsigned later = 0;
  int above = tree.height;  // levels from the node down to the runs
  const auto holds = [&](int64_t child, int levels) {
    const int64_t first = ((child << levels) - tree.runs) * kRun;
    return first < end && first + (kRun << levels) > begin;
  };
  if (begin >= end) return;
  for (;;) {
    if (above > 0) {
      const int64_t left = 2 * node, right = left + 1;
      const bool some = holds(left, above - 1), others = holds(right, above - 1);
      const T a = some ? away(left) : T(0), b = others ? away(right) : T(0);
      const bool go_left = some && wanted(left, a), go_right = others && wanted(right, b);
      if (go_left || go_right) {
        later = later << 1 | (go_left && go_right);
        node = go_left && (!go_right || a <= b) ? left : right;
        --above;
        continue;
      }
    } else {
      const int64_t first = (node - tree.runs) * kRun;
      visit(max(first, begin), min(first + kRun, end));
    }
    do {
      if (later == 0) return;
      const int up = __ffs(later) - 1;
      node = node >> up ^ 1;
      later = later >> up ^ 1;
      above += up;
    } while (!wanted(node, away(node)));
  }
}

// The key of an item: the first point of its example, then its place on the curve.
template <typename T>
__global__ void find_keys(const T* __restrict__ x, int64_t count, int64_t corners, int64_t dim,
                          const T* __restrict__ low, const T* __restrict__ high, const int64_t* __restrict__ batch,
                          int bits, int64_t* __restrict__ key) {
  T side = 0;
  for (int64_t d = 0; d < dim; ++d) side = high[d] - low[d] > side ? high[d] - low[d] : side;
  const int axes = static_cast<int>(min(dim, static_cast<int64_t>(bits))), levels = min(bits / axes, 24);
  const T scale = static_cast<T>(1 << levels) / side / static_cast<T>(corners);
  for (int64_t i = first_thread(); i < count; i += all_threads()) {
    int64_t value = batch ? first_from(batch, count, batch[i]) : 0;
    for (int level = levels - 1; level >= 0; --level)
      for (int d = 0; d < axes; ++d) {
        T at = 0;
        for (int64_t c = 0; c < corners; ++c) at += (x[(i * corners + c) * dim + d] - low[d]) * scale;
        const int cell = !(at > 0) ? 0 : at >= T(1 << levels) ? (1 << levels) - 1 : static_cast<int>(at);
        value = value << 1 | (cell >> level & 1);
      }
    key[i] = value;
  }
}

template <typename T>
__global__ void fill_runs(const T* __restrict__ x, Tree<T> tree) {
  for (int64_t run = first_thread(); run < tree.runs; run += all_threads()) {
    const int64_t first = run * kRun, last = min(first + kRun, tree.count), node = tree.runs + run;
    for (int64_t d = 0; d < tree.dim; ++d) {
      T low = kInfinity<T>, high = -kInfinity<T>;
      for (int64_t place = first; place < last; ++place)
        for (int64_t c = 0; c < tree.corners; ++c) {
          const T value = x[(tree.number[place] * tree.corners + c) * tree.dim + d];
          tree.items[(place * tree.corners + c) * tree.dim + d] = value;
          low = value < low ? value : low;
          high = value > high ? value : high;
        }
      tree.box[node * 2 * tree.dim + d] = low;
      tree.box[(node * 2 + 1) * tree.dim + d] = high;
    }
    int64_t least = tree.count;
    for (int64_t place = first; place < last; ++place) least = min(least, tree.number[place]);
    tree.least[node] = least;
  }
}

// The nodes of a level from those below it.
template <typename T>
__global__ void join_nodes(Tree<T> tree, int64_t level) {
  for (int64_t node = level + first_thread(); node < 2 * level; node += all_threads()) {
    const T *left = tree.low(2 * node), *right = tree.low(2 * node + 1);
    T* to = tree.box + node * 2 * tree.dim;
    for (int64_t d = 0; d < tree.dim; ++d) to[d] = left[d] < right[d] ? left[d] : right[d];
    for (int64_t d = tree.dim; d < 2 * tree.dim; ++d) to[d] = left[d] > right[d] ? left[d] : right[d];
    tree.least[node] = min(tree.least[2 * node], tree.least[2 * node + 1]);
  }
}

// Returns the numbers of things (count, corners, dim) in the order of their keys; equal ones stay in order, so that
// searches can leave out whole runs of them.
template <typename T>
Tensor order_along_curve(const char* op, const Tensor& x, const std::optional<Tensor>& batch) {
  using torch::stable::detail::from, torch::stable::detail::to;
  const int64_t count = x.size(0), corners = x.size(1), dim = x.size(2);
  StableIValue ends[3]{from(torch::stable::view(x, {count * corners, dim})), from(std::optional<int64_t>(0)),
                       from(false)};
  call_torch("aten::aminmax", "", ends);
  const Tensor low = to<Tensor>(ends[0]), high = to<Tensor>(ends[1]);
  const Tensor key = torch::stable::new_empty(x, {count}, ScalarType::Long);
  int bits = kBits;
  if (batch)
    for (int64_t rest = count; rest > 0; rest /= 2) --bits;
  launch_for(op, find_keys<T>, count, x, data<T>(x), count, corners, dim, data<T>(low), data<T>(high),
             batch ? data<int64_t>(*batch) : nullptr, bits, data<int64_t>(key));
  return sort_keys(key).order;
}

// Owns the memory of a tree over at least one thing.
template <typename T>
struct Forest {
  Tensor number, items, box, least;
  Tree<T> tree;

  Forest(const char* op, const Tensor& x, const std::optional<Tensor>& batch)
      : number(order_along_curve<T>(op, x, batch)), items(torch::stable::empty_like(x)) {
    int64_t runs = 4;
    int height = 2;
    while (runs * kRun < x.size(0)) runs *= 2, ++height;
    box = torch::stable::new_empty(x, {2 * runs, 2, x.size(2)});
    least = torch::stable::new_empty(x, {2 * runs}, ScalarType::Long);
    tree = {data<T>(items), data<int64_t>(number),
            data<T>(box),   data<int64_t>(least),
            x.size(0),      x.size(1),
            x.size(2),      runs,
            height};
    launch_for(op, fill_runs<T>, runs, x, data<T>(x), tree);
    for (int64_t level = runs / 2; level > 0; level /= 2) launch_for(op, join_nodes<T>, level, x, tree, level);
  }
};

}  // namespace geoops
