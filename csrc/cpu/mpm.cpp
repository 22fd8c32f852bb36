// One step of the material point method (MLS-MPM, APIC, quadratic splines) and its adjoint.
#include "mpm_grid.h"

#include <tuple>

namespace geoops {
namespace {

// An affine function of the distance to the particle: base + sum over c of column[c] d_c.
template <typename T, int D>
struct Affine {
  Node<T> base, column[D];

  GEOOPS_INLINE Node<T> at(const T* d) const {
    Node<T> value = base;
    for (int c = 0; c < D; ++c) value += column[c] * d[c];
    return value;
  }
};

// Momentum and mass that a particle brings to a node: m (v + C d) - dt vol 4/dx^2 tau d, and m.
template <typename T, int D>
GEOOPS_INLINE Affine<T, D> momentum_of(const Scene<T, D>& scene, const Particles<T, D>& p, int64_t i) {
  Affine<T, D> out;
  T part[D];
  const T m = p.mass[i], stress = scene.dt * p.volume[i] * 4 / (scene.dx * scene.dx);
  for (int a = 0; a < D; ++a) part[a] = m * p.v[i * D + a];
  out.base = node_of<D>(part, m);
  for (int c = 0; c < D; ++c) {
    for (int a = 0; a < D; ++a) {
      const int64_t ac = (i * D + a) * D + c;
      part[a] = m * p.C[ac] - stress * p.tau[ac];
    }
    out.column[c] = node_of<D>(part, T(0));
  }
  return out;
}

// The velocity of a node after gravity and walls, from its momentum and mass.
template <typename T, int D>
GEOOPS_INLINE Node<T> velocity_of(const Scene<T, D>& scene, const int64_t* place, const Node<T>& sum, bool* open) {
  const T mass = sum[kLanes - 1], share = mass > 0 ? 1 / (mass + scene.eps) : T(0);
  T v[D];
  for (int a = 0; a < D; ++a) v[a] = sum[a] * share;
  move_node(scene, place, v, open);
  return node_of<D>(v, T(0));
}

template <typename T, int D>
void to_velocities(const Scene<T, D>& scene, const Particles<T, D>& p, const Grid<T, D>& grid, T* velocity, T* sums) {
  grid.to_nodes(
      nullptr,
      [&](int64_t i, const Spline<T>* spline, const T*, T* tile) {
        const Affine<T, D> brings = momentum_of(scene, p, i);
        for_nodes<D>(spline, [&](T w, const T*, const T* d, int64_t at) {
          store_as<kLanes>(tile + at, load_as<T, kLanes>(tile + at) + brings.at(d) * w);
        });
      },
      [&](int64_t node, const auto& place, const Node<T>& sum) {
        bool open[D];
        if (sums != nullptr) store_as<kLanes>(sums + node * kLanes, sum);
        store_as<kLanes>(velocity + node * kLanes, velocity_of(scene, place.data(), sum, open));
      });
}

struct Arguments {
  const Tensor &x, &v, &C, &F, &tau, &mass, &volume;
};

struct Options {
  int64_t nodes[3], walls, bound;
  double gravity[3], dx, dt, clip, eps;
};

template <typename Body>
void dispatch_mpm(const char* op, const Arguments& a, const Options& o, const Body& body) {
  const auto run = [&]<typename T, int D>() {
    const Scene<T, D> scene = scene_of<T, D>(op, o.nodes, o.walls, o.bound, o.gravity, o.dx, o.dt, o.clip, o.eps);
    const Particles<T, D> p{a.x.const_data_ptr<T>(),
                            a.v.const_data_ptr<T>(),
                            a.C.const_data_ptr<T>(),
                            a.F.const_data_ptr<T>(),
                            a.tau.const_data_ptr<T>(),
                            a.mass.const_data_ptr<T>(),
                            a.volume.const_data_ptr<T>(),
                            a.x.size(0),
                            a.x.size(1)};
    body(scene, p);
  };
  const auto of_type = [&]<typename T>() {
    a.x.size(2) == 2 ? run.template operator()<T, 2>() : run.template operator()<T, 3>();
  };
  const ScalarType type = a.x.scalar_type();
  if (type == ScalarType::Float) return of_type.template operator()<float>();
  if (type == ScalarType::Double) return of_type.template operator()<double>();
  fail<std::invalid_argument>(op, ": expected float32 or float64, got ", type);
}

template <typename T, int D>
GEOOPS_INLINE T clamped(const Scene<T, D>& scene, int axis, T x) {
  const T low = scene.clip * scene.dx, high = (static_cast<T>(scene.nodes[axis]) - scene.clip) * scene.dx;
  return std::min(std::max(x, low), high);
}

std::tuple<Tensor, Tensor, Tensor, Tensor> mpm_step(const Tensor& x_, const Tensor& v_, const Tensor& C_,
                                                    const Tensor& F_, const Tensor& tau_, const Tensor& mass_,
                                                    const Tensor& volume_, int64_t nx, int64_t ny, int64_t nz,
                                                    int64_t walls, int64_t bound, double gx, double gy, double gz,
                                                    double dx, double dt, double clip, double eps) {
  const char* op = "mpm_step";
  check_mpm(op, x_, v_, C_, F_, tau_, mass_, volume_);
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), v = contiguous(v_), C = contiguous(C_), F = contiguous(F_), tau = contiguous(tau_),
               mass = contiguous(mass_), volume = contiguous(volume_);
  Tensor x2 = torch::stable::clone(x), v2 = torch::stable::clone(v), C2 = torch::stable::clone(C),
         F2 = torch::stable::clone(F);
  dispatch_mpm(op, {x, v, C, F, tau, mass, volume}, {{nx, ny, nz}, walls, bound, {gx, gy, gz}, dx, dt, clip, eps},
               [&]<typename T, int D>(const Scene<T, D>& scene, const Particles<T, D>& p) {
                 const Grid<T, D> grid(op, scene, p, x);
                 const Room<T> velocity(grid.nodes() * kLanes);
                 to_velocities(scene, p, grid, velocity.get(), static_cast<T*>(nullptr));
                 T *px = x2.mutable_data_ptr<T>(), *pv = v2.mutable_data_ptr<T>(), *pC = C2.mutable_data_ptr<T>(),
                   *pF = F2.mutable_data_ptr<T>();
                 const T k = 4 / (scene.dx * scene.dx);
                 grid.to_particles(velocity.get(), [&](int64_t i, const Spline<T>* spline, const T* tile) {
                   Node<T> sum = {}, moment[D] = {};
                   for_nodes<D>(spline, [&](T w, const T*, const T* d, int64_t at) {
                     const Node<T> value = load_as<T, kLanes>(tile + at) * w;
                     sum += value;
                     for (int c = 0; c < D; ++c) moment[c] += value * d[c];
                   });
                   T next[D][D];
                   for (int a = 0; a < D; ++a) {
                     const T speed = sum[a];
                     pv[i * D + a] = speed;
                     px[i * D + a] = clamped(scene, a, p.x[i * D + a] + scene.dt * speed);
                     for (int c = 0; c < D; ++c) pC[(i * D + a) * D + c] = next[a][c] = k * moment[c][a];
                   }
                   for (int a = 0; a < D; ++a)
                     for (int c = 0; c < D; ++c) {
                       T value = 0;
                       for (int b = 0; b < D; ++b) value += next[a][b] * p.F[(i * D + b) * D + c];
                       pF[(i * D + a) * D + c] = p.F[(i * D + a) * D + c] + scene.dt * value;
                     }
                 });
               });
  return {x2, v2, C2, F2};
}

// Particles are kept and the grid is made again: gradients in x, v, C, F and tau from those in the results, of which
// the velocity and C are needed too.
std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> mpm_step_backward(
    const Tensor& gx_, const Tensor& gv_, const Tensor& gC_, const Tensor& gF_, const Tensor& x_, const Tensor& v_,
    const Tensor& C_, const Tensor& F_, const Tensor& tau_, const Tensor& mass_, const Tensor& volume_,
    const Tensor& v2_, const Tensor& C2_, int64_t nx, int64_t ny, int64_t nz, int64_t walls, int64_t bound,
    double grav_x, double grav_y, double grav_z, double dx, double dt, double clip, double eps) {
  const char* op = "mpm_step_backward";
  check_mpm(op, x_, v_, C_, F_, tau_, mass_, volume_);
  check_mpm(op, gx_, gv_, gC_, gF_, tau_, mass_, volume_);
  check_mpm(op, x_, v2_, C2_, F_, tau_, mass_, volume_);
  using torch::stable::contiguous;
  const Tensor x = contiguous(x_), v = contiguous(v_), C = contiguous(C_), F = contiguous(F_), tau = contiguous(tau_),
               mass = contiguous(mass_), volume = contiguous(volume_), gx = contiguous(gx_), gv = contiguous(gv_),
               gC = contiguous(gC_), gF = contiguous(gF_), v2 = contiguous(v2_), C2 = contiguous(C2_);
  require(gx.scalar_type() == x.scalar_type(), op, ": gradients differ in dtype");
  // particles without mass pass gradients on as they are
  Tensor dx_ = torch::stable::clone(gx), dv = torch::stable::clone(gv), dC = torch::stable::clone(gC),
         dF = torch::stable::clone(gF),
         dtau = torch::stable::new_zeros(tau, {x.size(0), x.size(1), x.size(2), x.size(2)});
  dispatch_mpm(
      op, {x, v, C, F, tau, mass, volume}, {{nx, ny, nz}, walls, bound, {grav_x, grav_y, grav_z}, dx, dt, clip, eps},
      [&]<typename T, int D>(const Scene<T, D>& scene, const Particles<T, D>& p) {
        const Grid<T, D> grid(op, scene, p, x);
        const Room<T> sums(grid.nodes() * kLanes), nodes(grid.nodes() * kLanes);
        to_velocities(scene, p, grid, nodes.get(), sums.get());
        const T *fx = gx.const_data_ptr<T>(), *fv = gv.const_data_ptr<T>(), *fC = gC.const_data_ptr<T>(),
                *fF = gF.const_data_ptr<T>(), *nv = v2.const_data_ptr<T>(), *nC = C2.const_data_ptr<T>();
        T *px = dx_.mutable_data_ptr<T>(), *pv = dv.mutable_data_ptr<T>(), *pC = dC.mutable_data_ptr<T>(),
          *pF = dF.mutable_data_ptr<T>(), *pt = dtau.mutable_data_ptr<T>();
        const T k = 4 / (scene.dx * scene.dx);
        // from the particles' results to the velocities of nodes, and from those to momentum and mass
        const Room<T> back(grid.nodes() * kLanes);
        grid.to_nodes(
            nodes.get(),
            [&](int64_t i, const Spline<T>* spline, const T* held, T* tile) {
              Affine<T, D> pull;
              T base[D], matrix[D][D];
              for (int a = 0; a < D; ++a) {
                const T moved = p.x[i * D + a] + scene.dt * nv[i * D + a];
                const T passed = clamped(scene, a, moved) == moved ? fx[i * D + a] : T(0);
                px[i * D + a] = passed;
                base[a] = fv[i * D + a] + scene.dt * passed;
                for (int c = 0; c < D; ++c) {
                  const int64_t ac = (i * D + a) * D + c;
                  T strain = 0, carried = fF[ac];
                  for (int b = 0; b < D; ++b) {
                    strain += fF[(i * D + a) * D + b] * p.F[(i * D + c) * D + b];
                    carried += scene.dt * nC[(i * D + b) * D + a] * fF[(i * D + b) * D + c];
                  }
                  matrix[a][c] = k * (fC[ac] + scene.dt * strain);
                  pF[ac] = carried;
                }
              }
              pull.base = node_of<D>(base, T(0));
              for (int c = 0; c < D; ++c) {
                T column[D];
                for (int a = 0; a < D; ++a) column[a] = matrix[a][c];
                pull.column[c] = node_of<D>(column, T(0));
              }
              Node<T> grow[D] = {};
              for_nodes<D>(spline, [&](T w, const T* slope, const T* d, int64_t at) {
                const Node<T> wants = pull.at(d), product = wants * load_as<T, kLanes>(held + at);
                store_as<kLanes>(tile + at, load_as<T, kLanes>(tile + at) + wants * w);
                for (int c = 0; c < D; ++c) grow[c] += product * slope[c];
              });
              for (int c = 0; c < D; ++c) {
                T along = total(grow[c]);
                for (int a = 0; a < D; ++a) along -= matrix[a][c] * nv[i * D + a];
                px[i * D + c] += along;
              }
            },
            [&](int64_t node, const auto& place, const Node<T>& sum) {
              const Node<T> momentum = load_as<T, kLanes>(sums.get() + node * kLanes);
              bool open[D];
              velocity_of(scene, place.data(), momentum, open);
              const T m = momentum[kLanes - 1], share = m > 0 ? 1 / (m + scene.eps) : T(0);
              T part[D], of_mass = 0;
              for (int a = 0; a < D; ++a) {
                part[a] = open[a] ? sum[a] * share : T(0);
                of_mass -= part[a] * momentum[a] * share;
              }
              store_as<kLanes>(back.get() + node * kLanes, node_of<D>(part, of_mass));
            });
        grid.to_particles(back.get(), [&](int64_t i, const Spline<T>* spline, const T* tile) {
          const Affine<T, D> brings = momentum_of(scene, p, i);
          Node<T> sum = {}, moment[D] = {}, grow[D] = {};
          for_nodes<D>(spline, [&](T w, const T* slope, const T* d, int64_t at) {
            const Node<T> value = load_as<T, kLanes>(tile + at), weighted = value * w, product = value * brings.at(d);
            sum += weighted;
            for (int c = 0; c < D; ++c) moment[c] += weighted * d[c], grow[c] += product * slope[c];
          });
          const T m = p.mass[i], stress = scene.dt * p.volume[i] * k;
          for (int c = 0; c < D; ++c) {
            px[i * D + c] += total(grow[c]) - total(brings.column[c] * sum);
            pv[i * D + c] = m * sum[c];
            for (int a = 0; a < D; ++a) {
              const int64_t ac = (i * D + a) * D + c;
              pC[ac] = m * moment[c][a];
              pt[ac] = -stress * moment[c][a];
            }
          }
        });
      });
  return {dx_, dv, dC, dF, dtau};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) {
  m.impl("mpm_step", TORCH_BOX(&mpm_step));
  m.impl("mpm_step_backward", TORCH_BOX(&mpm_step_backward));
}

}  // namespace
}  // namespace geoops
