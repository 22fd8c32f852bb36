// What the CPU and CUDA kernels of relative_attention share.
#pragma once

#include "checks.h"

namespace geoops {

constexpr int kPairFeatures = 5;  // |d|^2, log(|d|^2 + near), log(|d|^2 + far), cosine to the normal and its square
constexpr double kNearFloor = 1e-3, kFarFloor = 3e-2, kCosineFloor = 1e-4;

inline void check_relative_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& x,
                                     const Tensor& y, const Tensor& normal, const Tensor& offset, const Tensor& bias) {
  const char* op = "relative_attention: ";
  require(q.dim() == 4 && k.dim() == 4 && v.dim() == 4, op,
          "expected q (shapes, queries, heads, channels), k and v (shapes, heads, tokens, channels)");
  const int64_t shapes = q.size(0), queries = q.size(1), heads = q.size(2), channels = q.size(3), tokens = k.size(2);
  for (const Tensor* t : {&k, &v})
    require(t->size(0) == shapes && t->size(1) == heads && t->size(2) == tokens && t->size(3) == channels, op,
            "k and v must be (", shapes, ", ", heads, ", ", tokens, ", ", channels, ")");
  require(x.dim() == 3 && x.size(0) == shapes && x.size(1) == queries, op, "x must be (", shapes, ", ", queries,
          ", dim)");
  for (const Tensor* t : {&y, &normal})
    require(t->dim() == 3 && t->size(0) == shapes && t->size(1) == tokens && t->size(2) == x.size(2), op,
            "y and normal must be (", shapes, ", ", tokens, ", ", x.size(2), ")");
  require(offset.dim() == 2 && offset.size(0) == shapes && offset.size(1) == tokens, op, "offset must be (", shapes,
          ", ", tokens, ")");
  require(bias.dim() == 2 && bias.size(0) == heads && bias.size(1) == kPairFeatures, op, "bias must be (", heads, ", ",
          kPairFeatures, ")");
  require(tokens > 0, op, "there are no tokens to attend to");
  require(q.scalar_type() == ScalarType::Float || q.scalar_type() == ScalarType::Double, op,
          "expected float32 or float64, got ", q.scalar_type());
  for (const Tensor* t : {&k, &v, &x, &y, &normal, &offset, &bias})
    require(t->scalar_type() == q.scalar_type(), op, "q is ", q.scalar_type(), ", another tensor is ",
            t->scalar_type());
}

}  // namespace geoops
