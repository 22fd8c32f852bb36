// The rows that belong to one target, reduced W channels at a time in registers. `row(k)` is where row k begins.
#pragma once

#include "../extremum.h"
#include "pack.h"

namespace geoops {

// out = sum or product of the rows [first, last). Packs of one register each: of an array GCC takes two rows at a time,
// and then adds number by number.
template <typename Reduce, int W, typename scalar_t, typename Row>
GEOOPS_INLINE void reduce_block(const Row& row, int64_t first, int64_t last, scalar_t* out) {
  using acc_t = wide_t<scalar_t>;
  constexpr int V = std::min<int>(W, kRegister / sizeof(acc_t)), R = W / V;
  Pack<acc_t, V> kept[R];
  for (int r = 0; r < R; ++r) kept[r] = pack_of<acc_t, V>(static_cast<acc_t>(Reduce::start));
  for (int64_t k = first; k < last; ++k)
    for (int r = 0; r < R; ++r) kept[r] = Reduce::of(kept[r], load_as<acc_t, V>(row(k) + r * V));
  for (int r = 0; r < R; ++r) store_as<V>(out + r * V, kept[r]);
}

// out = minimum or maximum of the rows [first, last), which are not empty, and arg = place(k) of the first row k that
// has it. One sweep for the value and one for the row cost less than one for both, since the second finds the rows in
// the cache; a NaN, and an infinity for simplicity, makes the block do it in one.
template <bool largest, int W, typename arg_t, typename scalar_t, typename Row, typename Place>
GEOOPS_INLINE void extremum_block(const Row& row, const Place& place, int64_t first, int64_t last, scalar_t* out,
                                  int64_t* arg) {
  using held_t = wide_t<scalar_t>;
  constexpr int V = std::min<int>(W, kRegister / sizeof(held_t)), R = W / V;
  Pack<held_t, V> held[R], poison[R];
  Pack<arg_t, V> at[R];
  for (int r = 0; r < R; ++r) held[r] = load_as<held_t, V>(row(first) + r * V), poison[r] = held[r] * held_t(0);
  for (int64_t k = first + 1; k < last; ++k)
    for (int r = 0; r < R; ++r) {
      const auto value = load_as<held_t, V>(row(k) + r * V);
      held[r] = largest ? (value > held[r] ? value : held[r]) : (value < held[r] ? value : held[r]);
      if constexpr (std::is_floating_point_v<held_t>) poison[r] = poison[r] + value * held_t(0);
    }
  bool finite = true;
  if constexpr (std::is_floating_point_v<held_t>) {
    Pack<held_t, V> all = poison[0];
    for (int r = 1; r < R; ++r) all = all + poison[r];
    held_t total = 0;
    if constexpr (V == 1) {
      total = all;
    } else {
      for (int l = 0; l < V; ++l) total += all[l];
    }
    finite = total == 0;
  }
  if (finite) {
    for (int r = 0; r < R; ++r) at[r] = pack_of<arg_t, V>(0);
    for (int64_t k = last - 1; k > first; --k)
      for (int r = 0; r < R; ++r) {
        const auto value = load_as<held_t, V>(row(k) + r * V);
        at[r] = value == held[r] ? pack_of<arg_t, V>(static_cast<arg_t>(k - first)) : at[r];
      }
    for (int r = 0; r < R; ++r) {
      const auto value = load_as<held_t, V>(row(first) + r * V);
      at[r] = value == held[r] ? pack_of<arg_t, V>(0) : at[r];
    }
  } else {
    for (int r = 0; r < R; ++r) held[r] = load_as<held_t, V>(row(first) + r * V), at[r] = pack_of<arg_t, V>(0);
    for (int64_t k = first + 1; k < last; ++k)
      for (int r = 0; r < R; ++r) {
        const auto value = load_as<held_t, V>(row(k) + r * V);
        at[r] = if_better<largest>(value, held[r], pack_of<arg_t, V>(static_cast<arg_t>(k - first)), at[r]);
        held[r] = if_better<largest>(value, held[r], value, held[r]);
      }
  }
  for (int r = 0; r < R; ++r) {
    store_as<V>(out + r * V, held[r]);
    if constexpr (V == 1) {
      arg[r] = place(first + at[r]);
    } else {
      for (int l = 0; l < V; ++l) arg[r * V + l] = place(first + at[r][l]);
    }
  }
}

// The same for all channels; without rows the value is 0 and the position `none`.
template <bool largest, typename scalar_t, typename Row, typename Place>
void extremum_rows(const Row& row, const Place& place, int64_t first, int64_t last, scalar_t* out, int64_t* arg,
                   int64_t inner, int64_t none) {
  if (first == last) {
    for (int64_t c = 0; c < inner; ++c) out[c] = static_cast<scalar_t>(0), arg[c] = none;
    return;
  }
  const auto block = [&]<int W, typename arg_t>(int64_t c) {
    extremum_block<largest, W, arg_t>([&](int64_t k) { return row(k) + c; }, place, first, last, out + c, arg + c);
  };
  using arg_t = std::conditional_t<sizeof(wide_t<scalar_t>) == 4, int32_t, int64_t>;  // counted from `first`
  if (last - first > std::numeric_limits<int32_t>::max())
    for (int64_t c = 0; c < inner; ++c) block.template operator()<1, int64_t>(c);
  else
    for_channels<64>(inner, [&]<int W>(int64_t c) { block.template operator()<W, arg_t>(c); });
}

}  // namespace geoops
