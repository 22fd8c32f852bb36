// What the CPU and CUDA kernels of one step of the material point method share: the scene, the walls, the spline.
#pragma once

#include "checks.h"

namespace geoops {

#ifdef __CUDACC__
#define GEOOPS_MPM __host__ __device__ __forceinline__
#else
#define GEOOPS_MPM inline __attribute__((always_inline))
#endif

enum Wall : int { kOpen = 0, kFreeSlip = 1, kNoSlip = 2, kBilateral = 3 };

// The box [0, n dx] of a scene in D dimensions. Splines of particles at its faces reach one node beyond them, so nodes
// are counted from -1 on and stored from 0 on.
template <typename T, int D>
struct Scene {
  int64_t nodes[D];  // n for each axis
  int wall[D][2];    // of the lower and the upper face
  T gravity[D];
  T dx, dt, clip, eps;  // clip in cells
  int64_t bound;        // a wall acts on nodes i < bound and i > n - bound
};

// Adds gravity to the velocity v of node `at` (counted from -1) and lets the walls act; open[c] tells whether component
// c passes unchanged.
template <typename T, int D>
GEOOPS_MPM void move_node(const Scene<T, D>& scene, const int64_t* at, T* v, bool* open) {
  for (int c = 0; c < D; ++c) v[c] += scene.dt * scene.gravity[c], open[c] = true;
  for (int a = 0; a < D; ++a)
    for (int face = 0; face < 2; ++face) {
      const bool inside = face == 0 ? at[a] < scene.bound : at[a] > scene.nodes[a] - scene.bound;
      const int wall = scene.wall[a][face];
      if (!inside || wall == kOpen) continue;
      const bool approaches = face == 0 ? v[a] < 0 : v[a] > 0;
      if (wall == kBilateral || (wall == kFreeSlip && approaches)) {
        open[a] = false;
        v[a] = 0;
      } else if (wall == kNoSlip && approaches) {
        for (int c = 0; c < D; ++c) open[c] = false, v[c] = 0;
      }
    }
}

// Quadratic B-spline of a particle along one axis: its first node (from -1), weights of three nodes, their derivatives
// in x, and the distances of the nodes.
template <typename T>
struct Spline {
  int64_t first;
  T weight[3], slope[3], offset[3];

  GEOOPS_MPM Spline() {}
  GEOOPS_MPM Spline(T x, T dx) {
    const T per = 1 / dx, s = x * per;
    T base = s - T(0.5);
    base = base < 0 ? T(-1) : T(static_cast<int64_t>(base));
    first = static_cast<int64_t>(base);
    const T f = s - base;
    weight[0] = T(0.5) * (T(1.5) - f) * (T(1.5) - f);
    weight[1] = T(0.75) - (f - 1) * (f - 1);
    weight[2] = T(0.5) * (f - T(0.5)) * (f - T(0.5));
    slope[0] = (f - T(1.5)) * per;
    slope[1] = -2 * (f - 1) * per;
    slope[2] = (f - T(0.5)) * per;
    for (int i = 0; i < 3; ++i) offset[i] = (i - f) * dx;
  }
};

inline void check_mpm(const char* op, const Tensor& x, const Tensor& v, const Tensor& C, const Tensor& F,
                      const Tensor& tau, const Tensor& mass, const Tensor& volume) {
  require(x.dim() == 3 && (x.size(2) == 2 || x.size(2) == 3), op, ": expected x of shape (scenes, particles, 2 or 3)");
  const int64_t b = x.size(0), n = x.size(1), d = x.size(2);
  require(v.dim() == 3 && v.size(0) == b && v.size(1) == n && v.size(2) == d, op, ": expected v in the shape of x");
  const auto matrices = [&](const char* name, const Tensor& A) {
    require(A.dim() == 4 && A.size(0) == b && A.size(1) == n && A.size(2) == d && A.size(3) == d, op, ": expected ",
            name, " of shape (", b, ", ", n, ", ", d, ", ", d, ")");
    require(A.scalar_type() == x.scalar_type(), op, ": x and ", name, " differ in dtype");
  };
  matrices("C", C), matrices("F", F), matrices("tau", tau);
  const auto numbers = [&](const char* name, const Tensor& a) {
    require(a.dim() == 2 && a.size(0) == b && a.size(1) == n, op, ": expected ", name, " of shape (", b, ", ", n, ")");
    require(a.scalar_type() == x.scalar_type(), op, ": x and ", name, " differ in dtype");
  };
  numbers("mass", mass), numbers("volume", volume);
  require(v.scalar_type() == x.scalar_type(), op, ": x and v differ in dtype");
}

// The scene of an op's arguments. `walls` holds two bits for each face: lower x, upper x, lower y, ...
template <typename T, int D>
Scene<T, D> scene_of(const char* op, const int64_t (&nodes)[3], int64_t walls, int64_t bound,
                     const double (&gravity)[3], double dx, double dt, double clip, double eps) {
  Scene<T, D> scene;
  for (int a = 0; a < D; ++a) {
    require(nodes[a] >= 1 && nodes[a] <= 1 << 20, op, ": expected 1 to 1048576 cells along axis ", a, ", got ",
            nodes[a]);
    scene.nodes[a] = nodes[a];
    scene.gravity[a] = static_cast<T>(gravity[a]);
    for (int face = 0; face < 2; ++face) scene.wall[a][face] = static_cast<int>(walls >> (4 * a + 2 * face) & 3);
  }
  require(dx > 0 && dt > 0, op, ": expected dx > 0 and dt > 0, got ", dx, " and ", dt);
  require(clip >= 0 && eps >= 0 && bound >= 0, op, ": expected clip, eps and bound >= 0");
  scene.dx = static_cast<T>(dx), scene.dt = static_cast<T>(dt);
  scene.clip = static_cast<T>(clip), scene.eps = static_cast<T>(eps);
  scene.bound = bound;
  return scene;
}

}  // namespace geoops
