// The grid of the material point method, as far as particles reach.
//
// Particles are listed by the block of nodes that their splines begin in. Each occupied block adds up its particles in
// a tile of its own, each node then the up to 2^D tiles that reach it, always in the same order: no atomics, and the
// same bits for any number of threads.
#pragma once

#include "../mpm_ops.h"
#include "order.h"
#include "pack.h"

#include <array>

namespace geoops {

template <typename T>
using Node = Pack<T, kLanes>;

template <typename T, int D>
class Grid {
 public:
  static constexpr int64_t kSide = Shape<D>::kSide, kBlock = Shape<D>::kBlock;
  static constexpr int64_t kWide = kSide + 2;  // nodes of a tile along an axis
  static constexpr int64_t kTile = D == 3 ? kWide * kWide * kWide : kWide * kWide;
  using Place = std::array<int64_t, D>;

  Grid(const char* op, const Scene<T, D>& scene, const Particles<T, D>& p, const Tensor& x)
      : scene_(scene), p_(p), blocks_(blocks_of(scene)), order_(list(op, x)) {
    const int64_t all = order_.targets;
    tile_of_.assign(all, -1), block_of_.assign(all, -1);
    ptr_.push_back(0);
    for (int64_t i = 0; i < all; ++i)
      if (order_.ptr[i + 1] > order_.ptr[i]) {
        tile_of_[i] = static_cast<int32_t>(occupied_.size());
        occupied_.push_back(i), ptr_.push_back(order_.ptr[i + 1]);
        neighbours(i, [&](int64_t j, const Place&) { block_of_[j] = 0; });
      }
    for (int64_t i = 0; i < all; ++i)
      if (block_of_[i] == 0) block_of_[i] = static_cast<int32_t>(active_.size()), active_.push_back(i);
  }

  int64_t nodes() const { return static_cast<int64_t>(active_.size()) * kBlock; }

  // Where a particle's node (i, j, k) is in a tile, counted in numbers from its first node.
  static GEOOPS_INLINE int64_t within(int64_t i, int64_t j, int64_t k) {
    return (D == 2 ? i * kWide + j : (i * kWide + j) * kWide + k) * kLanes;
  }

  // Calls spread(particle, splines, held, tile) for all particles, where `tile` is where the particle's first node is
  // and `held` the same place in a tile of `nodes`, if there are any; then done(node, place, sum) for all nodes, places
  // counted from -1, with the sum of what the tiles hold.
  template <typename Spread, typename Done>
  void to_nodes(const T* nodes, const Spread& spread, const Done& done) const {
    const Room<T> tiles(static_cast<int64_t>(occupied_.size()) * kTile * kLanes);
    each_tile([&](int64_t t, int64_t begin, int64_t end) {
      alignas(64) T held[kTile * kLanes];
      if (nodes != nullptr) load_tile(occupied_[t], nodes, held);
      T* tile = tiles.get() + t * kTile * kLanes;
      std::fill_n(tile, kTile * kLanes, T(0));
      each_particle(occupied_[t], begin, end, [&](int64_t i, const Spline<T>* spline, int64_t first) {
        spread(i, spline, held + first * kLanes, tile + first * kLanes);
      });
    });
    for_ranges(static_cast<int64_t>(active_.size()), 16 * kBlock, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        Node<T> sums[kBlock] = {};
        const Place at = place_of_block(active_[b]);
        for (int64_t corner = (int64_t(1) << D) - 1; corner >= 0; --corner)
          add_tile(active_[b], at, corner, tiles, sums);
        each_node([&](int64_t l, const Place& local) {
          Place node;
          for (int a = 0; a < D; ++a) node[a] = at[a] * kSide + local[a] - 1;
          done(b * kBlock + l, node, sums[l]);
        });
      }
    });
  }

  // Calls use(particle, splines, tile) for all particles, where `tile` holds what the nodes do.
  template <typename Use>
  void to_particles(const T* nodes, const Use& use) const {
    each_tile([&](int64_t t, int64_t begin, int64_t end) {
      alignas(64) T tile[kTile * kLanes];
      load_tile(occupied_[t], nodes, tile);
      each_particle(occupied_[t], begin, end,
                    [&](int64_t i, const Spline<T>* spline, int64_t first) { use(i, spline, tile + first * kLanes); });
    });
  }

 private:
  static Place blocks_of(const Scene<T, D>& scene) {
    Place blocks;
    for (int a = 0; a < D; ++a) blocks[a] = Shape<D>::count(scene, a);
    return blocks;
  }

  Order list(const char* op, const Tensor& x) const {
    const int64_t count = p_.scenes * p_.each, all = count_blocks(op, scene_, p_.scenes);
    const int64_t bad = first_bad(count, [&](int64_t i) { return p_.mass[i] != 0 && !scene_.holds(p_.x + i * D); });
    if (bad < count) refuse_particle(op, bad / p_.each, bad % p_.each, p_.x + bad * D, D);
    Tensor keys = torch::stable::new_empty(x, {count}, ScalarType::Long);
    auto* key = keys.mutable_data_ptr<int64_t>();
    for_ranges(count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t block = i / p_.each;
        for (int a = 0; a < D; ++a) block = block * blocks_[a] + (first_node(p_.x[i * D + a], scene_.dx) + 1) / kSide;
        key[i] = p_.mass[i] == 0 ? -1 : block;  // without mass it takes no part
      }
    });
    return order_entries(op, "x", keys, all, false);
  }

  Place place_of_block(int64_t block) const {
    Place at;
    for (int a = D - 1; a >= 0; --a) at[a] = block % blocks_[a], block /= blocks_[a];
    return at;
  }

  // Calls use(block, corner) for a block and those after it, whose nodes its tile reaches too.
  template <typename Use>
  void neighbours(int64_t block, const Use& use) const {
    for (int64_t corner = 0; corner < (int64_t(1) << D); ++corner) {
      Place step;
      for (int a = 0; a < D; ++a) step[a] = corner >> (D - 1 - a) & 1;
      use(block + shift(step), step);
    }
  }

  int64_t shift(const Place& step) const {
    int64_t all = 0;
    for (int a = 0; a < D; ++a) all = all * blocks_[a] + step[a];
    return all;
  }

  template <typename Use>
  static void each_node(const Use& use) {
    for (int64_t l = 0; l < kBlock; ++l) {
      Place local;
      int64_t rest = l;
      for (int a = D - 1; a >= 0; --a) local[a] = rest % kSide, rest /= kSide;
      use(l, local);
    }
  }

  // Calls use(node of the block, node of the tile) for the nodes that a tile shares with the block `step` after it.
  template <typename Use>
  static GEOOPS_INLINE void shared(const Place& step, const Use& use) {
    int64_t size[3], from[3];
    for (int a = 0; a < 3; ++a) {
      const bool after = a < D && step[std::min(a, D - 1)] == 1;
      size[a] = a >= D ? 1 : after ? 2 : kSide;
      from[a] = after ? kSide : 0;
    }
    for (int64_t i = 0; i < size[0]; ++i)
      for (int64_t j = 0; j < size[1]; ++j) {
        if constexpr (D == 2) {
          use(i * kSide + j, (i + from[0]) * kWide + j + from[1]);
        } else {
          for (int64_t k = 0; k < size[2]; ++k)
            use((i * kSide + j) * kSide + k, ((i + from[0]) * kWide + j + from[1]) * kWide + k + from[2]);
        }
      }
  }

  void add_tile(int64_t block, const Place& at, int64_t corner, const Room<T>& tiles, Node<T>* sums) const {
    Place step;
    for (int a = 0; a < D; ++a) {
      step[a] = corner >> (D - 1 - a) & 1;
      if (at[a] < step[a]) return;
    }
    const int64_t t = tile_of_[block - shift(step)];
    if (t < 0) return;
    const T* tile = tiles.get() + t * kTile * kLanes;
    shared(step, [&](int64_t l, int64_t m) { sums[l] += load_as<T, kLanes>(tile + m * kLanes); });
  }

  void load_tile(int64_t block, const T* nodes, T* tile) const {
    neighbours(block, [&](int64_t j, const Place& step) {
      const T* from = nodes + block_of_[j] * kBlock * kLanes;
      shared(step,
             [&](int64_t l, int64_t m) { store_as<kLanes>(tile + m * kLanes, load_as<T, kLanes>(from + l * kLanes)); });
    });
  }

  template <typename Body>
  void each_tile(const Body& body) const {
    for_balanced(ptr_.data(), static_cast<int64_t>(occupied_.size()), 256, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) body(t, ptr_[t], ptr_[t + 1]);
    });
  }

  template <typename Body>
  GEOOPS_INLINE void each_particle(int64_t block, int64_t begin, int64_t end, const Body& body) const {
    const Place at = place_of_block(block);
    for (int64_t k = begin; k < end; ++k) {
      const int64_t i = order_.entry[k];
      Spline<T> spline[D];
      int64_t first = 0;
      for (int a = 0; a < D; ++a) {
        // a node of this block, as the sort found
        const T x = p_.x[i * D + a];
        const int64_t from = at[a] * kSide - 1, node = std::clamp(first_node(x, scene_.dx), from, from + kSide - 1);
        spline[a] = Spline<T>(x, scene_.dx, node);
        first = first * kWide + node - from;
      }
      body(i, spline, first);
    }
  }

  const Scene<T, D>& scene_;
  const Particles<T, D>& p_;
  Place blocks_;
  Order order_;
  std::vector<int64_t> occupied_, active_, ptr_;
  std::vector<int32_t> tile_of_, block_of_;
};

}  // namespace geoops
