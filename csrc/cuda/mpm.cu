// One step of the material point method and its adjoint: a thread for each particle, or for each node.
#include "mpm_grid.cuh"

namespace geoops {
namespace {

template <typename T, int D>
struct Bring {
  Brought<T, D>* brought;

  __device__ void operator()(const Grid<T, D>& grid, int64_t k) const {
    const int64_t i = grid.entry[k];
    brought[k] = {momentum_of<Node<T>>(grid.scene, grid.p, i), node_of<Node<T>, D>(grid.p.x + i * D, T(0))};
  }
};

template <typename T, int D>
struct ToVelocity {
  Node<T>*velocity, *sums;  // the latter may be null

  __device__ void operator()(const Scene<T, D>& scene, int64_t n, const int64_t* place, const Node<T>& sum) const {
    bool open[D];
    if (sums) sums[n] = sum;
    velocity[n] = velocity_of(scene, place, sum, open);
  }
};

template <typename T, int D>
struct Move {
  const Node<T>* velocity;
  State<T> to;

  __device__ void operator()(const Grid<T, D>& grid, int64_t k) const {
    const Held<T, D> held(grid, k);
    Gathered<Node<T>, D> found;
    for_nodes<D>(held.spline,
                 [&](T w, const T*, const T* d, auto... at) { found.add(velocity[held.node(at...)] * w, d); });
    move_particle(grid.scene, grid.p, held.i, found, to);
  }
};

template <typename T, int D>
struct Pull {
  Adjoint<T> g;
  Brought<T, D>* brought;

  __device__ void operator()(const Grid<T, D>& grid, int64_t k) const {
    const int64_t i = grid.entry[k];
    brought[k] = {pull_of<Node<T>>(grid.scene, grid.p, i, g), node_of<Node<T>, D>(grid.p.x + i * D, T(0))};
  }
};

// Adds to gradients in x what comes by the splines and distances of particles.
template <typename T, int D>
struct AddToX {
  const Brought<T, D>* brought;
  const Node<T>* nodes;
  T* to;

  __device__ void operator()(const Grid<T, D>& grid, int64_t k) const {
    const Held<T, D> held(grid, k);
    const Affine<Node<T>, D> brings = brought[k].value;
    Node<T> sum{};
    T grow[D] = {};
    for_nodes<D>(held.spline, [&](T w, const T* slope, const T* d, auto... at) {
      const Node<T> value = nodes[held.node(at...)];
      const T product = total(brings.at(d) * value);
      sum += value * w;
      for (int c = 0; c < D; ++c) grow[c] += product * slope[c];
    });
    add_to_x(held.i, brings, grow, sum, to);
  }
};

template <typename T, int D>
struct ToBack {
  const Node<T>* sums;
  Node<T>* back;

  __device__ void operator()(const Scene<T, D>& scene, int64_t n, const int64_t* place, const Node<T>& sum) const {
    back[n] = back_of(scene, place, sums[n], sum);
  }
};

template <typename T, int D>
struct Return {
  const Node<T>* back;
  Adjoint<T> g;

  __device__ void operator()(const Grid<T, D>& grid, int64_t k) const {
    const Held<T, D> held(grid, k);
    Gathered<Node<T>, D> found;
    for_nodes<D>(held.spline, [&](T w, const T*, const T* d, auto... at) { found.add(back[held.node(at...)] * w, d); });
    return_particle(grid.scene, grid.p, held.i, found, g);
  }
};

// One step on a grid that is listed.
template <typename T, int D>
class Transfer {
 public:
  Transfer(const char* op, const Scene<T, D>& scene, const Particles<T, D>& p, const Tensor& x)
      : op_(op), x_(x), listed_(op, scene, p, x) {}

  template <typename Row>
  Tensor rows(int64_t count) const {
    return torch::stable::new_empty(x_, {count, static_cast<int64_t>(sizeof(Row) / sizeof(T))});
  }
  Tensor nodes() const { return rows<Node<T>>(listed_.grid.nodes); }
  Tensor particles() const { return rows<Brought<T, D>>(listed_.key.numel()); }

  template <typename Job>
  void each(const Job& job) const {
    launch_for(op_, each_particle<T, D, Job>, listed_.key.numel(), x_, listed_.grid, job);
  }
  template <typename Done>
  void sum(const Tensor& brought, const Done& done) const {
    launch_for(op_, to_nodes<T, D, Done>, listed_.grid.nodes, x_, listed_.grid, data<Brought<T, D>>(brought), done);
  }

 private:
  const char* op_;
  const Tensor& x_;
  Listed<T, D> listed_;
};

struct Cuda {
  struct Guard : DeviceGuard {
    explicit Guard(const Tensor& x) : DeviceGuard(x.get_device_index()) {}
  };

  static void same(const char* op, const Tensor& x, std::initializer_list<const Tensor*> others) {
    require_same_device(op, x, others);
  }

  template <typename T, int D>
  static void step(const char* op, const Tensor& x, const Scene<T, D>& scene, const Particles<T, D>& p,
                   const State<T>& to) {
    const Transfer<T, D> transfer(op, scene, p, x);
    const Tensor brought = transfer.particles(), velocity = transfer.nodes();
    transfer.each(Bring<T, D>{data<Brought<T, D>>(brought)});
    transfer.sum(brought, ToVelocity<T, D>{data<Node<T>>(velocity), nullptr});
    transfer.each(Move<T, D>{data<Node<T>>(velocity), to});
  }

  template <typename T, int D>
  static void adjoint(const char* op, const Tensor& x, const Scene<T, D>& scene, const Particles<T, D>& p,
                      const Adjoint<T>& g) {
    const Transfer<T, D> transfer(op, scene, p, x);
    const Tensor brought = transfer.particles(), pulled = transfer.particles();
    const Tensor velocity = transfer.nodes(), sums = transfer.nodes(), &back = velocity;  // one after the other
    transfer.each(Bring<T, D>{data<Brought<T, D>>(brought)});
    transfer.sum(brought, ToVelocity<T, D>{data<Node<T>>(velocity), data<Node<T>>(sums)});
    transfer.each(Pull<T, D>{g, data<Brought<T, D>>(pulled)});
    transfer.each(AddToX<T, D>{data<Brought<T, D>>(pulled), data<Node<T>>(velocity), g.to.x});
    transfer.sum(pulled, ToBack<T, D>{data<Node<T>>(sums), data<Node<T>>(back)});
    transfer.each(AddToX<T, D>{data<Brought<T, D>>(brought), data<Node<T>>(back), g.to.x});
    transfer.each(Return<T, D>{data<Node<T>>(back), g});
  }
};

GEOOPS_CUDA_OPS(m) { Mpm<Cuda>::implement(m); }

}  // namespace
}  // namespace geoops
