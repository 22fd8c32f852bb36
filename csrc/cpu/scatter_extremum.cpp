// Minimum or maximum of x[o, e, :] over the entries e with index[e] = i, and where it is: the first of equals.
#include "../reductions.h"
#include "blocks.h"
#include "chunks.h"
#include "line.h"
#include "order.h"

#include <tuple>

namespace geoops {
namespace {

// Of each target the values so far, and beside them where they are: one line of the cache serves both. Values are held
// in held_t and positions in an integer as wide, so that a vector register holds as many of both.
template <typename held_t, typename arg_t>
struct Best {
  Room<held_t> rows;  // (targets, 2, inner)
  int64_t inner;

  Best(int64_t targets, int64_t channels) : rows(targets * 2 * channels), inner(channels) {
    static_assert(sizeof(held_t) == sizeof(arg_t));
  }
  held_t* held(int64_t target) const { return rows.get() + target * 2 * inner; }
  arg_t* arg(int64_t target) const { return reinterpret_cast<arg_t*>(held(target) + inner); }
};

template <bool largest, int width, typename scalar_t, typename held_t, typename arg_t>
GEOOPS_INLINE void update_rows(const Listed& some, const scalar_t* x, const Best<held_t, arg_t>& best, int64_t first,
                               arg_t edges) {
  const int64_t inner = width > 0 ? width : best.inner, ahead = rows_ahead<held_t>(2 * inner);
  for (int64_t k = 0; k < some.count; ++k) {
    if (k + ahead < some.count) {
      prefetch_row(x + some.edge[k + ahead] * inner, inner);
      prefetch_row(best.held(first + some.target[k + ahead]), 2 * inner);
    }
    const auto e = static_cast<arg_t>(some.edge[k]);
    const scalar_t* row = x + some.edge[k] * inner;
    held_t* held = best.held(first + some.target[k]);
    arg_t* at = best.arg(first + some.target[k]);
    for_channels<kRegister / sizeof(held_t)>(inner, [&]<int W>(int64_t c) {
      const auto value = load_as<held_t, W>(row + c), old = load_as<held_t, W>(held + c);
      const auto position = load_as<arg_t, W>(at + c);
      const auto here = pack_of<arg_t, W>(e), none = pack_of<arg_t, W>(edges);
      store_as<W>(held + c, position == none ? value : if_better<largest>(value, old, value, old));
      store_as<W>(at + c, position == none ? here : if_better<largest>(value, old, here, position));
    });
  }
}

struct Problem {
  const char* op;
  const Tensor &x, &index;
  int64_t outer, edges, inner, n;
  bool largest, check;
};

template <typename scalar_t>
void by_lists(const Problem& p, const Tensor& out, const Tensor& arg) {
  using held_t = wide_t<scalar_t>;
  using arg_t = int_as<held_t>;
  const auto* px = p.x.const_data_ptr<scalar_t>();
  auto* po = out.mutable_data_ptr<scalar_t>();
  auto* const pa = arg.mutable_data_ptr<int64_t>();
  const int64_t edges = p.edges, inner = p.inner, n = p.n;
  const Best<held_t, arg_t> best(p.outer * n, inner);
  for_ranges(p.outer * n, inner, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::fill_n(best.held(i), inner, held_t(0));
      std::fill_n(best.arg(i), inner, static_cast<arg_t>(edges));
    }
  });
  const auto walk = [&]<bool max>() {
    for_targets(p.op, "index", p.index, n, p.outer, 2 * inner, p.check,
                [&](int64_t first, int64_t last, const Listed& some) {
                  with_width(inner, [&]<int width>() {
                    for (int64_t o = first; o < last; ++o)
                      update_rows<max, width>(some, px + o * edges * inner, best, o * n, static_cast<arg_t>(edges));
                  });
                });
  };
  p.largest ? walk.template operator()<true>() : walk.template operator()<false>();
  for_ranges(p.outer * n, 2 * inner, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      for (int64_t c = 0; c < inner; ++c) {
        po[i * inner + c] = static_cast<scalar_t>(best.held(i)[c]);
        pa[i * inner + c] = best.arg(i)[c];
      }
  });
}

// Wide rows: those of a target are read together, and the results written once.
template <typename scalar_t>
void by_order(const Problem& p, const Tensor& out, const Tensor& arg) {
  const Order order = order_entries(p.op, "index", p.index, p.n, p.check);
  const auto* px = p.x.const_data_ptr<scalar_t>();
  auto* po = out.mutable_data_ptr<scalar_t>();
  auto* const pa = arg.mutable_data_ptr<int64_t>();
  const int64_t *ptr = order.ptr.get(), *entry = order.entry.get();
  const int64_t edges = p.edges, inner = p.inner, n = p.n;
  const auto walk = [&]<bool max>() {
    for_ordered(order, p.outer, 2 * inner, [&](int64_t o, int64_t begin, int64_t end) {
      const scalar_t* rows = px + o * edges * inner;
      for (int64_t i = begin; i < end; ++i) {
        order.prefetch(rows, ptr[i], ptr[i + 1], ptr[end], inner);
        extremum_rows<max>([&](int64_t k) { return rows + entry[k] * inner; }, [&](int64_t k) { return entry[k]; },
                           ptr[i], ptr[i + 1], po + (o * n + i) * inner, pa + (o * n + i) * inner, inner, edges);
      }
    });
  };
  p.largest ? walk.template operator()<true>() : walk.template operator()<false>();
}

// One channel in 32 bits: the rank of a value above its position, counted from the end, is one number; the largest of
// a target's tells both.
template <typename scalar_t>
bool by_keys(const Problem& p, int64_t chunks, const Tensor& out, const Tensor& arg) {
  constexpr int64_t kNone = std::numeric_limits<int64_t>::min(), kBlock = 1024;
  const int64_t edges = p.edges, n = p.n;
  const auto* px = p.x.const_data_ptr<scalar_t>();
  auto* po = out.mutable_data_ptr<scalar_t>();
  auto* const pa = arg.mutable_data_ptr<int64_t>();
  const auto keys = chunk_targets<int64_t>(p.outer, chunks, n, kNone);
  std::atomic<bool> complete{true};
  const auto walk = [&]<bool max, typename index_t>() {
    const auto* index = p.index.const_data_ptr<index_t>();
    for_chunks(keys.get(), p.outer, chunks, edges, n, [&](int64_t o, int64_t* best, int64_t begin, int64_t end) {
      int64_t key[kBlock];
      bool all = true;
      for (int64_t start = begin; start < end; start += kBlock) {
        const int64_t count = std::min(kBlock, end - start);
        const scalar_t* x = px + o * edges + start;
        for (int64_t k = 0; k < count; ++k) {
          const auto rank = static_cast<int64_t>(rank_of<max, wide_t<scalar_t>, 1>(x[k]));
          key[k] = (rank << 32) | (0xffffffff - (start + k));
        }
        for (int64_t k = 0; k < count; ++k) {
          const auto i = static_cast<uint64_t>(static_cast<int64_t>(index[start + k]));
          if (i < static_cast<uint64_t>(n))
            best[i] = std::max(best[i], key[k]);
          else
            all = false;
        }
      }
      if (!all) complete = false;
    });
  };
  dispatch_index(p.op, p.index.scalar_type(), [&]<typename index_t>() {
    p.largest ? walk.template operator()<true, index_t>() : walk.template operator()<false, index_t>();
  });
  const auto finish = [&]<bool max>() {
    join_chunks(
        keys.get(), p.outer, chunks, n, [](int64_t a, int64_t b) { return std::max(a, b); },
        [&](int64_t i, int64_t key) {
          const int64_t e = key == kNone ? edges : 0xffffffff - (key & 0xffffffff);
          const auto value = value_of<max, wide_t<scalar_t>>(static_cast<int32_t>(key >> 32));
          pa[i] = e;
          if (value < 0 || value > 0)
            po[i] = e < edges ? static_cast<scalar_t>(value) : static_cast<scalar_t>(0);
          else  // the sign of a zero, or which NaN it is, is read where it lies, which takes longer
            po[i] = e < edges ? px[i / n * edges + e] : static_cast<scalar_t>(0);
        });
  };
  p.largest ? finish.template operator()<true>() : finish.template operator()<false>();
  return complete;
}

std::tuple<Tensor, Tensor> scatter_extremum(const Tensor& x_, const Tensor& index_, int64_t n, bool largest,
                                            bool check) {
  const char* op = "scatter_extremum";
  check_scatter(op, x_, index_, n);
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const Problem p{op, x, index, x.size(0), x.size(1), x.size(2), n, largest, check};
  Tensor out = in_large_pages(torch::stable::new_empty(x, {p.outer, n, p.inner}));
  Tensor arg = in_large_pages(torch::stable::new_empty(x, {p.outer, n, p.inner}, ScalarType::Long));
  dispatch_numbers(op, x.scalar_type(), [&]<typename scalar_t>() {
    constexpr bool small = sizeof(wide_t<scalar_t>) == 4;
    if (p.inner >= kOrdered || (small && p.edges >= std::numeric_limits<int32_t>::max()))
      return by_order<scalar_t>(p, out, arg);
    if constexpr (small)
      if (const int64_t chunks = chunks_for(p.outer, p.edges, n); p.inner == 1 && chunks > 0) {
        // However many chunks there are, the result is the same.
        const int64_t copies = std::min(chunks, std::max<int64_t>(1, torch::stable::get_num_threads()));
        if (!by_keys<scalar_t>(p, copies, out, arg) && check) check_all(op, "index", index, n);
        return;
      }
    by_lists<scalar_t>(p, out, arg);
  });
  return {out, arg};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("scatter_extremum", TORCH_BOX(&scatter_extremum)); }

}  // namespace
}  // namespace geoops
