// Softmax and logarithm of the sum of exponentials over the entries of each target.
#include "../reductions.h"
#include "rows.cuh"

namespace geoops {
namespace {

template <typename scalar_t, typename acc_t>
__global__ void raise_top(Layout z, const scalar_t* __restrict__ x, const int64_t* __restrict__ index,
                          key_t<acc_t>* __restrict__ top) {
  z.each(index,
         [=](int64_t, int64_t from, int64_t to) { atomicMax(top + to, key_of(static_cast<acc_t>(x[from]), true)); });
}

template <typename scalar_t, typename acc_t>
__global__ void add_exponentials(Layout z, const scalar_t* __restrict__ x, const int64_t* __restrict__ index,
                                 const key_t<acc_t>* __restrict__ top, acc_t* __restrict__ sum) {
  z.each(index, [=](int64_t, int64_t from, int64_t to) {
    add(sum + to, static_cast<acc_t>(exp(static_cast<acc_t>(x[from]) - shift_of<acc_t>(top[to]))));
  });
}

template <typename scalar_t, typename acc_t>
__global__ void divide(Layout z, const scalar_t* __restrict__ x, const int64_t* __restrict__ index,
                       const key_t<acc_t>* __restrict__ top, const acc_t* __restrict__ sum,
                       scalar_t* __restrict__ out) {
  z.each(index, [=](int64_t, int64_t from, int64_t to) {
    out[from] = static_cast<scalar_t>(exp(static_cast<acc_t>(x[from]) - shift_of<acc_t>(top[to])) / sum[to]);
  });
}

template <typename acc_t>
__global__ void add_logarithm(const key_t<acc_t>* __restrict__ top, acc_t* __restrict__ sum, int64_t count) {
  for (int64_t i = first_thread(); i < count; i += all_threads()) {
    const acc_t shift = shift_of<acc_t>(top[i]);
    sum[i] = shift == kInfinity<acc_t> ? shift : shift + log(sum[i]);
  }
}

template <typename scalar_t, typename acc_t>
__global__ void add_products(Layout z, const scalar_t* __restrict__ y, const scalar_t* __restrict__ g,
                             const int64_t* __restrict__ index, acc_t* __restrict__ sum) {
  z.each(index, [=](int64_t, int64_t from, int64_t to) {
    add(sum + to, static_cast<acc_t>(y[from]) * static_cast<acc_t>(g[from]));
  });
}

template <typename scalar_t, typename acc_t>
__global__ void subtract(Layout z, const scalar_t* __restrict__ y, const scalar_t* __restrict__ g,
                         const int64_t* __restrict__ index, const acc_t* __restrict__ sum, scalar_t* __restrict__ out) {
  z.each(index, [=](int64_t, int64_t from, int64_t to) {
    out[from] = static_cast<scalar_t>(static_cast<acc_t>(y[from]) * (static_cast<acc_t>(g[from]) - sum[to]));
  });
}

// Fills `top` with the keys of the maxima and `sum` with the sums of the exponentials relative to them.
template <typename scalar_t, typename acc_t>
void top_and_sum(const char* op, const Layout& z, const Tensor& x, const Tensor& index, const Tensor& top,
                 const Tensor& sum) {
  launch_for(op, raise_top<scalar_t, acc_t>, z.threads(), x, z, data<scalar_t>(x), data<int64_t>(index),
             data<key_t<acc_t>>(top));
  launch_for(op, add_exponentials<scalar_t, acc_t>, z.threads(), x, z, data<scalar_t>(x), data<int64_t>(index),
             data<key_t<acc_t>>(top), data<acc_t>(sum));
}

Tensor scatter_softmax(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_softmax";
  check_scatter(op, x_, index_, n);
  require_same_device(op, x_, {&index_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), index = as_long(op, index_);
  if (check) check_bounds(op, {{"index", index, n}});
  const Layout z = layout_of(x, n);
  Tensor out = torch::stable::new_zeros(x, {z.outer, z.edges, z.inner});
  dispatch_floats(op, x.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const Tensor top = torch::stable::new_zeros(x, {z.outer, n, z.inner}, key_type<acc_t>);
    const Tensor sum = torch::stable::new_zeros(x, {z.outer, n, z.inner}, accumulator_type(x.scalar_type()));
    top_and_sum<scalar_t, acc_t>(op, z, x, index, top, sum);
    launch_for(op, divide<scalar_t, acc_t>, z.threads(), x, z, data<scalar_t>(x), data<int64_t>(index),
               data<key_t<acc_t>>(top), data<acc_t>(sum), data<scalar_t>(out));
  });
  return out;
}

Tensor scatter_logsumexp(const Tensor& x_, const Tensor& index_, int64_t n, bool check) {
  const char* op = "scatter_logsumexp";
  check_scatter(op, x_, index_, n);
  require_same_device(op, x_, {&index_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), index = as_long(op, index_);
  if (check) check_bounds(op, {{"index", index, n}});
  const Layout z = layout_of(x, n);
  const ScalarType type = x.scalar_type(), wide = accumulator_type(type);
  Tensor sum = torch::stable::new_zeros(x, {z.outer, n, z.inner}, wide);
  dispatch_floats(op, type, [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    const Tensor top = torch::stable::new_zeros(x, {z.outer, n, z.inner}, key_type<acc_t>);
    top_and_sum<scalar_t, acc_t>(op, z, x, index, top, sum);
    launch_for(op, add_logarithm<acc_t>, sum.numel(), x, data<key_t<acc_t>>(top), data<acc_t>(sum), sum.numel());
  });
  return wide == type ? sum : torch::stable::to(sum, type);
}

// y * (g - sum over the target of y g), the derivative of softmax in both directions.
Tensor softmax_backward(const Tensor& y_, const Tensor& g_, const Tensor& index_, int64_t n) {
  const char* op = "softmax_backward";
  check_scatter(op, y_, index_, n);
  check_layout(op, "g", g_);
  require(g_.scalar_type() == y_.scalar_type() && g_.size(0) == y_.size(0) && g_.size(1) == y_.size(1) &&
              g_.size(2) == y_.size(2),
          op, ": y and g differ in dtype or shape");
  require_same_device(op, y_, {&g_, &index_});
  const DeviceGuard guard(y_.get_device_index());
  using torch::stable::contiguous;
  const Tensor y = contiguous(y_), g = contiguous(g_), index = as_long(op, index_);
  const Layout z = layout_of(y, n);
  const Tensor sum = torch::stable::new_zeros(y, {z.outer, n, z.inner}, accumulator_type(y.scalar_type()));
  Tensor out = torch::stable::new_zeros(y, {z.outer, z.edges, z.inner});
  dispatch_floats(op, y.scalar_type(), [&]<typename scalar_t>() {
    using acc_t = accumulator_t<scalar_t>;
    launch_for(op, add_products<scalar_t, acc_t>, z.threads(), y, z, data<scalar_t>(y), data<scalar_t>(g),
               data<int64_t>(index), data<acc_t>(sum));
    launch_for(op, subtract<scalar_t, acc_t>, z.threads(), y, z, data<scalar_t>(y), data<scalar_t>(g),
               data<int64_t>(index), data<acc_t>(sum), data<scalar_t>(out));
  });
  return out;
}

GEOOPS_CUDA_OPS(m) {
  m.impl("scatter_softmax", TORCH_BOX(&scatter_softmax));
  m.impl("scatter_logsumexp", TORCH_BOX(&scatter_logsumexp));
  m.impl("softmax_backward", TORCH_BOX(&softmax_backward));
}

}  // namespace
}  // namespace geoops
