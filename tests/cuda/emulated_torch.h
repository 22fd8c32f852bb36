// Stands in for the second half of csrc/cuda/launch.cuh: the kernels serve CPU tensors as torch.ops.geoops_emulated.
#pragma once

#include "emulation.h"

#define GEOOPS_CUDA_OPS(m) STABLE_TORCH_LIBRARY_IMPL(geoops_emulated, CPU, m)

namespace geoops {

struct DeviceGuard {
  explicit DeviceGuard(int) {}
};

inline bool on_device(const Tensor&) { return true; }

template <typename... Params, typename... Args>
void launch(const char* op, void (*kernel)(Params...), unsigned blocks, unsigned threads, const Tensor&,
            const Args&... args) {
  emulation::run(op, blocks, threads, [&] { kernel(static_cast<Params>(args)...); });
}

template <typename T>
void fetch(const char*, T* to, const T* from, int64_t count, const Tensor&) {
  std::copy_n(from, count, to);
}

}  // namespace geoops
