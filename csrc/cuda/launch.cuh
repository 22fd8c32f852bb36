// Launch on torch's current stream. The stable ABI of torch 2.10 hands it out through a C function of libtorch_cuda.
#pragma once

#include "../dispatch.h"

#include <algorithm>
#include <cstdint>

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

namespace geoops {

constexpr int kThreads = 256;

// Grids are capped and the kernels stride through the rest, so that counts beyond 2^31 need no special case.
inline unsigned blocks_for(int64_t threads) {
  return static_cast<unsigned>(std::clamp<int64_t>((threads + kThreads - 1) / kThreads, 1, 1 << 20));
}

inline cudaStream_t current_stream(const Tensor& tensor) {
  void* stream = nullptr;
  if (aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream) != 0)
    fail<std::runtime_error>("geoops: torch has no current CUDA stream for device ", tensor.get_device_index());
  return static_cast<cudaStream_t>(stream);
}

inline void check_launch(const char* op) {
  const cudaError_t error = cudaGetLastError();
  if (error != cudaSuccess) fail<std::runtime_error>(op, ": ", cudaGetErrorString(error));
}

inline void require_same_device(const char* op, const Tensor& a, const Tensor& b) {
  require(b.is_cuda() && a.get_device_index() == b.get_device_index(), op,
          ": all tensors must be on the same CUDA device");
}

__device__ inline int64_t first_thread() { return blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; }
__device__ inline int64_t all_threads() { return gridDim.x * static_cast<int64_t>(blockDim.x); }

}  // namespace geoops
