// Batches of small matrices as blocks with one matrix in each lane.
#pragma once

#include "../dispatch.h"
#include "../small_dense.h"
#include "lanes.h"
#include "parallel.h"

#include <tuple>
#include <vector>

namespace geoops {

inline bool is_small(const Tensor& x) {
  return x.dim() >= 2 && x.size(-1) == x.size(-2) && (x.size(-1) == 2 || x.size(-1) == 3);
}

inline void check_matrices(const char* op, const char* name, const Tensor& x) {
  require(is_small(x), op, ": expected ", name, " of shape (..., 2, 2) or (..., 3, 3)");
}

// Another argument: as many numbers as `count`, of the dtype of the first one.
inline void check_partner(const char* op, const char* name, const Tensor& x, int64_t count, const Tensor& first) {
  require(x.numel() == count, op, ": expected ", count, " numbers in ", name, ", got ", x.numel());
  require(x.scalar_type() == first.scalar_type(), op, ": ", name, " is ", x.scalar_type(),
          " and the first argument is ", first.scalar_type());
}

inline std::vector<int64_t> shape_of(const Tensor& x, int64_t leading) {
  std::vector<int64_t> shape;
  for (int64_t i = 0; i < leading; ++i) shape.push_back(x.size(i));
  return shape;
}

// Calls body.operator()<scalar_t, d>().
template <typename Body>
void dispatch_small(const char* op, const Tensor& x, Body&& body) {
  const auto with_size = [&]<typename scalar_t>() {
    x.size(-1) == 2 ? body.template operator()<scalar_t, 2>() : body.template operator()<scalar_t, 3>();
  };
  if (x.scalar_type() == ScalarType::Float) return with_size.template operator()<float>();
  if (x.scalar_type() == ScalarType::Double) return with_size.template operator()<double>();
  fail<std::invalid_argument>(op, ": expected float32 or float64, got ", x.scalar_type(), "; cast it");
}

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

// A tensor of vectors (K = d) or matrices (K = d * d), read or written in blocks.
template <typename scalar_t, int D>
struct Blocks {
  using T = lanes_t<scalar_t>;
  static constexpr int64_t W = Lanes<scalar_t>::count;

  static GEOOPS_INLINE dense::Matrix<T, D> matrix(const scalar_t* from, int64_t begin, int64_t count) {
    dense::Matrix<T, D> x;
    load_block<D * D>(from + begin * D * D, count, &x[0][0]);
    return x;
  }
  static GEOOPS_INLINE dense::Vector<T, D> vector(const scalar_t* from, int64_t begin, int64_t count) {
    dense::Vector<T, D> x;
    load_block<D>(from + begin * D, count, &x[0]);
    return x;
  }
  static GEOOPS_INLINE void write(scalar_t* to, int64_t begin, int64_t count, const dense::Matrix<T, D>& x) {
    store_block<D * D>(to + begin * D * D, count, &x[0][0]);
  }
  static GEOOPS_INLINE void write(scalar_t* to, int64_t begin, int64_t count, const dense::Vector<T, D>& x) {
    store_block<D>(to + begin * D, count, &x[0]);
  }

  // Calls body(begin, count) for the blocks of `all` matrices. Which matrices share a block does not depend on the
  // threads, and no lane sees another.
  template <typename Body>
  static void each(int64_t all, int64_t cost, const Body& body) {
    for_ranges((all + W - 1) / W, cost * W, [&](int64_t first, int64_t last) {
      for (int64_t block = first; block < last; ++block) body(block * W, std::min(W, all - block * W));
    });
  }
};

}  // namespace geoops
