// Farthest point sampling: one block for each example. Chunks of points are left out when the new point is no nearer to
// them than an old one.
#include "points.cuh"
#include "tree.cuh"

namespace geoops {
namespace {

constexpr int kChunk = 32;  // one point for each lane of a warp
constexpr int kLevels = 2;  // from a chunk down to its runs
static_assert(kRun << kLevels == kChunk);
constexpr int kMostThreads = 512;
constexpr unsigned kAll = 0xffffffffu;

template <typename T>
struct Samples {
  Tree<T> tree;
  const T *x, *priority;  // the latter may be null
  const int64_t* begin;   // of each example, and the number of points
  const int64_t* ends;    // of the samples of each example
  int64_t examples;
  T* square;  // to the nearest chosen point; -1 for a chosen one
  T* most;    // of each chunk of each example, and the place that has it
  int32_t* where;
  int64_t* out;
};

// The largest, of several the one with the smallest number.
template <typename T>
struct Best {
  T square;
  int32_t number, place;  // below kMost

  __device__ void meet(const Best& other) {
    if (other.square > square || (other.square == square && other.number < number)) *this = other;
  }
  __device__ void meet_warp() {
    for (int by = 16; by > 0; by /= 2)
      meet({__shfl_xor_sync(kAll, square, by), __shfl_xor_sync(kAll, number, by), __shfl_xor_sync(kAll, place, by)});
  }
};

// The best of a block, for all of its threads. `shared` holds one of each warp until the next barrier but one.
template <typename T>
__device__ Best<T> best_of_block(Best<T> mine, const Best<T>& none, Best<T>* shared) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  mine.meet_warp();
  if (lane == 0) shared[warp] = mine;
  __syncthreads();
  mine = lane < warps ? shared[lane] : none;
  mine.meet_warp();
  return mine;
}

template <typename T>
__device__ T to_box(const Tree<T>& tree, int64_t node, const T* p) {
  T sum = 0;
  for (int64_t d = 0; d < tree.dim; ++d) {
    const T above = tree.low(node)[d] - p[d], below = p[d] - tree.high(node)[d], most = above > below ? above : below;
    sum = add_square(sum, most > 0 ? most : T(0));
  }
  return sum;
}

template <typename T>
__global__ void __launch_bounds__(kMostThreads) take_samples(Samples<T> z) {
  __shared__ Best<T> shared[2][32];
  const Tree<T>& tree = z.tree;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  const Best<T> none{-kInfinity<T>, static_cast<int32_t>(kMost), -1};
  for (int64_t s = blockIdx.x; s < z.examples; s += gridDim.x) {
    const int64_t begin = z.begin[s], end = z.begin[s + 1], first = s > 0 ? z.ends[s - 1] : 0, last = z.ends[s];
    // A chunk on the border of two examples has an entry for each.
    const int64_t low = begin / kChunk, chunks = (end + kChunk - 1) / kChunk - low;
    T* const most = z.most + low + s;
    int32_t* const where = z.where + low + s;
    Best<T> chosen{0, static_cast<int32_t>(begin), -1};
    __syncthreads();  // until the block has read the best of the example before
    if (z.priority) {
      chosen = none;
      for (int64_t i = begin + threadIdx.x; i < end; i += blockDim.x)
        chosen.meet({z.priority[i], static_cast<int32_t>(i), -1});
      chosen = best_of_block(chosen, none, shared[1]);
    }
    for (int64_t i = first; i < last; ++i) {
      if (threadIdx.x == 0) z.out[i] = chosen.number;
      const T* const p = z.x + tree.dim * chosen.number;
      Best<T> best = none;
      // Neighbouring chunks go to different warps: most points change the squares of a few chunks around them.
      for (int64_t turn = 0; turn * blockDim.x < chunks; ++turn) {
        const int64_t chunk = (turn * 32 + lane) * warps + warp;
        const bool there = chunk < chunks;
        bool near = there;
        if (there && i > first) {
          const T top = most[chunk];
          // A distance that overflows is as large as what nothing has been subtracted from: that is looked at too.
          near = top == kInfinity<T> || chosen.place / kChunk == low + chunk ||
                 to_box(tree, (tree.runs >> kLevels) + low + chunk, p) < top;
        }
        for (unsigned todo = __ballot_sync(kAll, near); todo; todo &= todo - 1) {
          const int owner = __ffs(todo) - 1;
          const int64_t place = (low + (turn * 32 + owner) * warps + warp) * kChunk + lane;
          Best<T> mine = none;
          if (place >= begin && place < end) {
            const T before = i > first ? z.square[place] : kInfinity<T>;
            T sum = 0;
            for (int64_t d = 0; d < tree.dim; ++d) sum = add_square(sum, tree.item(place)[d] - p[d]);
            mine = {sum < before ? sum : before, static_cast<int32_t>(tree.number[place]), static_cast<int32_t>(place)};
            if (mine.number == chosen.number) mine.square = -1;
            z.square[place] = mine.square;
          }
          mine.meet_warp();
          if (lane == owner) most[chunk] = mine.square, where[chunk] = mine.place;
        }
        if (there && most[chunk] >= best.square)
          best.meet({most[chunk], static_cast<int32_t>(tree.number[where[chunk]]), where[chunk]});
      }
      if (i + 1 < last) chosen = best_of_block(best, none, shared[(i - first) % 2]);
    }
  }
}

// Marks the first points of examples.
__global__ void find_starts(const int64_t* __restrict__ batch, int64_t count, int64_t* __restrict__ starts) {
  for (int64_t i = first_thread(); i < count; i += all_threads())
    starts[i] = i == 0 || (batch && batch[i] != batch[i - 1]);
}

__global__ void find_examples(const int64_t* __restrict__ rank, int64_t count, int64_t* __restrict__ begin) {
  for (int64_t i = first_thread(); i < count; i += all_threads()) {
    if (i == 0 || rank[i] != rank[i - 1]) begin[rank[i] - 1] = i;
    if (i == count - 1) begin[rank[i]] = count;
  }
}

__global__ void count_samples(const int64_t* __restrict__ begin, int64_t examples, double ratio, int64_t number,
                              int64_t* __restrict__ counts) {
  for (int64_t s = first_thread(); s < examples; s += all_threads())
    counts[s] = samples_of(begin[s + 1] - begin[s], ratio, number);
}

Tensor fps(const Tensor& x_, const std::optional<Tensor>& batch_, const std::optional<Tensor>& priority_, double ratio,
           int64_t number) {
  const char* op = "fps";
  require_same_device(op, x_, {batch_ ? &*batch_ : &x_, priority_ ? &*priority_ : &x_});
  const DeviceGuard guard(x_.get_device_index());
  const Tensor x = torch::stable::contiguous(x_);
  check_points(op, "x", x);
  check_share(op, ratio, number);
  const int64_t count = x.size(0);
  const auto longs = [&](int64_t size) { return torch::stable::new_empty(x, {size}, ScalarType::Long); };
  const std::optional<Tensor> batch = checked_batch(op, "x", count, batch_);
  std::optional<Tensor> priority;
  if (priority_) {
    check_priority(op, x, *priority_);
    priority = torch::stable::contiguous(*priority_);
  }
  if (count == 0) return longs(0);
  const Tensor starts = longs(count);
  launch_for(op, find_starts, count, x, batch ? data<int64_t>(*batch) : nullptr, count, data<int64_t>(starts));
  const Tensor rank = running_sum(starts);
  const int64_t examples = fetch_one<int64_t>(op, rank, count - 1);
  const Tensor begin = longs(examples + 1), counts = longs(examples);
  launch_for(op, find_examples, count, x, data<int64_t>(rank), count, data<int64_t>(begin));
  launch_for(op, count_samples, examples, x, data<int64_t>(begin), examples, ratio, number, data<int64_t>(counts));
  const Tensor ends = running_sum(counts);
  Tensor out = longs(fetch_one<int64_t>(op, ends, examples - 1));
  if (out.numel() == 0) return out;
  dispatch_coordinates(x, [&]<typename T>() {
    const Forest<T> forest(op, torch::stable::view(x, {count, 1, x.size(1)}), batch);
    const int64_t chunks = count / kChunk + 1 + examples;
    const Tensor square = torch::stable::new_empty(x, {count}), most = torch::stable::new_empty(x, {chunks});
    const Tensor where = torch::stable::new_empty(x, {chunks}, ScalarType::Int);
    unsigned threads = 64;
    while (threads < kMostThreads && threads * 4 < count / examples) threads *= 2;
    launch(op, take_samples<T>, static_cast<unsigned>(std::min<int64_t>(examples, 1 << 20)), threads, x,
           Samples<T>{forest.tree, data<T>(x), priority ? data<T>(*priority) : nullptr, data<int64_t>(begin),
                      data<int64_t>(ends), examples, data<T>(square), data<T>(most), data<int32_t>(where),
                      data<int64_t>(out)});
  });
  return out;
}

GEOOPS_CUDA_OPS(m) { m.impl("fps", TORCH_BOX(&fps)); }

}  // namespace
}  // namespace geoops
