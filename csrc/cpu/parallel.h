// Splitting of work over libtorch's threads, so that torch.set_num_threads is respected.
#pragma once

#include "../checks.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif

#include <torch/csrc/stable/ops.h>

namespace geoops {

// Below about this many multiply-adds a thread costs more than it saves.
constexpr int64_t kGrain = 32768;

// Calls body(begin, end) on ranges that cover [0, count); each element is worth `cost` multiply-adds.
template <typename Body>
void for_ranges(int64_t count, int64_t cost, const Body& body) {
  if (count > 0) torch::stable::parallel_for(0, count, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, cost)), body);
}

// Returns the first position in [0, count) that is bad, or count. A pass of its own: it streams, and the kernels stay
// branch-free.
template <typename Bad>
int64_t first_bad(int64_t count, const Bad& bad) {
  std::atomic<int64_t> first{count};
  for_ranges(count, 1, [&](int64_t begin, int64_t end) {
    bool any = false;
    for (int64_t e = begin; e < end; ++e) any |= bad(e);
    if (!any) return;
    int64_t e = begin;
    while (!bad(e)) ++e;
    for (int64_t seen = first.load(); e < seen && !first.compare_exchange_weak(seen, e);) continue;
  });
  return first;
}

// Raises IndexError at the first index outside [0, bound).
template <typename index_t>
void check_bounds(const char* op, const char* name, const index_t* index, int64_t count, int64_t bound) {
  const int64_t e = first_bad(count, [&](int64_t i) { return (index[i] < 0) | (index[i] >= bound); });
  if (e < count) fail<std::out_of_range>(op, ": ", name, "[", e, "] = ", index[e], " is outside [0, ", bound, ")");
}

// Raises unless every row of `width` indices ascends within [0, bound): IndexError first, else ValueError.
template <typename index_t>
void check_ascending(const char* op, const char* name, const index_t* index, int64_t rows, int64_t width,
                     int64_t bound) {
  for (int64_t row = 0; row < rows; ++row) check_bounds(op, name, index + row * width, width, bound);
  for (int64_t row = 0; row < rows && width > 1; ++row) {
    const index_t* p = index + row * width;
    const int64_t e = first_bad(width - 1, [&](int64_t i) { return p[i + 1] < p[i]; });
    if (e < width - 1)
      fail<std::invalid_argument>(op, ": expected ", name, " in ascending order, but ", name, "[", e + 1,
                                  "] = ", p[e + 1], " follows ", p[e], "; sort it, or use scatter");
  }
}

constexpr size_t kPage = size_t{1} << 21;  // a large page

// Asks for large pages where a new tensor is large: half of the time of filling it can go to the faults of small ones.
// The first may begin before the tensor; to its neighbours that is a hint only.
inline Tensor in_large_pages(Tensor fresh) {
#ifdef __linux__
  const auto begin = reinterpret_cast<uintptr_t>(fresh.mutable_data_ptr());
  const uintptr_t first = begin / kPage * kPage;
  const uintptr_t last = (begin + fresh.numel() * fresh.element_size()) / kPage * kPage;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
  return fresh;
}

// Keeps some freed memory: the system clears every page that it hands out, which can take as long as a whole op.
class Pool {
 public:
  static Pool& shared() {
    static Pool* const pool = new Pool;  // outlives every thread
    return *pool;
  }

  // Returns memory in large pages and its size, at least `size`.
  std::pair<void*, size_t> take(size_t size) {
    size = (size + kPage - 1) / kPage * kPage;
    {
      const std::lock_guard lock(mutex_);
      const auto found = std::find_if(free_.begin(), free_.end(), [&](const auto& block) {
        return size <= block.second && block.second <= 2 * size;
      });
      if (found != free_.end()) {
        const auto block = *found;
        free_.erase(found);
        kept_ -= block.second;
        return block;
      }
    }
    void* const data = std::aligned_alloc(kPage, size);
    if (data == nullptr) throw std::bad_alloc();
#ifdef __linux__
    madvise(data, size, MADV_HUGEPAGE);
#endif
    return {data, size};
  }

  void give(std::pair<void*, size_t> block) {
    {
      const std::lock_guard lock(mutex_);
      if (kept_ + block.second <= kMost) {
        kept_ += block.second;
        free_.push_back(block);
        return;
      }
    }
    std::free(block.first);
  }

 private:
  static constexpr size_t kMost = size_t{64} << 20;

  std::mutex mutex_;
  std::vector<std::pair<void*, size_t>> free_;
  size_t kept_ = 0;
};

// Room for intermediate results; not initialised.
template <typename T>
class Room {
 public:
  explicit Room(int64_t count) {
    const size_t size = static_cast<size_t>(count) * sizeof(T);
    if (size > kPage / 4)
      block_ = Pool::shared().take(size);
    else
      small_.reset(new T[count]);
  }
  Room(Room&& other) : small_(std::move(other.small_)), block_(std::exchange(other.block_, {nullptr, 0})) {}
  Room& operator=(Room&& other) {
    std::swap(small_, other.small_), std::swap(block_, other.block_);
    return *this;
  }
  ~Room() {
    if (block_.first != nullptr) Pool::shared().give(block_);
  }
  T* get() const { return small_ ? small_.get() : static_cast<T*>(block_.first); }
  T& operator[](int64_t i) const { return get()[i]; }

 private:
  std::unique_ptr<T[]> small_;
  std::pair<void*, size_t> block_{nullptr, 0};
};

// Rows are gathered at random, which the processor cannot foresee; so they are announced this many edges ahead: the
// shorter the rows, the sooner their turn comes.
template <typename scalar_t>
int64_t rows_ahead(int64_t channels) {
  return std::clamp<int64_t>(1024 / std::max<int64_t>(1, channels * sizeof(scalar_t)), 8, 32);
}

// Always inline: GCC takes a function that does nothing else for one without effect, and leaves out its calls.
template <typename scalar_t>
inline __attribute__((always_inline)) void prefetch_row(const scalar_t* row, int64_t channels) {
  const auto* bytes = reinterpret_cast<const char*>(row);
  const int64_t size = std::min<int64_t>(channels * sizeof(scalar_t), 256);  // the hardware follows longer rows itself
  for (int64_t line = 0; line < size; line += 64) __builtin_prefetch(bytes + line);
}

}  // namespace geoops
