// Points in leaves of a balanced tree of boxes, one tree for each example of a batch.
//
// Distances are computed in the type of the points, axis after axis, without fused multiply-adds. Rounding is
// monotonic, so the distance of boxes in the same arithmetic is never above the distance of points in them: pruning is
// exact. Files that include this one begin with the pragma below, before any function is seen.
#pragma once

#include "../points.h"
#include "parallel.h"

#include "lanes.h"

#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <vector>

namespace geoops {

constexpr int64_t kLeaf = 32;     // points in a leaf; a multiple of the lanes
constexpr int64_t kAlone = 4096;  // points below which one thread builds a subtree

// Numbers of points are as wide as coordinates, so that both fit the same lanes.
template <typename T>
using id_t_of = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;

// A contiguous range of points that belong together; `other` is the segment of the other set with the same batch
// number.
struct Segment {
  int64_t begin, end, other;
};

// Returns the ranges of equal numbers of x and of y, matched with each other; -1 where the other set has none.
std::pair<std::vector<Segment>, std::vector<Segment>> segments(const char* op, const char* name_x, const Tensor& x,
                                                               const std::optional<Tensor>& batch_x, const char* name_y,
                                                               const Tensor& y, const std::optional<Tensor>& batch_y);

// Checks shape, dtype and values of points.
void check_points(const char* op, const char* name, const Tensor& x);

// Points of a tree under construction: coordinates themselves, or where their number is not known, their place.
template <typename T, int D>
struct Moved {
  std::array<T, D> c;
  int32_t id;
};
template <typename T>
struct Moved<T, 0> {
  const T* c;
  int32_t id;
};

// A subtree: its node, and the leaves it covers. Children are the next node and the one after the left subtree, because
// a tree of m leaves has 2 m - 1 nodes in preorder.
struct Subtree {
  int64_t node, begin, end;
  int64_t middle() const { return begin + (end - begin) / 2; }
  Subtree left() const { return {node + 1, begin, middle()}; }
  Subtree right() const { return {node + 2 * (middle() - begin), middle(), end}; }
  bool is_leaf() const { return end - begin == 1; }
};

template <typename T, int D>
class Forest {
 public:
  using id_t = id_t_of<T>;

  // `length` has one entry per axis, infinite where space is not periodic, or is empty.
  Forest(const T* x, int64_t dim, const std::vector<Segment>& segments, const std::vector<T>& length) : dim_(dim) {
    int64_t leaves = 0, count = 0;
    for (const Segment& s : segments) {
      const int64_t m = (s.end - s.begin + kLeaf - 1) / kLeaf;
      roots.push_back({2 * leaves, leaves, leaves + m});
      count = s.end;
      leaves += m;
    }
    if (!length.empty()) {
      wrapped_.reset(new T[count * dim]);
      for_ranges(count, 32 * dim, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin * dim; i < end * dim; ++i) wrapped_[i] = wrap(x[i], length[i % dim]);
      });
      x = wrapped_.get();
    }
    leaves_ = leaves;
    coordinates_.reset(new T[leaves * dim * kLeaf]);
    ids_.reset(new id_t[leaves * kLeaf]);
    boxes_.reset(new T[2 * leaves * 2 * dim]);
    least_.reset(new id_t[2 * leaves]);
    moved_.reset(new Moved<T, D>[count]);
    for_ranges(count, 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        if constexpr (D > 0)
          for (int d = 0; d < D; ++d) moved_[i].c[d] = x[i * D + d];
        else
          moved_[i].c = x + i * dim;
        moved_[i].id = static_cast<int32_t>(i);
      }
    });
    build(segments);
    moved_.reset();
    wrapped_.reset();
  }

  int64_t dim() const { return D > 0 ? D : dim_; }
  int64_t leaves() const { return leaves_; }
  const T* leaf(int64_t l) const { return coordinates_.get() + l * dim() * kLeaf; }  // axis after axis
  const id_t* ids(int64_t l) const { return ids_.get() + l * kLeaf; }                // -1 beyond the last point
  const T* low(int64_t node) const { return boxes_.get() + node * 2 * dim(); }
  const T* high(int64_t node) const { return low(node) + dim(); }
  id_t least(int64_t node) const { return least_[node]; }  // the smallest number in it

  std::vector<Subtree> roots;

 private:
  struct Task {
    Subtree tree;
    int64_t begin, end;  // points; leaf l of a tree begins kLeaf points after leaf l - 1
  };

  void build(const std::vector<Segment>& segments) {
    std::vector<Task> tasks, next;
    for (size_t s = 0; s < segments.size(); ++s) tasks.push_back({roots[s], segments[s].begin, segments[s].end});
    while (!tasks.empty()) {
      next.assign(2 * tasks.size(), {{0, 0, 0}, 0, 0});
      const int64_t points = (tasks.front().end - tasks.front().begin) * 16;
      for_ranges(tasks.size(), points, [&](int64_t begin, int64_t end) {
        for (int64_t t = begin; t < end; ++t) {
          const Task& task = tasks[t];
          if (task.end - task.begin <= kAlone) {
            finish(task);
          } else {
            const int64_t middle = split(task);
            next[2 * t] = {task.tree.left(), task.begin, middle};
            next[2 * t + 1] = {task.tree.right(), middle, task.end};
          }
        }
      });
      std::erase_if(next, [](const Task& task) { return task.begin == task.end; });
      tasks.swap(next);
    }
  }

  void finish(const Task& task) {
    const int64_t middle = split(task);
    if (task.tree.is_leaf()) return;
    finish({task.tree.left(), task.begin, middle});
    finish({task.tree.right(), middle, task.end});
  }

  // Writes the box of a node, and its points if it is a leaf; otherwise parts them along the longest side.
  int64_t split(const Task& task) {
    const Subtree& tree = task.tree;
    const Moved<T, D>*const first = moved_.get() + task.begin, *const last = moved_.get() + task.end;
    T *const low = boxes_.get() + tree.node * 2 * dim(), *const high = low + dim();
    if constexpr (D > 0) {
      std::array<T, D> least = first->c, most = first->c;
      for (const auto* p = first; p < last; ++p)
        for (int d = 0; d < D; ++d) {
          least[d] = p->c[d] < least[d] ? p->c[d] : least[d];
          most[d] = p->c[d] > most[d] ? p->c[d] : most[d];
        }
      for (int d = 0; d < D; ++d) low[d] = least[d], high[d] = most[d];
    } else {
      for (int64_t d = 0; d < dim(); ++d) low[d] = high[d] = first->c[d];
      for (const auto* p = first; p < last; ++p)
        for (int64_t d = 0; d < dim(); ++d) {
          low[d] = std::min(low[d], p->c[d]);
          high[d] = std::max(high[d], p->c[d]);
        }
    }
    int32_t id = first->id;
    for (const auto* p = first; p < last; ++p) id = p->id < id ? p->id : id;
    least_[tree.node] = id;
    if (tree.is_leaf()) {
      write(tree.begin, first, task.end - task.begin);
      return task.end;
    }
    int64_t axis = 0;
    for (int64_t d = 1; d < dim(); ++d)
      if (high[d] - low[d] > high[axis] - low[axis]) axis = d;
    const int64_t middle = task.begin + (tree.middle() - tree.begin) * kLeaf;
    auto* const moved = moved_.get();
    if (high[axis] > low[axis])
      std::nth_element(moved + task.begin, moved + middle, moved + task.end,
                       [axis](const auto& p, const auto& q) { return p.c[axis] < q.c[axis]; });
    else  // equal points stay in order, so that searches can leave out whole leaves of them
      std::nth_element(moved + task.begin, moved + middle, moved + task.end,
                       [](const auto& p, const auto& q) { return p.id < q.id; });
    return middle;
  }

  // A distance to what fills the last leaf is NaN, which no comparison holds for.
  void write(int64_t l, const Moved<T, D>* points, int64_t count) {
    T* const to = coordinates_.get() + l * dim() * kLeaf;
    for (int64_t i = 0; i < kLeaf; ++i) {
      for (int64_t d = 0; d < dim(); ++d)
        to[d * kLeaf + i] = i < count ? points[i].c[d] : std::numeric_limits<T>::quiet_NaN();
      ids_[l * kLeaf + i] = i < count ? points[i].id : -1;
    }
  }

  int64_t dim_, leaves_ = 0;
  std::unique_ptr<T[]> coordinates_, boxes_, wrapped_;
  std::unique_ptr<id_t[]> ids_, least_;
  std::unique_ptr<Moved<T, D>[]> moved_;
};

// Calls body.operator()<T, D>() with D = 0 for more than three dimensions.
template <typename Body>
void dispatch_points(const Tensor& x, Body&& body) {
  const auto sized = [&]<typename T>() {
    switch (x.size(1)) {
      case 1:
        return body.template operator()<T, 1>();
      case 2:
        return body.template operator()<T, 2>();
      case 3:
        return body.template operator()<T, 3>();
      default:
        return body.template operator()<T, 0>();
    }
  };
  x.scalar_type() == ScalarType::Float ? sized.template operator()<float>() : sized.template operator()<double>();
}

}  // namespace geoops
