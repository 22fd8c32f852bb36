// Minimum or maximum of x[o, e, :] over the entries e with index[e] = i, and where it is: the first of equals.
#include "../extremum.h"
#include "../reductions.h"
#include "pack.h"
#include "targets.h"

#include <tuple>

namespace geoops {
namespace {

// Values are held in held_t and positions in an integer as wide, so that a vector register holds as many of both.
template <bool largest, int widest, typename scalar_t, typename held_t, typename arg_t>
GEOOPS_INLINE void update_rows(const Listed& some, const scalar_t* x, held_t* out, arg_t* arg, int64_t inner,
                               arg_t edges) {
  for (int64_t k = 0; k < some.count; ++k) {
    if (inner > 1 && k + kPrefetch < some.count) {
      prefetch_row(x + some.edge[k + kPrefetch] * inner, inner);
      prefetch_row(out + some.target[k + kPrefetch] * inner, inner);
      prefetch_row(arg + some.target[k + kPrefetch] * inner, inner);
    }
    const auto e = static_cast<arg_t>(some.edge[k]);
    const scalar_t* row = x + some.edge[k] * inner;
    held_t* held = out + some.target[k] * inner;
    arg_t* at = arg + some.target[k] * inner;
    for_channels<widest>(inner, [&]<int W>(int64_t c) {
      const auto value = load_as<held_t, W>(row + c), old = load_as<held_t, W>(held + c);
      const auto position = load_as<arg_t, W>(at + c);
      const auto here = pack_of<arg_t, W>(e), none = pack_of<arg_t, W>(edges);
      store_as<W>(held + c, position == none ? value : if_better<largest>(value, old, value, old));
      store_as<W>(at + c, position == none ? here : if_better<largest>(value, old, here, position));
    });
  }
}

template <typename arg_t, typename scalar_t>
void reduce(const Tensor& x, const Tensor& index, const Tensor& out, const Tensor& arg, bool largest, bool check) {
  using held_t = wide_t<scalar_t>;
  constexpr int widest = sizeof(arg_t) == sizeof(held_t) ? 16 : 1;
  const char* op = "scatter_extremum";
  const int64_t outer = x.size(0), edges = x.size(1), inner = x.size(2), n = out.size(1);
  const auto* px = x.const_data_ptr<scalar_t>();
  auto* po = out.mutable_data_ptr<held_t>();
  auto* const pa = arg.mutable_data_ptr<arg_t>();
  const auto walk = [&]<bool max>() {
    for_targets(op, "index", index, n, outer, 2 * inner, check, [&](int64_t first, int64_t last, const Listed& some) {
      for (int64_t o = first; o < last; ++o)
        update_rows<max, widest>(some, px + o * edges * inner, po + o * n * inner, pa + o * n * inner, inner,
                                 static_cast<arg_t>(edges));
    });
  };
  largest ? walk.template operator()<true>() : walk.template operator()<false>();
}

std::tuple<Tensor, Tensor> scatter_extremum(const Tensor& x_, const Tensor& index_, int64_t n, bool largest,
                                            bool check) {
  const char* op = "scatter_extremum";
  check_scatter(op, x_, index_, n);
  const Tensor x = torch::stable::contiguous(x_), index = torch::stable::contiguous(index_);
  const int64_t edges = x.size(1);
  const ScalarType type = x.scalar_type(), wide = wide_type(type);
  Tensor out = torch::stable::new_zeros(x, {x.size(0), n, x.size(2)}, wide), arg;
  dispatch_numbers(op, type, [&]<typename scalar_t>() {
    const bool narrow = sizeof(wide_t<scalar_t>) == 4 && edges < std::numeric_limits<int32_t>::max();
    arg = torch::stable::new_empty(x, {x.size(0), n, x.size(2)}, narrow ? ScalarType::Int : ScalarType::Long);
    torch::stable::fill_(arg, static_cast<double>(edges));
    narrow ? reduce<int32_t, scalar_t>(x, index, out, arg, largest, check)
           : reduce<int64_t, scalar_t>(x, index, out, arg, largest, check);
    if (narrow) arg = torch::stable::to(arg, ScalarType::Long);
  });
  return {wide == type ? out : torch::stable::to(out, type), arg};
}

STABLE_TORCH_LIBRARY_IMPL(geoops, CPU, m) { m.impl("scatter_extremum", TORCH_BOX(&scatter_extremum)); }

}  // namespace
}  // namespace geoops
