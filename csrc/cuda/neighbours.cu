// The k nearest points within a radius, or all: one thread for each query. What it finds is counted, so that the result
// has its size, and then written: a heap in the result keeps the k nearest.
#include "points.cuh"
#include "tree.cuh"

namespace geoops {
namespace {

template <typename T>
struct Problem {
  Tree<T> tree;
  const T* y;
  const int64_t *order, *batch_x, *batch_y;  // of the queries along the curve; the last two may be missing
  const T* length;                           // of the periodic box, or null
  int64_t queries, k;
  T bound;
  bool loop;
};

struct Range {
  int64_t begin, end;
};

// The points in the example of a query, which have the same numbers as places.
template <typename T>
__device__ Range range_of(const Problem<T>& p, int64_t q) {
  const int64_t count = p.tree.count;
  if (!p.batch_x) return {0, count};
  return {first_from(p.batch_x, count, p.batch_y[q]), first_from(p.batch_x, count, p.batch_y[q], true)};
}

// Coordinates of a query in registers, or D = 0 and in memory.
template <typename T, int D>
class Query {
 public:
  __device__ Query(const Problem<T>& p, int64_t q) : from_(p.y + q * p.tree.dim), length_(p.length), dim_(p.tree.dim) {
    for (int d = 0; d < D; ++d) at_[d] = from_[d];
  }

  __device__ T to_point(const T* x) const {
    T sum = 0;
    for (int64_t d = 0; d < dim(); ++d) {
      T off = x[d] - at(d);
      if (length_) {
        off = off < 0 ? -off : off;
        const T around = length_[d] - off;
        off = around < off ? around : off;
      }
      sum = add_square(sum, off);
    }
    return sum;
  }

  __device__ T to_box(const T* low, const T* high) const {
    T sum = 0;
    for (int64_t d = 0; d < dim(); ++d) {
      const T above = low[d] - at(d), below = at(d) - high[d], zero = 0;
      T off = above > below ? above : below;
      off = off > zero ? off : zero;
      if (length_) {
        const T around = length_[d] - ((at(d) > high[d] ? at(d) : high[d]) - (at(d) < low[d] ? at(d) : low[d]));
        off = around < off ? around : off;
        off = off > zero ? off : zero;
      }
      sum = add_square(sum, off);
    }
    return sum;
  }

 private:
  __device__ int64_t dim() const { return D > 0 ? D : dim_; }
  __device__ T at(int64_t d) const {
    if constexpr (D > 0)
      return at_[d];
    else
      return from_[d];
  }

  const T *from_, *length_;
  int64_t dim_;
  T at_[D > 0 ? D : 1];
};

// Entries in a heap of which the last in order is in front; `nearest` orders by distance, then by number.
template <typename T, bool nearest>
struct Heap {
  T* square;
  int64_t* number;

  __device__ bool before(T s, int64_t n, int64_t place) const {
    if constexpr (nearest) return s < square[place] || (s == square[place] && n < number[place]);
    return n < number[place];
  }
  __device__ T square_at(int64_t place) const { return nearest ? square[place] : T(0); }
  __device__ void put(int64_t place, T s, int64_t n) const {
    if constexpr (nearest) square[place] = s;
    number[place] = n;
  }
  // Puts an entry below `place` in a heap of `count`.
  __device__ void sink(int64_t place, int64_t count, T s, int64_t n) const {
    for (int64_t child = 2 * place + 1; child < count; child = 2 * place + 1) {
      if (child + 1 < count && before(square_at(child), number[child], child + 1)) ++child;
      if (!before(s, n, child)) break;
      put(place, square_at(child), number[child]);
      place = child;
    }
    put(place, s, n);
  }
  __device__ void make(int64_t count) const {
    for (int64_t i = count / 2 - 1; i >= 0; --i) sink(i, count, square_at(i), number[i]);
  }
  __device__ void sort(int64_t count) const {
    for (int64_t last = count - 1; last > 0; --last) {
      const T s = square_at(last);
      const int64_t n = number[last];
      put(last, square_at(0), number[0]);
      sink(0, last, s, n);
    }
  }
};

template <typename T, int D>
__global__ void count_neighbours(Problem<T> p, int64_t* __restrict__ counts) {
  for (int64_t i = first_thread(); i < p.queries; i += all_threads()) {
    const int64_t q = p.order[i], self = p.loop ? -1 : q;
    const Range range = range_of(p, q);
    int64_t found = 0;
    if (p.bound == kInfinity<T>) {  // all of them are within
      found = range.end - range.begin - inside(self - range.begin, range.end - range.begin);
    } else {
      const Query<T, D> query(p, q);
      walk(
          p.tree, range.begin, range.end,
          [&](int64_t node) { return query.to_box(p.tree.low(node), p.tree.high(node)); },
          [&](int64_t /*node*/, T away) { return away <= p.bound && (p.k < 0 || found < p.k); },
          [&](int64_t first, int64_t last) {
            for (int64_t place = first; place < last; ++place)
              found += query.to_point(p.tree.item(place)) <= p.bound && p.tree.number[place] != self;
          });
    }
    counts[q] = p.k < 0 ? found : min(found, p.k);
  }
}

template <typename T, int D, bool nearest>
__global__ void find_neighbours(Problem<T> p, const int64_t* __restrict__ ends, T* squares, int64_t* to_y,
                                int64_t* to_x) {
  for (int64_t i = first_thread(); i < p.queries; i += all_threads()) {
    const int64_t q = p.order[i], self = p.loop ? -1 : q;
    const int64_t start = q > 0 ? ends[q - 1] : 0, room = ends[q] - start;
    if (room == 0) continue;
    const Range range = range_of(p, q);
    const Query<T, D> query(p, q);
    const Heap<T, nearest> heap{nearest ? squares + start : nullptr, to_x + start};
    T bound = p.bound;
    int64_t found = 0, worst = p.tree.count;
    walk(
        p.tree, range.begin, range.end, [&](int64_t node) { return query.to_box(p.tree.low(node), p.tree.high(node)); },
        [&](int64_t node, T away) { return away < bound || (away == bound && p.tree.least[node] < worst); },
        [&](int64_t first, int64_t last) {
          for (int64_t place = first; place < last; ++place) {
            const T square = query.to_point(p.tree.item(place));
            const int64_t number = p.tree.number[place];
            if (!(square < bound || (square == bound && number < worst)) || number == self) continue;
            if (found < room) {
              heap.put(found++, square, number);
              if (found < room) continue;
              heap.make(room);
            } else {
              heap.sink(0, room, square, number);
            }
            if constexpr (nearest) bound = heap.square[0], worst = heap.number[0];
          }
        });
    heap.sort(room);
    for (int64_t j = start; j < start + room; ++j) to_y[j] = q;
  }
}

template <typename T>
__global__ void wrap_points(const T* __restrict__ x, const T* __restrict__ length, int64_t dim, int64_t count,
                            T* __restrict__ out) {
  for (int64_t i = first_thread(); i < count; i += all_threads()) out[i] = wrap(x[i], length[i % dim]);
}

template <typename T>
Tensor in_box(const char* op, const Tensor& x, const std::optional<Tensor>& length) {
  if (!length) return x;
  Tensor out = torch::stable::empty_like(x);
  launch_for(op, wrap_points<T>, x.numel(), x, data<T>(x), data<T>(*length), x.size(1), x.numel(), data<T>(out));
  return out;
}

template <typename T, int D>
Tensor pairs(const char* op, Problem<T> p, const Tensor& x) {
  const int64_t queries = p.queries;
  const Tensor counts = torch::stable::new_empty(x, {queries}, ScalarType::Long);
  launch_for(op, count_neighbours<T, D>, p.queries, x, p, data<int64_t>(counts));
  const Tensor ends = running_sum(counts);
  const int64_t total = fetch_one<int64_t>(op, ends, p.queries - 1);
  Tensor out = torch::stable::new_empty(x, {2, total}, ScalarType::Long);
  const Tensor squares = torch::stable::new_empty(x, {p.k < 0 ? 0 : total});
  if (total == 0) return out;
  const auto find = [&]<bool nearest>() {
    launch_for(op, find_neighbours<T, D, nearest>, p.queries, x, p, data<int64_t>(ends), data<T>(squares),
               data<int64_t>(out), data<int64_t>(out) + total);
  };
  p.k < 0 ? find.template operator()<false>() : find.template operator()<true>();
  return out;
}

// For each point of `to` those of `from`.
Tensor search(const char* op, const Points& from, const Points& to, const std::optional<Tensor>& box, int64_t k,
              double r, bool loop) {
  const Tensor &x = from.tensor, &y = to.tensor;
  const bool same = x.const_data_ptr() == y.const_data_ptr() && x.numel() == y.numel();
  check_points(op, from.name, x);
  if (!same) check_points(op, to.name, y);
  check_search(op, from, to, r);
  check_batches(op, from.batch, to.batch);
  const std::optional<Tensor> batch_x = checked_batch(op, from.name, x.size(0), from.batch);
  const std::optional<Tensor> batch_y = checked_batch(op, to.name, y.size(0), to.batch);
  Tensor out = torch::stable::new_empty(x, {2, 0}, ScalarType::Long);
  if (k == 0 || x.size(0) == 0 || y.size(0) == 0) return out;
  dispatch_coordinates(x, [&]<typename T>() {
    std::optional<Tensor> length;
    if (box) {
      lengths_of<T>(op, *box, x);
      length = torch::stable::new_empty(x, {x.size(1)});
      torch::stable::copy_(*length, *box);
    }
    const auto table = [](const Tensor& z) { return torch::stable::view(z, {z.size(0), 1, z.size(1)}); };
    const Tensor points = in_box<T>(op, x, length), queries = same ? points : in_box<T>(op, y, length);
    const Forest<T> forest(op, table(points), batch_x);
    const Tensor order = same ? forest.number : order_along_curve<T>(op, table(queries), batch_y);
    const Problem<T> p{forest.tree,
                       data<T>(queries),
                       data<int64_t>(order),
                       batch_x ? data<int64_t>(*batch_x) : nullptr,
                       batch_y ? data<int64_t>(*batch_y) : nullptr,
                       length ? data<T>(*length) : nullptr,
                       y.size(0),
                       k,
                       static_cast<T>(r) * static_cast<T>(r),
                       loop};
    out = x.size(1) == 2 ? pairs<T, 2>(op, p, x) : x.size(1) == 3 ? pairs<T, 3>(op, p, x) : pairs<T, 0>(op, p, x);
  });
  return out;
}

void check_devices(const char* op, const Tensor& x, const Tensor& y, const std::optional<Tensor>& batch_x,
                   const std::optional<Tensor>& batch_y) {
  require_same_device(op, x, {&y, batch_x ? &*batch_x : &y, batch_y ? &*batch_y : &y});
}

Tensor neighbours(const Tensor& x, const Tensor& y, const std::optional<Tensor>& batch_x,
                  const std::optional<Tensor>& batch_y, const std::optional<Tensor>& box, int64_t k, double r,
                  bool loop) {
  check_devices("neighbours", x, y, batch_x, batch_y);
  const DeviceGuard guard(x.get_device_index());
  return search("neighbours", {"x", torch::stable::contiguous(x), batch_x},
                {"y", torch::stable::contiguous(y), batch_y}, box, k, r, loop);
}

Tensor nearest(const Tensor& x, const Tensor& y, const std::optional<Tensor>& batch_x,
               const std::optional<Tensor>& batch_y, const std::optional<Tensor>& box) {
  check_devices("nearest", x, y, batch_x, batch_y);
  const DeviceGuard guard(x.get_device_index());
  const Tensor found = search("nearest", {"y", torch::stable::contiguous(y), batch_y},
                              {"x", torch::stable::contiguous(x), batch_x}, box, 1, kInfinity<double>, true);
  require(found.size(1) == x.size(0), "nearest: some points of x have no points of y in their example of the batch");
  return torch::stable::clone(torch::stable::select(found, 0, 1));
}

GEOOPS_CUDA_OPS(m) {
  m.impl("neighbours", TORCH_BOX(&neighbours));
  m.impl("nearest", TORCH_BOX(&nearest));
}

}  // namespace
}  // namespace geoops
