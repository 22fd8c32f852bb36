// Batches of small matrices in blocks with one matrix in each lane.
#pragma once

#include "../small_matrices.h"
#include "lanes.h"
#include "parallel.h"

#include <algorithm>
#include <utility>

namespace geoops {

// Whole blocks of items of an odd number K of numbers, whose registers hold every number of the items in lanes of their
// own: number k of item l is in lane (K l + k) mod W, so selections gather it and one permutation puts it in order.
template <int K, typename scalar_t>
struct Turn {
  using T = lanes_t<scalar_t>;
  static constexpr int W = Lanes<scalar_t>::count;

  static constexpr int item(int k, int lane) {
    int l = 0;
    while ((K * l + k) % W != lane) ++l;
    return l;
  }
  template <int k, int v, int... L>
  static GEOOPS_INLINE T selected(const T& x, const T& row, std::integer_sequence<int, L...>) {
    return __builtin_shufflevector(x, row, ((v * W + L) % K == k ? L + W : L)...);
  }
  template <int k, int... L>
  static GEOOPS_INLINE T in_order(const T& x, std::integer_sequence<int, L...>) {
    return __builtin_shufflevector(x, x, ((K * L + k) % W)...);
  }
  template <int k, int... L>
  static GEOOPS_INLINE T in_place(const T& x, std::integer_sequence<int, L...>) {
    return __builtin_shufflevector(x, x, item(k, L)...);
  }
  template <int k, int... V>
  static GEOOPS_INLINE T number(const T* rows, std::integer_sequence<int, V...>) {
    T x = rows[0];
    ((x = selected<k, V>(x, rows[V], std::make_integer_sequence<int, W>())), ...);
    return in_order<k>(x, std::make_integer_sequence<int, W>());
  }
  template <int v, int... N>
  static GEOOPS_INLINE T row(const T* placed, std::integer_sequence<int, N...>) {
    T x = placed[0];
    ((x = selected<N, v>(x, placed[N], std::make_integer_sequence<int, W>())), ...);
    return x;
  }
  template <int... N>
  static GEOOPS_INLINE void load(const scalar_t* from, T* to, std::integer_sequence<int, N...> all) {
    const T rows[K] = {geoops::load(from + N * W)...};
    ((to[N] = number<N>(rows, all)), ...);
  }
  template <int... N>
  static GEOOPS_INLINE void store(scalar_t* to, const T* from, std::integer_sequence<int, N...> all) {
    const T placed[K] = {in_place<N>(from[N], std::make_integer_sequence<int, W>())...};
    (geoops::store(to + N * W, row<N>(placed, all)), ...);
  }
};

// Shorter registers hold too few numbers for that to be faster than to read one by one.
template <int K>
constexpr bool kTurns = K % 2 == 1 && kRegister >= 64;

// Reads up to a block of items of K numbers, zeros behind the last one.
template <int K, typename scalar_t>
GEOOPS_INLINE void load_block(const scalar_t* from, int64_t count, lanes_t<scalar_t>* to) {
  constexpr int64_t W = Lanes<scalar_t>::count;
  if constexpr (kTurns<K>)
    if (count == W) return Turn<K, scalar_t>::load(from, to, std::make_integer_sequence<int, K>());
  alignas(64) scalar_t rows[K][W];
  if (count == W) {
    for (int64_t l = 0; l < W; ++l)
      for (int k = 0; k < K; ++k) rows[k][l] = from[l * K + k];
  } else {
    for (int64_t l = 0; l < W; ++l)
      for (int k = 0; k < K; ++k) rows[k][l] = l < count ? from[l * K + k] : scalar_t(0);
  }
  for (int k = 0; k < K; ++k) to[k] = load(rows[k]);
}

template <int K, typename scalar_t>
GEOOPS_INLINE void store_block(scalar_t* to, int64_t count, const lanes_t<scalar_t>* from) {
  constexpr int64_t W = Lanes<scalar_t>::count;
  if constexpr (kTurns<K>)
    if (count == W) return Turn<K, scalar_t>::store(to, from, std::make_integer_sequence<int, K>());
  alignas(64) scalar_t rows[K][W];
  for (int k = 0; k < K; ++k) store(rows[k], from[k]);
  if (count == W) {
    for (int64_t l = 0; l < W; ++l)
      for (int k = 0; k < K; ++k) to[l * K + k] = rows[k][l];
  } else {
    for (int64_t l = 0; l < count; ++l)
      for (int k = 0; k < K; ++k) to[l * K + k] = rows[k][l];
  }
}

// `count` matrices from `begin` on.
struct Block {
  int64_t begin, count;
};

// A tensor of vectors of K numbers or of matrices (K = d * d), read or written in blocks.
template <typename number_t, int size>
struct Blocks {
  using scalar_t = number_t;
  using T = lanes_t<scalar_t>;
  using Place = Block;
  static constexpr int D = size;
  static constexpr int64_t W = Lanes<scalar_t>::count;

  static GEOOPS_INLINE dense::Matrix<T, D> matrix(const scalar_t* from, const Block& at) {
    dense::Matrix<T, D> x;
    load_block<D * D>(from + at.begin * D * D, at.count, &x[0][0]);
    return x;
  }
  template <int K = D>
  static GEOOPS_INLINE dense::Vector<T, K> vector(const scalar_t* from, const Block& at) {
    dense::Vector<T, K> x;
    load_block<K>(from + at.begin * K, at.count, &x[0]);
    return x;
  }
  static GEOOPS_INLINE void write(scalar_t* to, const Block& at, const dense::Matrix<T, D>& x) {
    store_block<D * D>(to + at.begin * D * D, at.count, &x[0][0]);
  }
  template <int K>
  static GEOOPS_INLINE void write(scalar_t* to, const Block& at, const dense::Vector<T, K>& x) {
    store_block<K>(to + at.begin * K, at.count, &x[0]);
  }
};

struct Cpu {
  template <typename scalar_t, int D>
  using IO = Blocks<scalar_t, D>;

  struct Guard {
    explicit Guard(const Tensor&) {}
  };

  static void same(const char*, const Tensor&, std::initializer_list<const Tensor*>) {}
  static Tensor fresh(const Tensor& x) { return in_large_pages(x); }

  // Which matrices share a block does not depend on the threads, and no lane sees another.
  template <template <typename> typename Job, typename B>
  static void each(const char*, const Tensor& x, int64_t cost, const Job<B>& job) {
    const int64_t all = x.numel() / (B::D * B::D);
    for_ranges((all + B::W - 1) / B::W, cost * B::W, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block) job({block * B::W, std::min(B::W, all - block * B::W)});
    });
  }
};

}  // namespace geoops
