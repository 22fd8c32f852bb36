// Functions that CPU and CUDA kernels share.
#pragma once

#ifdef __CUDACC__
#define GEOOPS_BOTH __host__ __device__ __forceinline__
#else
#define GEOOPS_BOTH inline __attribute__((always_inline))
#endif

// Before a loop of at most four turns.
#ifdef __CUDA_ARCH__
#define GEOOPS_UNROLLED _Pragma("unroll")
#elif defined(__CUDACC__)
#define GEOOPS_UNROLLED  // nvcc's pass for the host knows no such pragma
#else
#define GEOOPS_UNROLLED _Pragma("GCC unroll 4")
#endif
