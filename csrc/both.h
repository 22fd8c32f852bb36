// Functions that CPU and CUDA kernels share.
#pragma once

#ifdef __CUDACC__
#define GEOOPS_BOTH __host__ __device__ __forceinline__
#else
#define GEOOPS_BOTH inline __attribute__((always_inline))
#endif
