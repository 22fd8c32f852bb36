// One step of the material point method (MLS-MPM, APIC, quadratic splines) and its adjoint.
#include "../mpm_ops.h"
#include "mpm_grid.h"

namespace geoops {
namespace {

template <typename T, int D>
void to_velocities(const Scene<T, D>& scene, const Particles<T, D>& p, const Grid<T, D>& grid, T* velocity, T* sums) {
  grid.to_nodes(
      nullptr,
      [&](int64_t i, const Spline<T>* spline, const T*, T* tile) {
        const auto brings = momentum_of<Node<T>>(scene, p, i);
        for_nodes<D>(spline, [&](T w, const T*, const T* d, auto... at) {
          T* to = tile + grid.within(at...);
          store_as<kLanes>(to, load_as<T, kLanes>(to) + brings.at(d) * w);
        });
      },
      [&](int64_t node, const auto& place, const Node<T>& sum) {
        bool open[D];
        if (sums != nullptr) store_as<kLanes>(sums + node * kLanes, sum);
        store_as<kLanes>(velocity + node * kLanes, velocity_of(scene, place.data(), sum, open));
      });
}

struct Cpu {
  struct Guard {
    explicit Guard(const Tensor&) {}
  };

  static void same(const char*, const Tensor&, std::initializer_list<const Tensor*>) {}

  template <typename T, int D>
  static void step(const char* op, const Tensor& x, const Scene<T, D>& scene, const Particles<T, D>& p,
                   const State<T>& to) {
    const Grid<T, D> grid(op, scene, p, x);
    const Room<T> velocity(grid.nodes() * kLanes);
    to_velocities(scene, p, grid, velocity.get(), static_cast<T*>(nullptr));
    grid.to_particles(velocity.get(), [&](int64_t i, const Spline<T>* spline, const T* tile) {
      Gathered<Node<T>, D> found;
      for_nodes<D>(spline, [&](T w, const T*, const T* d, auto... at) {
        found.add(load_as<T, kLanes>(tile + grid.within(at...)) * w, d);
      });
      move_particle(scene, p, i, found, to);
    });
  }

  template <typename T, int D>
  static void adjoint(const char* op, const Tensor& x, const Scene<T, D>& scene, const Particles<T, D>& p,
                      const Adjoint<T>& g) {
    const Grid<T, D> grid(op, scene, p, x);
    const Room<T> sums(grid.nodes() * kLanes), nodes(grid.nodes() * kLanes), back(grid.nodes() * kLanes);
    to_velocities(scene, p, grid, nodes.get(), sums.get());
    grid.to_nodes(
        nodes.get(),
        [&](int64_t i, const Spline<T>* spline, const T* held, T* tile) {
          const auto pull = pull_of<Node<T>>(scene, p, i, g);
          Node<T> grow[D] = {};
          for_nodes<D>(spline, [&](T w, const T* slope, const T* d, auto... at) {
            const int64_t offset = grid.within(at...);
            const Node<T> wants = pull.at(d), product = wants * load_as<T, kLanes>(held + offset);
            store_as<kLanes>(tile + offset, load_as<T, kLanes>(tile + offset) + wants * w);
            for (int c = 0; c < D; ++c) grow[c] += product * slope[c];
          });
          add_to_x(i, pull, grow, node_of<Node<T>, D>(g.v + i * D, T(0)), g.to.x);
        },
        [&](int64_t node, const auto& place, const Node<T>& sum) {
          const Node<T> momentum = load_as<T, kLanes>(sums.get() + node * kLanes);
          store_as<kLanes>(back.get() + node * kLanes, back_of(scene, place.data(), momentum, sum));
        });
    grid.to_particles(back.get(), [&](int64_t i, const Spline<T>* spline, const T* tile) {
      const auto brings = momentum_of<Node<T>>(scene, p, i);
      Gathered<Node<T>, D> found;
      Node<T> grow[D] = {};
      for_nodes<D>(spline, [&](T w, const T* slope, const T* d, auto... at) {
        const Node<T> value = load_as<T, kLanes>(tile + grid.within(at...)), product = value * brings.at(d);
        found.add(value * w, d);
        for (int c = 0; c < D; ++c) grow[c] += product * slope[c];
      });
      add_to_x(i, brings, grow, found.sum, g.to.x);
      return_particle(scene, p, i, found, g);
    });
  }
};

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { Mpm<Cpu>::implement(m); }

}  // namespace
}  // namespace geoops
