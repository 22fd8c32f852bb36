// Kernels with one mistake each, which the emulation must notice, and the same without it.
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "emulation.h"

namespace {

constexpr int kThreads = 64;

int64_t first_thread() { return blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; }

// Each block reverses its part of x through shared memory.
template <bool with_barrier>
__global__ void reverse(const float* x, float* out) {
  __shared__ float tile[kThreads];
  tile[threadIdx.x] = x[first_thread()];
  if (with_barrier) __syncthreads();
  out[first_thread()] = tile[kThreads - 1 - threadIdx.x];
}

template <bool broken>
__global__ void write_all(float* out, int64_t count) {
  const int64_t i = first_thread();
  if (i < count || broken) out[i] = 1;
}

template <bool broken>
__global__ void diverge(float* out) {
  if (!broken || threadIdx.x < 40) __syncthreads();
  out[first_thread()] = 1;
}

__global__ void two_barriers(float* out) {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  out[first_thread()] = 1;
}

template <bool broken>
__global__ void warp_sum(const float* x, float* out) {
  float sum = x[first_thread()];
  if (!broken || threadIdx.x % 32 < 20)
    for (int by = 16; by > 0; by /= 2) sum += __shfl_down_sync(0xffffffffu, sum, by);
  if (threadIdx.x % 32 == 0) atomicAdd(out, sum);
}

template <bool atomic>
__global__ void count_all(float* out) {
  if (atomic) {
    atomicAdd(out, 1.0f);
  } else {
    *out += 1;
  }
}

template <typename index_t>
__global__ void address(const float* x, float* out, index_t rows) {
  const index_t last = rows * (1 << 20);
  out[first_thread()] = x[last % 8];
}

}  // namespace

int main(int, char** arguments) {
  const std::string name = arguments[1];
  std::vector<float> x(2 * kThreads), out(2 * kThreads);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  float *px = x.data(), *po = out.data();
  const int64_t count = 2 * kThreads - 3;
  std::vector<float> fewer(count);
  float* pf = fewer.data();
  const std::map<std::string, std::function<void()>> kernels{
      {"sound barrier", [=] { reverse<true>(px, po); }},
      {"missing barrier", [=] { reverse<false>(px, po); }},
      {"sound write", [=] { write_all<false>(pf, count); }},
      {"write out of bounds", [=] { write_all<true>(pf, count); }},
      {"sound uniform barrier", [=] { diverge<false>(po); }},
      {"barrier that some never reach", [=] { diverge<true>(po); }},
      {"two barriers for one", [=] { two_barriers(po); }},
      {"sound shuffle", [=] { warp_sum<false>(px, po); }},
      {"shuffle that some never reach", [=] { warp_sum<true>(px, po); }},
      {"sound atomic update", [=] { count_all<true>(po); }},
      {"update that is not atomic", [=] { count_all<false>(po); }},
      {"sound address", [=] { address<int64_t>(px, po, 4096); }},
      {"address of 32 bits", [=] { address<int>(px, po, 4096); }},
  };
  emulation::run(arguments[1], 2, kThreads, kernels.at(name));
  if (name == "sound atomic update" && out[0] != 2 * kThreads) return 2;
  if (name == "sound shuffle" && out[0] != (2 * kThreads - 1) * kThreads) return 2;
  if (name.find(" barrier") != std::string::npos && name != "sound uniform barrier" &&
      name.find("that") == std::string::npos)
    for (int i = 0; i < 2 * kThreads; ++i)
      if (out[i] != static_cast<float>(i / kThreads * kThreads + kThreads - 1 - i % kThreads)) {
        std::fprintf(stderr, "wrong value\n");
        return 3;
      }
  return 0;
}
