// Reductions of contiguous segments: segment i of row o holds the entries ptr[o, i] <= e < ptr[o, i + 1]. No atomics:
// the same bits in every run.
#include "../extremum.h"
#include "../reductions.h"
#include "rows.cuh"

#include <tuple>

namespace geoops {
namespace {

// A segment has across * along neighbouring threads, at most a warp: `across` the inner dimension and `along` entries.
struct Segments {
  int64_t outer, edges, targets, inner, ptr_rows;
  int across, along;

  int64_t threads() const { return inner == 0 ? 0 : outer * targets * across * along; }

  // Calls body(place, whether it exists, first entry, last entry, address of entry 0) the same number of times in all
  // threads of a warp.
  template <typename Body>
  __device__ void each(const int64_t* ptr, const Body& body) const {
    const int64_t group = across * along, step = all_threads() / group, rows = outer * targets;
    const int64_t turns = (rows + step - 1) / step, lane = threadIdx.x % across;
    int64_t row = first_thread() / group;
    for (int64_t turn = 0; turn < turns; ++turn, row += step) {
      const bool held = row < rows;
      const int64_t o = held ? row / targets : 0, i = held ? row - o * targets : 0;
      const int64_t* p = ptr + (ptr_rows > 1 ? o * (targets + 1) : 0) + i;
      const int64_t first = held ? p[0] : 0, last = held ? p[1] : 0;
      for (int64_t start = 0; start < inner; start += across) {
        const int64_t f = start + lane;
        const bool mine = held && f < inner;
        body(row * inner + f, mine, first, mine ? last : first, o * edges * inner + f);
      }
    }
  }
};

template <typename Reduce, typename scalar_t, typename acc_t>
__global__ void reduce_segments(Segments z, const scalar_t* __restrict__ x, const int64_t* __restrict__ ptr,
                                scalar_t* __restrict__ out) {
  const int part = threadIdx.x / z.across % z.along;
  z.each(ptr, [&](int64_t to, bool mine, int64_t first, int64_t last, int64_t at) {
    using safe_t = std::conditional_t<std::is_integral_v<acc_t>, key_t<acc_t>, acc_t>;  // integers wrap
    safe_t kept = static_cast<safe_t>(Reduce::start);
    for (int64_t e = first + part; e < last; e += z.along)
      kept = Reduce::of(kept, static_cast<safe_t>(static_cast<acc_t>(x[at + e * z.inner])));
    for (int by = z.across * z.along / 2; by >= z.across; by /= 2)
      kept = Reduce::of(kept, __shfl_xor_sync(0xffffffffu, kept, by));
    if (mine && part == 0) out[to] = static_cast<scalar_t>(static_cast<acc_t>(kept));
  });
}

template <typename scalar_t, typename acc_t>
__global__ void extreme_segments(Segments z, const scalar_t* __restrict__ x, const int64_t* __restrict__ ptr,
                                 scalar_t* __restrict__ out, int64_t* __restrict__ arg, bool largest) {
  const int part = threadIdx.x / z.across % z.along;
  z.each(ptr, [&](int64_t to, bool mine, int64_t first, int64_t last, int64_t at) {
    key_t<acc_t> best = 0;
    long long where = z.edges;
    for (int64_t e = first + part; e < last; e += z.along) {
      const key_t<acc_t> key = key_of(static_cast<acc_t>(x[at + e * z.inner]), largest);
      if (key > best || where == z.edges) best = key, where = e;
    }
    for (int by = z.across * z.along / 2; by >= z.across; by /= 2) {
      const key_t<acc_t> other = __shfl_xor_sync(0xffffffffu, best, by);
      const long long there = __shfl_xor_sync(0xffffffffu, where, by);
      if (there < z.edges && (where == z.edges || other > best || (other == best && there < where)))
        best = other, where = there;
    }
    if (!mine || part != 0) return;
    arg[to] = where;
    out[to] = where < z.edges ? x[at + where * z.inner] : static_cast<scalar_t>(0);
  });
}

Segments segments_of(const char* op, const Tensor& x, const Tensor& ptr) {
  check_ascending(op, "ptr", ptr, x.size(1) + 1);
  const int64_t targets = ptr.size(1) - 1;
  Segments z{x.size(0), x.size(1), targets, x.size(2), ptr.size(0), lanes_for(x.size(2)), 1};
  while (z.across * z.along < 32 && z.along * targets * 2 < z.edges) z.along *= 2;
  return z;
}

template <typename Reduce>
Tensor segment(const char* op, const Tensor& x_, const Tensor& ptr_) {
  check_segment(op, x_, ptr_);
  require_same_device(op, x_, {&ptr_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  const Segments z = segments_of(op, x, ptr);
  Tensor out = torch::stable::new_empty(x, {z.outer, z.targets, z.inner});
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    launch_for(op, reduce_segments<Reduce, scalar_t, atomic_t<scalar_t>>, z.threads(), x, z, data<scalar_t>(x),
               data<int64_t>(ptr), data<scalar_t>(out));
  });
  return out;
}

Tensor segment_sum(const Tensor& x, const Tensor& ptr) { return segment<Sum>("segment_sum", x, ptr); }

Tensor segment_mul(const Tensor& x, const Tensor& ptr) { return segment<Product>("segment_mul", x, ptr); }

std::tuple<Tensor, Tensor> segment_extremum(const Tensor& x_, const Tensor& ptr_, bool largest) {
  const char* op = "segment_extremum";
  check_segment(op, x_, ptr_);
  require_same_device(op, x_, {&ptr_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_), ptr = torch::stable::contiguous(ptr_);
  const Segments z = segments_of(op, x, ptr);
  Tensor out = torch::stable::new_empty(x, {z.outer, z.targets, z.inner});
  Tensor arg = torch::stable::new_empty(x, {z.outer, z.targets, z.inner}, ScalarType::Long);
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    launch_for(op, extreme_segments<scalar_t, atomic_t<scalar_t>>, z.threads(), x, z, data<scalar_t>(x),
               data<int64_t>(ptr), data<scalar_t>(out), data<int64_t>(arg), largest);
  });
  return {out, arg};
}

GEOOPS_CUDA_OPS(m) {
  m.impl("segment_sum", TORCH_BOX(&segment_sum));
  m.impl("segment_mul", TORCH_BOX(&segment_mul));
  m.impl("segment_extremum", TORCH_BOX(&segment_extremum));
}

}  // namespace
}  // namespace geoops
