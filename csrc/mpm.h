// What the CPU and CUDA kernels of one step of the material point method share: the scene, the walls, the spline.
#pragma once

#include "both.h"
#include "checks.h"

#include <cstdint>

namespace geoops {

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

  GEOOPS_BOTH bool holds(const T* x) const {
    bool held = true;
    for (int a = 0; a < D; ++a) held &= x[a] >= 0 && x[a] <= static_cast<T>(nodes[a]) * dx;
    return held;
  }

  GEOOPS_BOTH T clamped(int axis, T x) const {
    const T low = clip * dx, high = (static_cast<T>(nodes[axis]) - clip) * dx;
    x = x < low ? low : x;
    return high < x ? high : x;
  }
};

// One step's particles, as the tensors hold them.
template <typename T, int D>
struct Particles {
  const T *x, *v, *C, *F, *tau, *mass, *volume;
  int64_t scenes, each;
};

// Blocks of nodes, which particles are listed by.
template <int D>
struct Shape {
  static constexpr int kSide = D == 3 ? 4 : 8;  // nodes of a block along an axis
  static constexpr int kBlock = D == 3 ? kSide * kSide * kSide : kSide * kSide;

  template <typename T>
  static int64_t count(const Scene<T, D>& scene, int axis) {
    return scene.nodes[axis] / kSide + 2;
  }
};

// Adds gravity to the velocity v of node `at` (counted from -1) and lets the walls act; open[c] tells whether component
// c passes unchanged.
template <typename T, int D>
GEOOPS_BOTH void move_node(const Scene<T, D>& scene, const int64_t* at, T* v, bool* open) {
  for (int c = 0; c < D; ++c) v[c] += scene.dt * scene.gravity[c], open[c] = true;
  GEOOPS_UNROLLED
  for (int a = 0; a < D; ++a) {
    GEOOPS_UNROLLED
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
}

// The first node (from -1) that the spline of a particle reaches along one axis.
template <typename T>
GEOOPS_BOTH int64_t first_node(T x, T dx) {
  const T s = x * (1 / dx) - T(0.5);
  return s < 0 ? -1 : static_cast<int64_t>(s);
}

// Quadratic B-spline of a particle along one axis: weights of three nodes, their derivatives in x, and the distances of
// the nodes. The first node is given: to find it again might round to the one beside it.
template <typename T>
struct Spline {
  T weight[3], slope[3], offset[3];

  GEOOPS_BOTH Spline() {}
  GEOOPS_BOTH Spline(T x, T dx, int64_t first) {
    const T per = 1 / dx, f = x * per - static_cast<T>(first);
    weight[0] = T(0.5) * (T(1.5) - f) * (T(1.5) - f);
    weight[1] = T(0.75) - (f - 1) * (f - 1);
    weight[2] = T(0.5) * (f - T(0.5)) * (f - T(0.5));
    slope[0] = (f - T(1.5)) * per;
    slope[1] = -2 * (f - 1) * per;
    slope[2] = (f - T(0.5)) * per;
    for (int i = 0; i < 3; ++i) offset[i] = (i - f) * dx;
  }
};

// Calls use(weight, slopes, distances, i, j, k) for the nodes of a particle, in three numbers whatever D is.
template <int D, typename T, typename Use>
GEOOPS_BOTH void for_nodes(const Spline<T>* s, const Use& use) {
  GEOOPS_UNROLLED
  for (int i = 0; i < 3; ++i) {
    GEOOPS_UNROLLED
    for (int j = 0; j < 3; ++j) {
      const T w = s[0].weight[i] * s[1].weight[j];
      const T wx = s[0].slope[i] * s[1].weight[j], wy = s[0].weight[i] * s[1].slope[j];
      if constexpr (D == 2) {
        const T slope[2] = {wx, wy}, offset[2] = {s[0].offset[i], s[1].offset[j]};
        use(w, slope, offset, i, j, 0);
      } else {
        GEOOPS_UNROLLED
        for (int k = 0; k < 3; ++k) {
          const T u = s[2].weight[k];
          const T slope[3] = {wx * u, wy * u, w * s[2].slope[k]};
          const T offset[3] = {s[0].offset[i], s[1].offset[j], s[2].offset[k]};
          use(w * u, slope, offset, i, j, k);
        }
      }
    }
  }
}

}  // namespace geoops
