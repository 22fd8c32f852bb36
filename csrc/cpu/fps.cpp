// Farthest point sampling: whole subtrees are left out when the new point is no nearer to them than an old one.
#pragma GCC optimize("fp-contract=off")
#include "neighbours.h"

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

template <typename T, int D>
class Sampler {
 public:
  using id_t = id_t_of<T>;
  using pack_t = lanes_t<T>;
  static constexpr int64_t W = Lanes<T>::count;

  Sampler(const Forest<T, D>& points, const T* x) : points_(points), x_(x) {
    const int64_t leaves = points.leaves();
    square_.reset(new T[leaves * kLeaf]);
    most_.reset(new T[2 * leaves]);
    first_.reset(new id_t[2 * leaves]);
  }

  // Writes `count` of the points of a tree, beginning with `start`.
  void run(const Subtree& root, int64_t start, int64_t count, int64_t* out) {
    for (int64_t i = root.begin * kLeaf; i < root.end * kLeaf; ++i)
      square_[i] = points_.ids(0)[i] < 0 ? T{-1} : std::numeric_limits<T>::infinity();
    std::fill(most_.get() + root.node, most_.get() + root.node + 2 * (root.end - root.begin) - 1,
              std::numeric_limits<T>::infinity());
    int64_t chosen = start;
    for (int64_t i = 0; i < count; ++i) {
      if (i > 0 && most_[root.node] == 0) return rest(root, out + i, count - i);
      out[i] = chosen;
      update(root, x_ + chosen * points_.dim(), static_cast<id_t>(chosen));
      chosen = first_[root.node];
    }
  }

 private:
  // What is left lies on chosen points: it follows in the order of its numbers.
  void rest(const Subtree& root, int64_t* out, int64_t count) const {
    std::vector<id_t> left;
    for (int64_t i = root.begin * kLeaf; i < root.end * kLeaf; ++i)
      if (square_[i] >= 0) left.push_back(points_.ids(0)[i]);
    std::partial_sort(left.begin(), left.begin() + count, left.end());
    std::copy_n(left.begin(), count, out);
  }

  void update(const Subtree& tree, const T* p, id_t chosen) {
    const T *const low = points_.low(tree.node), *const high = points_.high(tree.node);
    T away = 0;
    for (int64_t d = 0; d < points_.dim(); ++d) {
      const T above = low[d] - p[d], below = p[d] - high[d], most = above > below ? above : below;
      const T off = most > 0 ? most : T{0};
      away += off * off;
    }
    // A distance that overflows is as large as what nothing has been subtracted from: that is looked at too.
    if (!(away < most_[tree.node]) && most_[tree.node] < std::numeric_limits<T>::infinity()) return;
    if (tree.is_leaf()) return update_leaf(tree, p, chosen);
    const Subtree left = tree.left(), right = tree.right();
    update(left, p, chosen);
    update(right, p, chosen);
    const T a = most_[left.node], b = most_[right.node];
    const bool take_left = a > b || (a == b && first_[left.node] < first_[right.node]);
    most_[tree.node] = take_left ? a : b;
    first_[tree.node] = first_[(take_left ? left : right).node];
  }

  void update_leaf(const Subtree& tree, const T* p, id_t chosen) {
    const T* const leaf = points_.leaf(tree.begin);
    const id_t* const ids = points_.ids(tree.begin);
    T* const square = square_.get() + tree.begin * kLeaf;
    for (int64_t part = 0; part < kLeaf; part += W) {
      pack_t sum{};
      for (int64_t d = 0; d < points_.dim(); ++d) {
        const pack_t off = load(leaf + d * kLeaf + part) - p[d];
        sum = d == 0 ? off * off : sum + off * off;
      }
      const pack_t before = load(square + part);
      typename Lanes<T>::bits id;
      std::memcpy(&id, ids + part, sizeof(id));
      pack_t after = sum < before ? sum : before;
      after = id == chosen ? all(T{-1}) : after;
      store(square + part, after);
    }
    T best[kLeaf];
    std::copy_n(square, kLeaf, best);
    for (int64_t width = kLeaf / 2; width > 0; width /= 2)
      for (int64_t l = 0; l < width; ++l) best[l] = best[l + width] > best[l] ? best[l + width] : best[l];
    id_t first[kLeaf];
    for (int64_t l = 0; l < kLeaf; ++l) first[l] = square[l] == best[0] ? ids[l] : std::numeric_limits<id_t>::max();
    for (int64_t width = kLeaf / 2; width > 0; width /= 2)
      for (int64_t l = 0; l < width; ++l) first[l] = std::min(first[l], first[l + width]);
    most_[tree.node] = best[0];
    first_[tree.node] = first[0];
  }

  const Forest<T, D>& points_;
  const T* x_;
  std::unique_ptr<T[]> square_;  // to the nearest chosen point; -1 for a chosen one
  std::unique_ptr<T[]> most_;    // of each node, and the first point that has it
  std::unique_ptr<id_t[]> first_;
};

Tensor fps_cpu(const Tensor& x_, const std::optional<Tensor>& batch, const std::optional<Tensor>& priority_,
               double ratio, int64_t number) {
  const char* op = "fps";
  const Tensor x = torch::stable::contiguous(x_);
  check_points(op, "x", x);
  check_share(op, ratio, number);
  const auto parts = segments(op, "x", x, batch, "x", x, batch).first;
  std::optional<Tensor> priority;
  if (priority_) {
    check_priority(op, x, *priority_);
    priority = torch::stable::contiguous(*priority_);
  }
  std::vector<int64_t> starts{0};
  for (const Segment& s : parts) starts.push_back(starts.back() + samples_of(s.end - s.begin, ratio, number));
  Tensor out = torch::stable::new_empty(x, {starts.back()}, ScalarType::Long);
  if (starts.back() == 0) return out;
  auto* const to = out.mutable_data_ptr<int64_t>();
  dispatch_points(x, [&]<typename T, int D>() {
    const T* const px = x.const_data_ptr<T>();
    const T* const first = priority ? priority->const_data_ptr<T>() : nullptr;
    const Forest<T, D> forest(px, x.size(1), parts, {});
    Sampler<T, D> sampler(forest, px);
    for_ranges(parts.size(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t s = begin; s < end; ++s) {
        const Segment& part = parts[s];
        const int64_t start = first ? std::max_element(first + part.begin, first + part.end) - first : part.begin;
        sampler.run(forest.roots[s], start, starts[s + 1] - starts[s], to + starts[s]);
      }
    });
  });
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("fps", TORCH_BOX(&fps_cpu)); }

}  // namespace
}  // namespace geoops
