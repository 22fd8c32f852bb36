// The k nearest points within a radius, or all: a walk through the tree for each leaf of queries.
#pragma GCC optimize("fp-contract=off")
#include "neighbours.h"

#include <cstring>

#ifdef __AVX2__
#include <immintrin.h>
#endif

#include <torch/csrc/stable/library.h>

namespace geoops {
namespace {

constexpr int64_t kTogether = 32;  // leaves of queries whose pairs are kept in one buffer
constexpr int64_t kRanked = 96;    // entries that are sorted by counting who comes before them

template <typename T>
using Bits = typename Lanes<T>::bits;

// The lanes that are true, as bits.
template <typename T>
GEOOPS_INLINE uint32_t bits_of(const Bits<T>& hit) {
#if defined(__AVX512DQ__)
  if constexpr (sizeof(T) == 4)
    return _mm512_movepi32_mask((__m512i)hit);
  else
    return _mm512_movepi64_mask((__m512i)hit);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return static_cast<uint32_t>(_mm256_movemask_ps((__m256)hit));
  else
    return static_cast<uint32_t>(_mm256_movemask_pd((__m256d)hit));
#elif defined(__x86_64__)
  if constexpr (sizeof(T) == 4)
    return static_cast<uint32_t>(_mm_movemask_ps((__m128)hit));
  else
    return static_cast<uint32_t>(_mm_movemask_pd((__m128d)hit));
#else
  uint32_t mask = 0;
  for (int l = 0; l < Lanes<T>::count; ++l) mask |= static_cast<uint32_t>(hit[l] & 1) << l;
  return mask;
#endif
}

// Writes the chosen lanes one after another; what is behind them is overwritten too.
template <typename value_t, typename pack_t>
GEOOPS_INLINE void pack_into(value_t* to, const pack_t& from, uint32_t mask) {
#if defined(__AVX512F__)
  if constexpr (sizeof(value_t) == 4)
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(mask), (__m512i)from));
  else
    _mm512_storeu_si512(to, _mm512_maskz_compress_epi64(static_cast<__mmask8>(mask), (__m512i)from));
#else
  for (; mask; mask &= mask - 1) *to++ = from[__builtin_ctz(mask)];
#endif
}

template <typename id_t, typename T>
struct Query {
  T bound;
  id_t worst;     // of the points at the bound only those with smaller numbers are wanted
  int64_t count;  // of what has been found
};

// `nearest`: k nearest of what is within the bound, in order; otherwise all of it.
template <typename T, int D, bool periodic, bool nearest>
class Search {
 public:
  using id_t = id_t_of<T>;
  using pack_t = lanes_t<T>;
  static constexpr int64_t W = Lanes<T>::count;

  Search(const Forest<T, D>& x, const Forest<T, D>& y, const std::vector<T>& length, int64_t k, T bound, bool loop)
      : x_(x), y_(y), length_(length), k_(k), bound_(bound), loop_(loop) {
    capacity_ = nearest ? std::max<int64_t>(2 * k, k + 2 * kLeaf) : 4 * kLeaf;
    resize();
  }

  // Finds the neighbours of the points in leaf l of y among those of the tree.
  void run(int64_t l, const Subtree& root) {
    leaf_ = y_.leaf(l);
    ids_ = y_.ids(l);
    for (int64_t q = 0; q < kLeaf; ++q) {
      const bool real = ids_[q] >= 0;
      bounds_[q] = real ? bound_ : T{-1};
      query_[q] = {bounds_[q], std::numeric_limits<id_t>::max(), 0};
    }
    for (int64_t d = 0; d < x_.dim(); ++d) {
      T low = leaf_[d * kLeaf], high = low;
      for (int64_t q = 1; q < kLeaf; ++q) {
        low = leaf_[d * kLeaf + q] < low ? leaf_[d * kLeaf + q] : low;
        high = leaf_[d * kLeaf + q] > high ? leaf_[d * kLeaf + q] : high;
      }
      low_[d] = low, high_[d] = high;
    }
    widest_ = bound_;
    last_ = std::numeric_limits<id_t>::max();
    walk(root);
    if constexpr (nearest)
      for (int64_t q = 0; q < kLeaf; ++q) shrink(q);
  }

  int64_t count(int64_t q) const { return query_[q].count; }
  const id_t* found(int64_t q) const { return numbers_.data() + q * stride_; }
  int64_t total() const {
    int64_t sum = 0;
    for (const auto& q : query_) sum += q.count;
    return sum;
  }

 private:
  void resize() {
    stride_ = capacity_ + W;
    numbers_.resize(kLeaf * stride_);
    if constexpr (nearest) squares_.resize(kLeaf * stride_);
  }

  void grow() {
    const std::vector<id_t> before = numbers_;
    const int64_t stride = stride_;
    capacity_ *= 2;
    resize();
    for (int64_t q = 0; q < kLeaf; ++q)
      std::copy_n(before.begin() + q * stride, query_[q].count, numbers_.begin() + q * stride_);
  }

  // Smallest offset along one axis between an interval of queries and one of points.
  static T gap(T low, T high, T from, T to, T length) {
    const T above = from - high, below = low - to;
    T off = above > below ? above : below;
    off = off > 0 ? off : T{0};
    if constexpr (periodic) {
      const T around = length - ((high > to ? high : to) - (low < from ? low : from));
      off = around < off ? around : off;
      off = off > 0 ? off : T{0};
    }
    return off;
  }

  T away(int64_t node) const {
    const T *const low = x_.low(node), *const high = x_.high(node);
    T sum = 0;
    for (int64_t d = 0; d < x_.dim(); ++d) {
      const T off = gap(low_[d], high_[d], low[d], high[d], periodic ? length_[d] : T{0});
      sum += off * off;
    }
    return sum;
  }

  bool misses(T square, int64_t node) const {
    if (!(square <= widest_)) return true;
    if constexpr (nearest) return square == widest_ && x_.least(node) > last_;
    return false;
  }

  // The nearer child first. The depth is that of a balanced tree.
  void walk(const Subtree& root) {
    struct Entry {
      Subtree tree;
      T square;
    };
    Entry stack[64];
    int64_t depth = 0;
    stack[depth++] = {root, away(root.node)};
    while (depth > 0) {
      const Entry entry = stack[--depth];
      if (misses(entry.square, entry.tree.node)) continue;
      if (entry.tree.is_leaf()) {
        visit(entry.tree);
        continue;
      }
      Entry near{entry.tree.left(), 0}, far{entry.tree.right(), 0};
      near.square = away(near.tree.node), far.square = away(far.tree.node);
      if (far.square < near.square) std::swap(near, far);
      stack[depth++] = far;
      stack[depth++] = near;
    }
  }

  GEOOPS_INLINE pack_t offset(const pack_t& away, int64_t d) const {
    if constexpr (!periodic) return away;
    const pack_t off = away < 0 ? -away : away;
    const pack_t around = all(length_[d]) - off;
    return around < off ? around : off;
  }

  // All queries against the box of one leaf, then those that reach it against its points.
  void visit(const Subtree& tree) {
    const T *const low = x_.low(tree.node), *const high = x_.high(tree.node);
    uint64_t reach = 0;
    for (int64_t part = 0; part < kLeaf / W; ++part) {
      pack_t sum = all(T{0});
      for (int64_t d = 0; d < x_.dim(); ++d) {
        const pack_t at = load(leaf_ + d * kLeaf + part * W), zero = all(T{0});
        const pack_t above = low[d] - at, below = at - high[d];
        pack_t off = above > below ? above : below;
        off = off > zero ? off : zero;
        if constexpr (periodic) {
          const pack_t around = length_[d] - ((at > high[d] ? at : all(high[d])) - (at < low[d] ? at : all(low[d])));
          off = around < off ? around : off;
          off = off > zero ? off : zero;
        }
        sum = sum + off * off;
      }
      reach |= static_cast<uint64_t>(bits_of<T>(sum <= load(bounds_ + part * W))) << part * W;
    }
    bool changed = false;
    for (; reach; reach &= reach - 1) {
      const int64_t q = __builtin_ctzll(reach);
      if (ids_[q] < 0) continue;
      scan(q, tree.begin);
      if (query_[q].count + kLeaf <= capacity_) {
        if (!nearest || query_[q].count < k_ || query_[q].bound < bound_) continue;
      }
      if constexpr (nearest) {
        shrink(q);
        changed = true;
      } else {
        grow();
      }
    }
    if (nearest && changed) {
      widest_ = -1, last_ = -1;
      for (int64_t q = 0; q < kLeaf; ++q) {
        if (query_[q].bound > widest_)
          widest_ = query_[q].bound, last_ = query_[q].worst;
        else if (query_[q].bound == widest_)
          last_ = std::max(last_, query_[q].worst);
      }
    }
  }

  GEOOPS_INLINE void scan(int64_t q, int64_t l) {
    Query<id_t, T>& query = query_[q];
    const T* const leaf = x_.leaf(l);
    const id_t* const ids = x_.ids(l);
    const id_t self = loop_ ? -1 : ids_[q];
    int64_t count = query.count;
    for (int64_t part = 0; part < kLeaf / W; ++part) {
      pack_t sum{};
      for (int64_t d = 0; d < x_.dim(); ++d) {
        const pack_t off = offset(load(leaf + d * kLeaf + part * W) - leaf_[d * kLeaf + q], d);
        sum = d == 0 ? off * off : sum + off * off;
      }
      Bits<T> id;
      std::memcpy(&id, ids + part * W, sizeof(id));
      const uint32_t mask = bits_of<T>((sum <= query.bound) & (id != self));
      pack_into(numbers_.data() + q * stride_ + count, id, mask);
      if constexpr (nearest) pack_into(squares_.data() + q * stride_ + count, sum, mask);
      count += __builtin_popcount(mask);
    }
    query.count = count;
  }

  // Keeps the k nearest, in order, and takes the last of them for the bound.
  void shrink(int64_t q) {
    Query<id_t, T>& query = query_[q];
    id_t* const numbers = numbers_.data() + q * stride_;
    T* const squares = squares_.data() + q * stride_;
    const int64_t m = query.count;
    if (m <= kRanked) {
      T square[kRanked];
      id_t number[kRanked];
      for (int64_t i = m; i < (m + W - 1) / W * W; ++i) squares[i] = 0, numbers[i] = 0;  // read, not used
      for (int64_t i = 0; i < m; i += W) {
        const pack_t mine = load(squares + i);
        Bits<T> id, rank{};
        std::memcpy(&id, numbers + i, sizeof(id));
        for (int64_t j = 0; j < m; ++j) rank -= (squares[j] < mine) | ((squares[j] == mine) & (numbers[j] < id));
        for (int64_t l = 0; l < std::min(W, m - i); ++l) square[rank[l]] = mine[l], number[rank[l]] = id[l];
      }
      query.count = std::min(m, k_);
      std::copy_n(square, query.count, squares);
      std::copy_n(number, query.count, numbers);
    } else {
      sorted_.clear();
      for (int64_t i = 0; i < m; ++i) sorted_.push_back({squares[i], numbers[i]});
      const int64_t kept = std::min(m, k_);
      std::nth_element(sorted_.begin(), sorted_.begin() + kept - 1, sorted_.end());
      std::sort(sorted_.begin(), sorted_.begin() + kept);
      for (int64_t i = 0; i < kept; ++i) squares[i] = sorted_[i].first, numbers[i] = sorted_[i].second;
      query.count = kept;
    }
    if (query.count == k_) {
      query.bound = bounds_[q] = squares[k_ - 1];
      query.worst = numbers[k_ - 1];
    }
  }

  const Forest<T, D>&x_, &y_;
  const std::vector<T>& length_;
  const int64_t k_;
  const T bound_;
  const bool loop_;
  int64_t capacity_, stride_;
  const T* leaf_ = nullptr;
  const id_t* ids_ = nullptr;
  T bounds_[kLeaf];
  Query<id_t, T> query_[kLeaf];
  std::vector<T> low_ = std::vector<T>(x_.dim()), high_ = low_;
  T widest_ = 0;
  id_t last_ = 0;
  std::vector<id_t> numbers_;
  std::vector<T> squares_;
  std::vector<std::pair<T, id_t>> sorted_;
};

// Writes numbers in ascending order.
template <typename id_t>
void write_sorted(const id_t* from, int64_t count, int64_t* to) {
  constexpr int64_t W = kRegister / sizeof(id_t);
  typedef id_t pack_t __attribute__((vector_size(kRegister)));
  if (count > kRanked) {
    std::copy_n(from, count, to);
    std::sort(to, to + count);
    return;
  }
  for (int64_t i = 0; i < count; i += W) {
    pack_t mine, rank{};
    std::memcpy(&mine, from + i, sizeof(mine));
    for (int64_t j = 0; j < count; ++j) rank -= from[j] < mine;
    for (int64_t l = 0; l < std::min(W, count - i); ++l) to[rank[l]] = from[i + l];
  }
}

// The pairs of some leaves of queries, query after query.
template <typename id_t>
struct Buffer {
  std::unique_ptr<id_t[]> data;
  int64_t size = 0, room = 0;

  void append(const id_t* from, int64_t count) {
    constexpr int64_t spare = 64 / sizeof(id_t);  // write_sorted reads whole vectors
    if (size + count + spare > room) {
      room = std::max(2 * room, size + count + spare);
      std::unique_ptr<id_t[]> larger(new id_t[room]);
      std::copy_n(data.get(), size, larger.get());
      data = std::move(larger);
    }
    std::copy_n(from, count, data.get() + size);
    size += count;
  }
};

template <typename T, int D, bool periodic, bool nearest>
Tensor pairs(const Tensor& x, const Tensor& y, const std::vector<Segment>& of_x, const std::vector<Segment>& of_y,
             const std::vector<T>& length, int64_t k, T bound, bool loop) {
  using id_t = id_t_of<T>;
  const Forest<T, D> tree(x.const_data_ptr<T>(), x.size(1), of_x, length);
  const bool same = x.const_data_ptr() == y.const_data_ptr() && x.size(0) == y.size(0) && of_x.size() == of_y.size() &&
                    std::equal(of_x.begin(), of_x.end(), of_y.begin(), [](const Segment& s, const Segment& t) {
                      return s.begin == t.begin && s.other == t.other;
                    });
  std::optional<Forest<T, D>> own;
  if (!same) own.emplace(y.const_data_ptr<T>(), y.size(1), of_y, length);
  const Forest<T, D>& queries = same ? tree : *own;
  const int64_t n = y.size(0), chunks = (queries.leaves() + kTogether - 1) / kTogether;
  std::vector<Buffer<id_t>> buffers(chunks);
  std::unique_ptr<int64_t[]> starts(new int64_t[n + 1]());
  std::vector<int64_t> root_of(queries.leaves());
  for (size_t s = 0; s < of_y.size(); ++s)
    std::fill(root_of.begin() + queries.roots[s].begin, root_of.begin() + queries.roots[s].end, of_y[s].other);
  for_ranges(chunks, kGrain, [&](int64_t begin, int64_t end) {
    Search<T, D, periodic, nearest> search(tree, queries, length, k, bound, loop);
    for (int64_t chunk = begin; chunk < end; ++chunk)
      for (int64_t l = chunk * kTogether; l < std::min((chunk + 1) * kTogether, queries.leaves()); ++l) {
        if (root_of[l] < 0) continue;
        search.run(l, tree.roots[root_of[l]]);
        for (int64_t q = 0; q < kLeaf && queries.ids(l)[q] >= 0; ++q) {
          starts[queries.ids(l)[q] + 1] = search.count(q);
          buffers[chunk].append(search.found(q), search.count(q));
        }
      }
  });
  for (int64_t i = 0; i < n; ++i) starts[i + 1] += starts[i];
  Tensor out = in_large_pages(torch::stable::new_empty(x, {2, starts[n]}, ScalarType::Long));
  if (starts[n] == 0) return out;
  auto *const to_y = out.mutable_data_ptr<int64_t>(), *const to_x = to_y + starts[n];
  for_ranges(chunks, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t chunk = begin; chunk < end; ++chunk) {
      const id_t* from = buffers[chunk].data.get();
      for (int64_t l = chunk * kTogether; l < std::min((chunk + 1) * kTogether, queries.leaves()); ++l)
        for (int64_t q = 0; q < kLeaf && queries.ids(l)[q] >= 0; ++q) {
          const int64_t i = queries.ids(l)[q], count = starts[i + 1] - starts[i];
          std::fill_n(to_y + starts[i], count, i);
          if constexpr (nearest)
            std::copy_n(from, count, to_x + starts[i]);
          else
            write_sorted(from, count, to_x + starts[i]);
          from += count;
        }
    }
  });
  return out;
}

// For each point of `to` those of `from`.
Tensor search(const char* op, const Points& from, const Points& to, const std::optional<Tensor>& box, int64_t k,
              double r, bool loop) {
  const Tensor &x = from.tensor, &y = to.tensor;
  check_points(op, from.name, x);
  if (x.const_data_ptr() != y.const_data_ptr() || x.numel() != y.numel()) check_points(op, to.name, y);
  check_search(op, from, to, r);
  const auto [of_x, of_y] = segments(op, from.name, x, from.batch, to.name, y, to.batch);
  Tensor out = torch::stable::new_empty(x, {2, 0}, ScalarType::Long);
  int64_t most = 0;
  for (const Segment& s : of_x) most = std::max(most, s.end - s.begin);
  most = std::min(most, k);
  if (k == 0 || of_x.empty() || of_y.empty()) return out;
  dispatch_points(x, [&]<typename T, int D>() {
    std::vector<T> length;
    if (box) length = lengths_of<T>(op, *box, x);
    const T bound = static_cast<T>(r) * static_cast<T>(r);
    const auto go = [&]<bool periodic, bool nearest>() {
      out = pairs<T, D, periodic, nearest>(x, y, of_x, of_y, length, most, bound, loop);
    };
    if (box)
      k < 0 ? go.template operator()<true, false>() : go.template operator()<true, true>();
    else
      k < 0 ? go.template operator()<false, false>() : go.template operator()<false, true>();
  });
  return out;
}

Tensor neighbours_cpu(const Tensor& x, const Tensor& y, const std::optional<Tensor>& batch_x,
                      const std::optional<Tensor>& batch_y, const std::optional<Tensor>& box, int64_t k, double r,
                      bool loop) {
  return search("neighbours", {"x", torch::stable::contiguous(x), batch_x},
                {"y", torch::stable::contiguous(y), batch_y}, box, k, r, loop);
}

Tensor nearest_cpu(const Tensor& x, const Tensor& y, const std::optional<Tensor>& batch_x,
                   const std::optional<Tensor>& batch_y, const std::optional<Tensor>& box) {
  const Tensor found =
      search("nearest", {"y", torch::stable::contiguous(y), batch_y}, {"x", torch::stable::contiguous(x), batch_x}, box,
             1, std::numeric_limits<double>::infinity(), true);
  require(found.size(1) == x.size(0), "nearest: some points of x have no points of y in their example of the batch");
  Tensor out = torch::stable::new_empty(found, {x.size(0)});
  if (x.size(0) > 0)
    std::copy_n(found.const_data_ptr<int64_t>() + x.size(0), x.size(0), out.mutable_data_ptr<int64_t>());
  return out;
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("neighbours", TORCH_BOX(&neighbours_cpu));
  m.impl("nearest", TORCH_BOX(&nearest_cpu));
}

}  // namespace
}  // namespace geoops
