// The ops of the material point method: what they check and allocate, whatever the device.
#pragma once

#include "mpm_transfer.h"

#include <initializer_list>
#include <limits>
#include <tuple>

#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/ops.h>

namespace geoops {

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

struct Inputs {
  Tensor x, v, C, F, tau, mass, volume;
};

struct Options {
  int64_t nodes[3], walls, bound;  // `walls` holds two bits for each face: lower x, upper x, lower y, ...
  double gravity[3], dx, dt, clip, eps;
};

template <typename T, int D>
Scene<T, D> scene_of(const char* op, const Options& o) {
  Scene<T, D> scene;
  for (int a = 0; a < D; ++a) {
    require(o.nodes[a] >= 1 && o.nodes[a] <= 1 << 20, op, ": expected 1 to 1048576 cells along axis ", a, ", got ",
            o.nodes[a]);
    scene.nodes[a] = o.nodes[a];
    scene.gravity[a] = static_cast<T>(o.gravity[a]);
    for (int face = 0; face < 2; ++face) scene.wall[a][face] = static_cast<int>(o.walls >> (4 * a + 2 * face) & 3);
  }
  require(o.dx > 0 && o.dt > 0, op, ": expected dx > 0 and dt > 0, got ", o.dx, " and ", o.dt);
  require(o.clip >= 0 && o.eps >= 0 && o.bound >= 0, op, ": expected clip, eps and bound >= 0");
  scene.dx = static_cast<T>(o.dx), scene.dt = static_cast<T>(o.dt);
  scene.clip = static_cast<T>(o.clip), scene.eps = static_cast<T>(o.eps);
  scene.bound = o.bound;
  return scene;
}

// The number of blocks of all scenes, which 32 bits hold.
template <typename T, int D>
int64_t count_blocks(const char* op, const Scene<T, D>& scene, int64_t scenes) {
  int64_t blocks = scenes;
  for (int a = 0; a < D; ++a) {
    blocks *= Shape<D>::count(scene, a);
    require(blocks < std::numeric_limits<int32_t>::max(), op, ": the grid has too many nodes");
  }
  return blocks;
}

template <typename T>
[[noreturn]] void refuse_particle(const char* op, int64_t scene, int64_t particle, const T* x, int64_t d) {
  std::ostringstream where;
  for (int64_t a = 0; a < d; ++a) where << (a ? ", " : "") << x[a];
  fail<std::invalid_argument>(op, ": particle ", particle, " of scene ", scene, " is at (", where.str(),
                              "), outside the box of the grid");
}

// Device has `Guard`, `same` (checks where tensors are), `step(op, x, scene, particles, results)` and
// `adjoint(op, x, scene, particles, gradients)`.
template <typename Device>
struct Mpm {
  using Guard = typename Device::Guard;

  // Calls body(scene, particles) with numbers and dimensions known.
  template <typename Body>
  static void dispatch(const char* op, const Inputs& in, const Options& o, const Body& body) {
    const auto run = [&]<typename T, int D>() {
      const Particles<T, D> p{in.x.const_data_ptr<T>(),
                              in.v.const_data_ptr<T>(),
                              in.C.const_data_ptr<T>(),
                              in.F.const_data_ptr<T>(),
                              in.tau.const_data_ptr<T>(),
                              in.mass.const_data_ptr<T>(),
                              in.volume.const_data_ptr<T>(),
                              in.x.size(0),
                              in.x.size(1)};
      body(scene_of<T, D>(op, o), p);
    };
    const auto of_type = [&]<typename T>() {
      in.x.size(2) == 2 ? run.template operator()<T, 2>() : run.template operator()<T, 3>();
    };
    const ScalarType type = in.x.scalar_type();
    if (type == ScalarType::Float) return of_type.template operator()<float>();
    if (type == ScalarType::Double) return of_type.template operator()<double>();
    fail<std::invalid_argument>(op, ": expected float32 or float64, got ", type);
  }

  static std::tuple<Tensor, Tensor, Tensor, Tensor> step(const Tensor& x, const Tensor& v, const Tensor& C,
                                                         const Tensor& F, const Tensor& tau, const Tensor& mass,
                                                         const Tensor& volume, int64_t nx, int64_t ny, int64_t nz,
                                                         int64_t walls, int64_t bound, double gx, double gy, double gz,
                                                         double dx, double dt, double clip, double eps) {
    const char* op = "mpm_step";
    check_mpm(op, x, v, C, F, tau, mass, volume);
    Device::same(op, x, {&v, &C, &F, &tau, &mass, &volume});
    const Guard guard(x);
    using torch::stable::clone, torch::stable::contiguous;
    const Inputs in{contiguous(x),   contiguous(v),    contiguous(C),     contiguous(F),
                    contiguous(tau), contiguous(mass), contiguous(volume)};
    Tensor x2 = clone(in.x), v2 = clone(in.v), C2 = clone(in.C), F2 = clone(in.F);
    dispatch(op, in, {{nx, ny, nz}, walls, bound, {gx, gy, gz}, dx, dt, clip, eps},
             [&]<typename T, int D>(const Scene<T, D>& scene, const Particles<T, D>& p) {
               Device::step(op, in.x, scene, p,
                            State<T>{x2.mutable_data_ptr<T>(), v2.mutable_data_ptr<T>(), C2.mutable_data_ptr<T>(),
                                     F2.mutable_data_ptr<T>()});
             });
    return {x2, v2, C2, F2};
  }

  // Particles are kept and the grid is made again: gradients in x, v, C, F and tau from those in the results, of which
  // the velocity and C are needed too.
  static std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> backward(
      const Tensor& gx_, const Tensor& gv_, const Tensor& gC_, const Tensor& gF_, const Tensor& x, const Tensor& v,
      const Tensor& C, const Tensor& F, const Tensor& tau, const Tensor& mass, const Tensor& volume, const Tensor& v2_,
      const Tensor& C2_, int64_t nx, int64_t ny, int64_t nz, int64_t walls, int64_t bound, double grav_x, double grav_y,
      double grav_z, double dx, double dt, double clip, double eps) {
    const char* op = "mpm_step_backward";
    check_mpm(op, x, v, C, F, tau, mass, volume);
    check_mpm(op, gx_, gv_, gC_, gF_, tau, mass, volume);
    check_mpm(op, x, v2_, C2_, F, tau, mass, volume);
    Device::same(op, x, {&v, &C, &F, &tau, &mass, &volume, &gx_, &gv_, &gC_, &gF_, &v2_, &C2_});
    const Guard guard(x);
    using torch::stable::clone, torch::stable::contiguous;
    const Inputs in{contiguous(x),   contiguous(v),    contiguous(C),     contiguous(F),
                    contiguous(tau), contiguous(mass), contiguous(volume)};
    const Tensor gx = contiguous(gx_), gv = contiguous(gv_), gC = contiguous(gC_), gF = contiguous(gF_),
                 v2 = contiguous(v2_), C2 = contiguous(C2_);
    // particles without mass pass gradients on as they are
    Tensor to_x = clone(gx), to_v = clone(gv), to_C = clone(gC), to_F = clone(gF),
           to_tau = torch::stable::new_zeros(in.tau, {x.size(0), x.size(1), x.size(2), x.size(2)});
    dispatch(op, in, {{nx, ny, nz}, walls, bound, {grav_x, grav_y, grav_z}, dx, dt, clip, eps},
             [&]<typename T, int D>(const Scene<T, D>& scene, const Particles<T, D>& p) {
               const State<const T> given{gx.const_data_ptr<T>(), gv.const_data_ptr<T>(), gC.const_data_ptr<T>(),
                                          gF.const_data_ptr<T>()};
               const State<T> to{to_x.mutable_data_ptr<T>(), to_v.mutable_data_ptr<T>(), to_C.mutable_data_ptr<T>(),
                                 to_F.mutable_data_ptr<T>()};
               Device::adjoint(
                   op, in.x, scene, p,
                   Adjoint<T>{given, v2.const_data_ptr<T>(), C2.const_data_ptr<T>(), to, to_tau.mutable_data_ptr<T>()});
             });
    return {to_x, to_v, to_C, to_F, to_tau};
  }

  template <typename Library>
  static void implement(Library& m) {
    m.impl("mpm_step", TORCH_BOX(&step));
    m.impl("mpm_step_backward", TORCH_BOX(&backward));
  }
};

}  // namespace geoops
