// Batches of small matrices in blocks with one matrix in each lane.
#pragma once

#include "../small_matrices.h"
#include "lanes.h"
#include "parallel.h"

#include <algorithm>

namespace geoops {

// Reads up to a block of items of K numbers, zeros behind the last one.
template <int K, typename scalar_t>
GEOOPS_INLINE void load_block(const scalar_t* from, int64_t count, lanes_t<scalar_t>* to) {
  constexpr int64_t W = Lanes<scalar_t>::count;
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
