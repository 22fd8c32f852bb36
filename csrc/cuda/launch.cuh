// What every CUDA kernel needs from torch and the driver. The tests replace the second half by
// tests/cuda/emulated_torch.h and run the same kernels on the CPU.
#pragma once

#include "../dispatch.h"

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

#ifdef GEOOPS_EMULATED
#include "emulated_torch.h"
#else
#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>

#define GEOOPS_CUDA_OPS(m) STABLE_TORCH_LIBRARY_IMPL(geoops, CUDA, m)

namespace geoops {

using DeviceGuard = torch::stable::accelerator::DeviceGuard;

inline bool on_device(const Tensor& tensor) { return tensor.is_cuda(); }

inline void check_cuda(const char* op, cudaError_t error) {
  if (error != cudaSuccess) fail<std::runtime_error>(op, ": ", cudaGetErrorString(error));
}

// The stable ABI of torch 2.10 hands the current stream out through a C function of libtorch_cuda.
inline cudaStream_t current_stream(const Tensor& tensor) {
  void* stream = nullptr;
  if (aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream) != 0)
    fail<std::runtime_error>("geoops: torch has no current CUDA stream for device ", tensor.get_device_index());
  return static_cast<cudaStream_t>(stream);
}

template <typename... Params, typename... Args>
void launch(const char* op, void (*kernel)(Params...), unsigned blocks, unsigned threads, const Tensor& near,
            const Args&... args) {
  // clang-format off: it takes this file for C++
  kernel<<<blocks, threads, 0, current_stream(near)>>>(static_cast<Params>(args)...);
  // clang-format on
  check_cuda(op, cudaGetLastError());
}

// Copies to the host and waits for it.
template <typename T>
void fetch(const char* op, T* to, const T* from, int64_t count, const Tensor& near) {
  check_cuda(op, cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToHost, current_stream(near)));
  check_cuda(op, cudaStreamSynchronize(current_stream(near)));
}

}  // namespace geoops
#endif

namespace geoops {

constexpr int kThreads = 256;

template <typename T>
constexpr T kInfinity = std::numeric_limits<T>::infinity();

// Grids are capped and the kernels stride through the rest, so that counts beyond 2^31 need no special case.
inline unsigned blocks_for(int64_t threads) {
  return static_cast<unsigned>(std::clamp<int64_t>((threads + kThreads - 1) / kThreads, 1, 1 << 20));
}

// One thread for each of `count` things, of which there may be none.
template <typename... Params, typename... Args>
void launch_for(const char* op, void (*kernel)(Params...), int64_t count, const Tensor& near, const Args&... args) {
  if (count > 0) launch(op, kernel, blocks_for(count), kThreads, near, args...);
}

inline void require_same_device(const char* op, const Tensor& a, std::initializer_list<const Tensor*> others) {
  for (const Tensor* b : others)
    require(on_device(*b) && a.get_device_index() == b->get_device_index(), op,
            ": all tensors must be on the same CUDA device");
}

__device__ inline int64_t first_thread() { return blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; }
__device__ inline int64_t all_threads() { return gridDim.x * static_cast<int64_t>(blockDim.x); }

// Whether 0 <= index < bound.
template <typename index_t>
__device__ inline bool inside(index_t index, int64_t bound) {
  return static_cast<uint64_t>(static_cast<int64_t>(index)) < static_cast<uint64_t>(bound);
}

}  // namespace geoops
