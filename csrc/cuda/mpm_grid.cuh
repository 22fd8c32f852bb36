// The grid of the material point method, as far as particles reach.
//
// Particles are sorted by the cell, within blocks of cells, that their splines begin in. Only nodes of blocks that they
// reach are kept. A node adds up the particles of the 3^D cells before it, and a particle its 3^D nodes, each in a
// fixed order: no atomics but for flags, and the same bits in every run.
#pragma once

#include "../mpm_ops.h"
#include "sorted.cuh"

namespace geoops {

template <typename T>
struct alignas(16) Node {
  T lane[kLanes];

  GEOOPS_BOTH T& operator[](int l) { return lane[l]; }
  GEOOPS_BOTH const T& operator[](int l) const { return lane[l]; }
  GEOOPS_BOTH Node& operator+=(const Node& other) {
    GEOOPS_UNROLLED
    for (int l = 0; l < kLanes; ++l) lane[l] += other[l];
    return *this;
  }
  friend GEOOPS_BOTH Node operator*(const Node& a, const Node& b) {
    return {a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]};
  }
  friend GEOOPS_BOTH Node operator*(const Node& a, T b) { return {a[0] * b, a[1] * b, a[2] * b, a[3] * b}; }
};

constexpr int64_t kNowhere = std::numeric_limits<int64_t>::max();  // the key of a particle without mass

// A cell, or its first node, which has the same number: a block of those of all scenes, and a place in it.
template <int D>
struct Site {
  static constexpr int kSide = Shape<D>::kSide;
  int block, local[D];

  __device__ int number() const {
    int l = 0;
    for (int a = 0; a < D; ++a) l = l * kSide + local[a];
    return l;
  }
  __device__ int64_t key() const { return static_cast<int64_t>(block) * Shape<D>::kBlock + number(); }

  static __device__ Site of(int block, int number) {
    Site site{block, {}};
    for (int a = D - 1; a >= 0; --a) site.local[a] = number % kSide, number /= kSide;
    return site;
  }
};

template <int D>
struct Blocks {
  static constexpr int kSide = Shape<D>::kSide;
  int count[D], stride[D];

  // Where a block lies in its scene.
  __device__ void place(int block, int* at) const {
    for (int a = D - 1; a >= 0; --a) at[a] = block % count[a], block /= count[a];
  }
  // The site `steps` further on, each within [0, kSide).
  __device__ Site<D> after(Site<D> site, const int* steps) const {
    for (int a = 0; a < D; ++a) {
      site.local[a] += steps[a];
      if (site.local[a] >= kSide) site.local[a] -= kSide, site.block += stride[a];
    }
    return site;
  }
  // The site `steps` back, which exists if `at`, the place of the block, allows.
  __device__ bool before(Site<D>& site, const int* at, const int* steps) const {
    bool there = true;
    for (int a = 0; a < D; ++a) {
      site.local[a] -= steps[a];
      if (site.local[a] < 0) site.local[a] += kSide, site.block -= stride[a], there &= at[a] > 0;
    }
    return there;
  }
};

template <typename T, int D>
struct Grid {
  Scene<T, D> scene;
  Particles<T, D> p;
  Blocks<D> blocks;
  const int64_t *key, *entry;  // of the sorted particles
  const int64_t* slot;         // of each block among those that are kept, or -1
  const int64_t* kept;         // the blocks that are kept, ascending
  const int64_t* begin;        // of the sorted particles in each cell of these blocks, and their end
  int64_t nodes;               // of these blocks
};

// What a particle brings to its nodes, and where it is.
template <typename T, int D>
struct Brought {
  Affine<Node<T>, D> value;
  Node<T> x;
};

template <typename T, int D>
__global__ void find_cells(Scene<T, D> scene, Particles<T, D> p, Blocks<D> blocks, int64_t* __restrict__ key,
                           unsigned long long* __restrict__ outside) {
  for (int64_t i = first_thread(); i < p.scenes * p.each; i += all_threads()) {
    key[i] = kNowhere;
    if (p.mass[i] == 0) continue;
    if (!scene.holds(p.x + i * D)) {
      atomicMin(outside, static_cast<unsigned long long>(i));
      continue;
    }
    Site<D> site{static_cast<int>(i / p.each), {}};
    for (int a = 0; a < D; ++a) {
      const int cell = static_cast<int>(first_node(p.x[i * D + a], scene.dx)) + 1;
      site.block = site.block * blocks.count[a] + cell / Site<D>::kSide;
      site.local[a] = cell % Site<D>::kSide;
    }
    key[i] = site.key();
  }
}

// Marks the blocks of particles and the blocks after them, which their nodes reach.
template <int D>
__global__ void mark_blocks(Blocks<D> blocks, const int64_t* __restrict__ key, int64_t count,
                            unsigned long long* __restrict__ marks) {
  constexpr int kBlock = Shape<D>::kBlock;
  for (int64_t k = first_thread(); k < count; k += all_threads()) {
    if (key[k] == kNowhere || (k > 0 && key[k] / kBlock == key[k - 1] / kBlock)) continue;
    for (int corner = 0; corner < 1 << D; ++corner) {
      int64_t block = key[k] / kBlock;
      for (int a = 0; a < D; ++a) block += (corner >> a & 1) * blocks.stride[a];
      atomicExch(marks + block, 1ull);
    }
  }
}

// Turns marks into slots, of which `ends` counts those up to each block.
static __global__ void number_blocks(const int64_t* __restrict__ ends, int64_t count, int64_t* __restrict__ slot,
                                     int64_t* __restrict__ kept) {
  for (int64_t b = first_thread(); b < count; b += all_threads()) {
    slot[b] = slot[b] == 1 ? ends[b] - 1 : -1;
    if (slot[b] >= 0) kept[slot[b]] = b;
  }
}

template <int D>
__global__ void find_begins(const int64_t* __restrict__ key, int64_t count, const int64_t* __restrict__ kept,
                            int64_t nodes, int64_t* __restrict__ begin) {
  constexpr int kBlock = Shape<D>::kBlock;
  for (int64_t n = first_thread(); n <= nodes; n += all_threads())
    begin[n] = first_from(key, count, n < nodes ? kept[n / kBlock] * kBlock + n % kBlock : kNowhere);
}

// Calls done(node, place, sum) for all nodes, places counted from -1, with the sum of what particles bring.
template <typename T, int D, typename Done>
__global__ void to_nodes(Grid<T, D> grid, const Brought<T, D>* __restrict__ brought, Done done) {
  constexpr int kBlock = Shape<D>::kBlock, kCells = D == 3 ? 27 : 9;
  const T h = grid.scene.dx, per = 1 / h;
  for (int64_t n = first_thread(); n < grid.nodes; n += all_threads()) {
    const auto node = Site<D>::of(static_cast<int>(grid.kept[n / kBlock]), static_cast<int>(n % kBlock));
    int at[D];
    grid.blocks.place(node.block, at);
    int64_t place[D];
    for (int a = 0; a < D; ++a) place[a] = static_cast<int64_t>(at[a]) * Site<D>::kSide + node.local[a] - 1;
    Node<T> sum{};
    for (int c = 0; c < kCells; ++c) {
      int steps[D], rest = c;
      for (int a = D - 1; a >= 0; --a) steps[a] = rest % 3, rest /= 3;
      Site<D> cell = node;
      if (!grid.blocks.before(cell, at, steps)) continue;
      const int64_t slot = grid.slot[cell.block];
      if (slot < 0) continue;
      const int64_t number = slot * kBlock + cell.number();
      for (int64_t k = grid.begin[number]; k < grid.begin[number + 1]; ++k) {
        const Brought<T, D>& one = brought[k];
        T weight = 1, d[D];
        for (int a = 0; a < D; ++a) {
          const T off = static_cast<T>(place[a]) - one.x[a] * per, far = off < 0 ? -off : off;
          weight *= steps[a] == 1 ? T(0.75) - off * off : T(0.5) * (T(1.5) - far) * (T(1.5) - far);
          d[a] = off * h;
        }
        sum += one.value.at(d) * weight;
      }
    }
    done(grid.scene, n, place, sum);
  }
}

// Place k of the sorted particles: its number, its splines and its nodes.
template <typename T, int D>
class Held {
 public:
  int64_t i;
  Spline<T> spline[D];

  __device__ Held(const Grid<T, D>& grid, int64_t k) : i(grid.entry[k]), grid_(grid) {
    constexpr int kBlock = Shape<D>::kBlock;
    first_ = Site<D>::of(static_cast<int>(grid.key[k] / kBlock), static_cast<int>(grid.key[k] % kBlock));
    int at[D];
    grid.blocks.place(first_.block, at);
    for (int a = 0; a < D; ++a)
      spline[a] = {grid.p.x[i * D + a], grid.scene.dx,
                   static_cast<int64_t>(at[a]) * Site<D>::kSide + first_.local[a] - 1};
  }

  // The number of node (i, j, k) of the particle, as in for_nodes.
  template <typename... Steps>
  __device__ int64_t node(Steps... each) const {
    const int steps[]{each...};
    const Site<D> site = grid_.blocks.after(first_, steps);
    return grid_.slot[site.block] * Shape<D>::kBlock + site.number();
  }

 private:
  const Grid<T, D>& grid_;
  Site<D> first_;
};

template <typename T, int D, typename Job>
__global__ void each_particle(Grid<T, D> grid, Job job) {
  for (int64_t k = first_thread(); k < grid.p.scenes * grid.p.each; k += all_threads()) {
    if (grid.key[k] == kNowhere) return;  // as are those that follow
    job(grid, k);
  }
}

// Sorts particles and owns the memory of a grid without what its nodes hold. The host waits twice: for a particle
// outside of the box, and for the number of blocks.
template <typename T, int D>
struct Listed {
  Tensor key, entry, slot, kept, begin;
  Grid<T, D> grid;

  Listed(const char* op, const Scene<T, D>& scene, const Particles<T, D>& p, const Tensor& x)
      : key(longs(x, p.scenes * p.each)), entry(key), slot(key), kept(key), begin(key) {
    const int64_t count = key.numel(), all = count_blocks(op, scene, p.scenes);
    Blocks<D> blocks;
    for (int a = D - 1, stride = 1; a >= 0; stride *= blocks.count[a--])
      blocks.count[a] = static_cast<int>(Shape<D>::count(scene, a)), blocks.stride[a] = stride;
    int64_t nodes = 0;
    if (count > 0) {
      const Tensor outside = longs(x, 1);
      torch::stable::fill_(outside, -1);
      launch_for(op, find_cells<T, D>, count, x, scene, p, blocks, data<int64_t>(key),
                 data<unsigned long long>(outside));
      const int64_t bad = fetch_one<int64_t>(op, outside, 0);
      if (bad >= 0) {
        T at[D];
        fetch(op, at, p.x + bad * D, D, x);
        refuse_particle(op, bad / p.each, bad % p.each, at, D);
      }
      const Sorted sorted = sort_keys(key);
      key = sorted.values, entry = sorted.order;
      slot = torch::stable::new_zeros(x, {all}, ScalarType::Long);
      launch_for(op, mark_blocks<D>, count, x, blocks, data<int64_t>(key), count, data<unsigned long long>(slot));
      const Tensor ends = running_sum(slot);
      kept = longs(x, fetch_one<int64_t>(op, ends, all - 1));
      launch_for(op, number_blocks, all, x, data<int64_t>(ends), all, data<int64_t>(slot), data<int64_t>(kept));
      nodes = kept.numel() * Shape<D>::kBlock;
      begin = longs(x, nodes + 1);
      launch_for(op, find_begins<D>, nodes + 1, x, data<int64_t>(key), count, data<int64_t>(kept), nodes,
                 data<int64_t>(begin));
    }
    grid = {scene,
            p,
            blocks,
            data<int64_t>(key),
            data<int64_t>(entry),
            data<int64_t>(slot),
            data<int64_t>(kept),
            data<int64_t>(begin),
            nodes};
  }

  static Tensor longs(const Tensor& x, int64_t count) { return torch::stable::new_empty(x, {count}, ScalarType::Long); }
};

}  // namespace geoops
