// Reductions of x[o, e, :] over the entries e with index[e] = i. Sums and products are atomic, so their order varies
// between runs; extrema do not depend on it: first the best value of every target, then its smallest position.
#include "../reductions.h"
#include "rows.cuh"

#include <tuple>

namespace geoops {
namespace {

template <typename T>
__device__ T as_number(key_t<T> bits) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<T>(bits);
  else
    return of_bits(bits);
}

template <typename T>
__device__ key_t<T> as_bits(T number) {
  if constexpr (std::is_integral_v<T>)
    return static_cast<key_t<T>>(number);
  else
    return bits_of(number);
}

template <typename T>
__device__ void multiply(T* to, T x) {
  auto* at = reinterpret_cast<key_t<T>*>(to);
  key_t<T> guess = as_bits(T(1));
  for (;;) {
    key_t<T> product;
    if constexpr (std::is_integral_v<T>)
      product = guess * static_cast<key_t<T>>(x);
    else
      product = as_bits(as_number<T>(guess) * x);
    const key_t<T> held = atomicCAS(at, guess, product);
    if (held == guess) return;
    guess = held;
  }
}

template <typename scalar_t, typename acc_t, typename index_t>
__global__ void add_rows(Layout z, const scalar_t* __restrict__ x, const index_t* __restrict__ index,
                         acc_t* __restrict__ out) {
  z.each(index, [=](int64_t, int64_t from, int64_t to) { add(out + to, static_cast<acc_t>(x[from])); });
}

template <typename scalar_t, typename acc_t>
__global__ void multiply_rows(Layout z, const scalar_t* __restrict__ x, const int64_t* __restrict__ index,
                              acc_t* __restrict__ out) {
  z.each(index, [=](int64_t, int64_t from, int64_t to) { multiply(out + to, static_cast<acc_t>(x[from])); });
}

template <typename scalar_t, typename acc_t>
__global__ void raise_best(Layout z, const scalar_t* __restrict__ x, const int64_t* __restrict__ index,
                           key_t<acc_t>* __restrict__ best, bool largest) {
  z.each(index, [=](int64_t, int64_t from, int64_t to) {
    atomicMax(best + to, key_of(static_cast<acc_t>(x[from]), largest));
  });
}

template <typename scalar_t, typename acc_t>
__global__ void lower_position(Layout z, const scalar_t* __restrict__ x, const int64_t* __restrict__ index,
                               const key_t<acc_t>* __restrict__ best, unsigned long long* __restrict__ arg,
                               bool largest) {
  z.each(index, [=](int64_t e, int64_t from, int64_t to) {
    if (key_of(static_cast<acc_t>(x[from]), largest) == best[to])
      atomicMin(arg + to, static_cast<unsigned long long>(e));
  });
}

template <typename scalar_t>
__global__ void take_best(Layout z, const scalar_t* __restrict__ x, const int64_t* __restrict__ arg,
                          scalar_t* __restrict__ out) {
  const int64_t row = z.targets * z.inner;
  for (int64_t i = first_thread(); i < z.outer * row; i += all_threads()) {
    const int64_t e = arg[i];
    out[i] = e < z.edges ? x[(i / row * z.edges + e) * z.inner + i % z.inner] : static_cast<scalar_t>(0);
  }
}

Tensor scatter_sum(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_sum";
  check_scatter(op, x_, index_, n);
  require_same_device(op, x_, {&index_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  if (check) check_bounds(op, {{"index", index, n}});
  const ScalarType type = x.scalar_type(), wide = atomic_type(type);
  const Layout z = layout_of(x, n);
  Tensor out = torch::stable::new_zeros(x, {z.outer, n, z.inner}, wide);
  dispatch_numbers(op, type, [&]<typename scalar_t>() {
    using acc_t = atomic_t<scalar_t>;
    dispatch_index(op, index.scalar_type(), [&]<typename index_t>() {
      launch_for(op, add_rows<scalar_t, acc_t, index_t>, z.threads(), x, z, data<scalar_t>(x), data<index_t>(index),
                 data<acc_t>(out));
    });
  });
  return wide == type ? out : torch::stable::to(out, type);
}

Tensor scatter_mul(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_mul";
  check_scatter(op, x_, index_, n);
  require_same_device(op, x_, {&index_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), index = as_long(op, index_);
  if (check) check_bounds(op, {{"index", index, n}});
  const ScalarType type = x.scalar_type(), wide = atomic_type(type);
  const Layout z = layout_of(x, n);
  Tensor out = torch::stable::new_empty(x, {z.outer, n, z.inner}, wide);
  torch::stable::fill_(out, 1);
  dispatch_numbers(op, type, [&]<typename scalar_t>() {
    using acc_t = atomic_t<scalar_t>;
    launch_for(op, multiply_rows<scalar_t, acc_t>, z.threads(), x, z, data<scalar_t>(x), data<int64_t>(index),
               data<acc_t>(out));
  });
  return wide == type ? out : torch::stable::to(out, type);
}

std::tuple<Tensor, Tensor> scatter_extremum(const Tensor& x_, const Tensor& index_, int64_t n, bool largest,
                                            bool check) {
  const char* op = "scatter_extremum";
  check_scatter(op, x_, index_, n);
  require_same_device(op, x_, {&index_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), index = as_long(op, index_);
  if (check) check_bounds(op, {{"index", index, n}});
  const Layout z = layout_of(x, n);
  Tensor out = torch::stable::new_empty(x, {z.outer, n, z.inner});
  Tensor arg = torch::stable::new_empty(x, {z.outer, n, z.inner}, ScalarType::Long);
  torch::stable::fill_(arg, static_cast<double>(z.edges));
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = atomic_t<scalar_t>;
    const Tensor best = torch::stable::new_zeros(x, {z.outer, n, z.inner}, key_type<acc_t>);
    auto* keys = data<key_t<acc_t>>(best);
    launch_for(op, raise_best<scalar_t, acc_t>, z.threads(), x, z, data<scalar_t>(x), data<int64_t>(index), keys,
               largest);
    launch_for(op, lower_position<scalar_t, acc_t>, z.threads(), x, z, data<scalar_t>(x), data<int64_t>(index), keys,
               data<unsigned long long>(arg), largest);
    launch_for(op, take_best<scalar_t>, out.numel(), x, z, data<scalar_t>(x), data<int64_t>(arg), data<scalar_t>(out));
  });
  return {out, arg};
}

GEOOPS_CUDA_OPS(m) {
  m.impl("scatter_sum", TORCH_BOX(&scatter_sum));
  m.impl("scatter_mul", TORCH_BOX(&scatter_mul));
  m.impl("scatter_extremum", TORCH_BOX(&scatter_extremum));
}

}  // namespace
}  // namespace geoops
