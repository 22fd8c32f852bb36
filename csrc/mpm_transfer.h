// What a particle and a node do in one step of the material point method and in its adjoint. A device has a type Node
// of four numbers, which hold D components and the mass, or what belongs to it; it adds up nodes and particles.
#pragma once

#include "mpm.h"

#include <type_traits>

namespace geoops {

constexpr int kLanes = 4;  // numbers of a node

template <typename Node, int D, typename T>
GEOOPS_BOTH Node node_of(const T* components, T last) {
  if constexpr (D == 3) {
    return Node{components[0], components[1], components[2], last};
  } else {
    return Node{components[0], components[1], T(0), last};
  }
}

// The sum of the numbers of a node, or a sum already.
template <typename Node>
GEOOPS_BOTH auto total(const Node& a) {
  if constexpr (std::is_arithmetic_v<Node>) {
    return a;
  } else {
    return (a[0] + a[1]) + (a[2] + a[3]);
  }
}

// An affine function of the distance to the particle: base + sum over c of column[c] d_c.
template <typename Node, int D>
struct Affine {
  Node base, column[D];

  template <typename T>
  GEOOPS_BOTH Node at(const T* d) const {
    Node value = base;
    for (int c = 0; c < D; ++c) value += column[c] * d[c];
    return value;
  }
};

// The sum of what the nodes of a particle hold, weighted, and its moments with their distances.
template <typename Node, int D>
struct Gathered {
  Node sum = {}, moment[D] = {};

  template <typename T>
  GEOOPS_BOTH void add(const Node& weighted, const T* d) {
    sum += weighted;
    for (int c = 0; c < D; ++c) moment[c] += weighted * d[c];
  }
};

// Particles' positions, velocities, affine velocities and deformation gradients, or gradients in them.
template <typename T>
struct State {
  T *x, *v, *C, *F;
};

template <typename T>
struct Adjoint {
  State<const T> given;  // gradients in the results
  const T *v, *C;        // of the results
  State<T> to;
  T* tau;
};

// Momentum and mass that a particle brings to a node: m (v + C d) - dt vol 4/dx^2 tau d, and m.
template <typename Node, typename T, int D>
GEOOPS_BOTH Affine<Node, D> momentum_of(const Scene<T, D>& scene, const Particles<T, D>& p, int64_t i) {
  Affine<Node, D> out;
  T part[D];
  const T m = p.mass[i], stress = scene.dt * p.volume[i] * 4 / (scene.dx * scene.dx);
  for (int a = 0; a < D; ++a) part[a] = m * p.v[i * D + a];
  out.base = node_of<Node, D>(part, m);
  for (int c = 0; c < D; ++c) {
    for (int a = 0; a < D; ++a) {
      const int64_t ac = (i * D + a) * D + c;
      part[a] = m * p.C[ac] - stress * p.tau[ac];
    }
    out.column[c] = node_of<Node, D>(part, T(0));
  }
  return out;
}

// The velocity of a node after gravity and walls, from its momentum and mass.
template <typename Node, typename T, int D>
GEOOPS_BOTH Node velocity_of(const Scene<T, D>& scene, const int64_t* place, const Node& sum, bool* open) {
  const T mass = sum[kLanes - 1], share = mass > 0 ? 1 / (mass + scene.eps) : T(0);
  T v[D];
  for (int a = 0; a < D; ++a) v[a] = sum[a] * share;
  move_node(scene, place, v, open);
  return node_of<Node, D>(v, T(0));
}

// A particle's results from the velocities of its nodes.
template <typename Node, typename T, int D>
GEOOPS_BOTH void move_particle(const Scene<T, D>& scene, const Particles<T, D>& p, int64_t i,
                               const Gathered<Node, D>& found, const State<T>& to) {
  const T k = 4 / (scene.dx * scene.dx);
  T next[D][D];
  for (int a = 0; a < D; ++a) {
    const T speed = found.sum[a];
    to.v[i * D + a] = speed;
    to.x[i * D + a] = scene.clamped(a, p.x[i * D + a] + scene.dt * speed);
    for (int c = 0; c < D; ++c) to.C[(i * D + a) * D + c] = next[a][c] = k * found.moment[c][a];
  }
  for (int a = 0; a < D; ++a)
    for (int c = 0; c < D; ++c) {
      T value = 0;
      for (int b = 0; b < D; ++b) value += next[a][b] * p.F[(i * D + b) * D + c];
      to.F[(i * D + a) * D + c] = p.F[(i * D + a) * D + c] + scene.dt * value;
    }
}

// What the velocities of nodes get from a particle's results. Writes the gradient in F, and in x what does not come
// from the nodes.
template <typename Node, typename T, int D>
GEOOPS_BOTH Affine<Node, D> pull_of(const Scene<T, D>& scene, const Particles<T, D>& p, int64_t i,
                                    const Adjoint<T>& g) {
  const T k = 4 / (scene.dx * scene.dx);
  Affine<Node, D> pull;
  T base[D], column[D][D];
  for (int a = 0; a < D; ++a) {
    const T moved = p.x[i * D + a] + scene.dt * g.v[i * D + a];
    const T passed = scene.clamped(a, moved) == moved ? g.given.x[i * D + a] : T(0);
    g.to.x[i * D + a] = passed;
    base[a] = g.given.v[i * D + a] + scene.dt * passed;
    for (int c = 0; c < D; ++c) {
      const int64_t ac = (i * D + a) * D + c;
      T strain = 0, carried = g.given.F[ac];
      for (int b = 0; b < D; ++b) {
        strain += g.given.F[(i * D + a) * D + b] * p.F[(i * D + c) * D + b];
        carried += scene.dt * g.C[(i * D + b) * D + a] * g.given.F[(i * D + b) * D + c];
      }
      column[c][a] = k * (g.given.C[ac] + scene.dt * strain);
      g.to.F[ac] = carried;
    }
  }
  pull.base = node_of<Node, D>(base, T(0));
  for (int c = 0; c < D; ++c) pull.column[c] = node_of<Node, D>(column[c], T(0));
  return pull;
}

// Adds the gradient in x of the sum over nodes of w (brings.at(d) . held): by the splines, that is the sums `grow` of
// (brings.at(d) . held) slope, which may still be in lanes; by the distances d, it takes the sum of w held.
template <typename Node, typename Grow, typename T, int D>
GEOOPS_BOTH void add_to_x(int64_t i, const Affine<Node, D>& brings, const Grow* grow, const Node& sum, T* to) {
  for (int c = 0; c < D; ++c) {
    const Node lost = brings.column[c] * sum;
    to[i * D + c] += total(grow[c]) - total(lost);
  }
}

// From the gradient in the velocity of a node to those in its momentum and mass.
template <typename Node, typename T, int D>
GEOOPS_BOTH Node back_of(const Scene<T, D>& scene, const int64_t* place, const Node& momentum, const Node& sum) {
  bool open[D];
  velocity_of(scene, place, momentum, open);
  const T m = momentum[kLanes - 1], share = m > 0 ? 1 / (m + scene.eps) : T(0);
  T part[D], of_mass = 0;
  for (int a = 0; a < D; ++a) {
    part[a] = open[a] ? sum[a] * share : T(0);
    of_mass -= part[a] * momentum[a] * share;
  }
  return node_of<Node, D>(part, of_mass);
}

// The gradients in v, C and tau from those in the momentum and mass of nodes.
template <typename Node, typename T, int D>
GEOOPS_BOTH void return_particle(const Scene<T, D>& scene, const Particles<T, D>& p, int64_t i,
                                 const Gathered<Node, D>& found, const Adjoint<T>& g) {
  const T m = p.mass[i], stress = scene.dt * p.volume[i] * (4 / (scene.dx * scene.dx));
  for (int c = 0; c < D; ++c) {
    g.to.v[i * D + c] = m * found.sum[c];
    for (int a = 0; a < D; ++a) {
      const int64_t ac = (i * D + a) * D + c;
      g.to.C[ac] = m * found.moment[c][a];
      g.tau[ac] = -stress * found.moment[c][a];
    }
  }
}

}  // namespace geoops
