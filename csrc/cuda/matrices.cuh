// Batches of small matrices with one thread for each matrix, which it keeps in registers.
#pragma once

#include "../small_matrices.h"
#include "launch.cuh"

namespace geoops {

// Matrix `at` of a tensor, row by row.
template <typename number_t, int size>
struct Own {
  using scalar_t = number_t;
  using T = number_t;
  using Place = int64_t;
  static constexpr int D = size;

  static GEOOPS_DENSE dense::Matrix<T, D> matrix(const T* from, int64_t at) {
    dense::Matrix<T, D> x;
    for (int k = 0; k < D * D; ++k) x[k / D][k % D] = from[at * (D * D) + k];
    return x;
  }
  template <int K = D>
  static GEOOPS_DENSE dense::Vector<T, K> vector(const T* from, int64_t at) {
    dense::Vector<T, K> x;
    for (int k = 0; k < K; ++k) x[k] = from[at * K + k];
    return x;
  }
  static GEOOPS_DENSE void write(T* to, int64_t at, const dense::Matrix<T, D>& x) {
    for (int k = 0; k < D * D; ++k) to[at * (D * D) + k] = x[k / D][k % D];
  }
  template <int K>
  static GEOOPS_DENSE void write(T* to, int64_t at, const dense::Vector<T, K>& x) {
    for (int k = 0; k < K; ++k) to[at * K + k] = x[k];
  }
};

template <typename Job>
__global__ void each_matrix(Job job, int64_t count) {
  for (int64_t i = first_thread(); i < count; i += all_threads()) job(i);
}

struct Cuda {
  template <typename scalar_t, int D>
  using IO = Own<scalar_t, D>;

  struct Guard : DeviceGuard {
    explicit Guard(const Tensor& x) : DeviceGuard(x.get_device_index()) {}
  };

  static void same(const char* op, const Tensor& x, std::initializer_list<const Tensor*> others) {
    require_same_device(op, x, others);
  }
  static Tensor fresh(const Tensor& x) { return x; }

  template <template <typename> typename Job, typename B>
  static void each(const char* op, const Tensor& x, int64_t, const Job<B>& job) {
    const int64_t count = x.numel() / (B::D * B::D);
    launch_for(op, each_matrix<Job<B>>, count, x, job, count);
  }
};

}  // namespace geoops
