// W numbers side by side, as a vector of the compiler. Loops over a short, known number of lanes are unrolled before
// the compiler looks for vectors in them, and with a comparison inside it then finds none.
#pragma once

#include "../dispatch.h"
#include "lanes.h"

#include <cstring>

namespace geoops {

template <typename T, int W>
struct PackOf {
  typedef T type __attribute__((vector_size(W * sizeof(T))));
};
template <typename T>
struct PackOf<T, 1> {
  using type = T;
};
template <typename T, int W>
using Pack = typename PackOf<T, W>::type;

// The type in which 8 and 16 bits are held, which registers do not compare or round by themselves.
template <typename scalar_t>
using wide_t =
    std::conditional_t<is_half<scalar_t>, float, std::conditional_t<(sizeof(scalar_t) < 4), int32_t, scalar_t>>;

inline ScalarType wide_type(ScalarType type) {
  switch (type) {
    case ScalarType::BFloat16:
    case ScalarType::Half:
      return ScalarType::Float;
    case ScalarType::Byte:
    case ScalarType::Char:
    case ScalarType::Short:
      return ScalarType::Int;
    default:
      return type;
  }
}

template <typename to_t, int W, typename from_t>
GEOOPS_INLINE Pack<to_t, W> load_as(const from_t* from) {
  Pack<to_t, W> x;
  if constexpr (std::is_same_v<to_t, from_t>) {
    std::memcpy(&x, from, sizeof(x));
  } else if constexpr (W == 1) {
    x = static_cast<to_t>(*from);
  } else {
    for (int l = 0; l < W; ++l) x[l] = static_cast<to_t>(from[l]);
  }
  return x;
}

template <int W, typename to_t, typename from_t>
GEOOPS_INLINE void store_as(to_t* to, const from_t& x) {
  if constexpr (W == 1) {
    *to = static_cast<to_t>(x);
  } else if constexpr (std::is_same_v<to_t, std::remove_cvref_t<decltype(x[0])>>) {
    std::memcpy(to, &x, sizeof(x));
  } else {
    for (int l = 0; l < W; ++l) to[l] = static_cast<to_t>(x[l]);
  }
}

template <typename T, int W>
GEOOPS_INLINE Pack<T, W> pack_of(T value) {
  return Pack<T, W>{} + value;
}

// Calls use.operator()<W>(c) for blocks of W channels that cover [0, inner), the widest first: loops of a known length
// become straight vector code.
template <int widest = 16, typename Use>
GEOOPS_INLINE void for_channels(int64_t inner, const Use& use) {
  int64_t c = 0;
  if constexpr (widest > 16)
    for (; c + widest <= inner; c += widest) use.template operator()<widest>(c);
  if constexpr (widest >= 16)
    for (; c + 16 <= inner; c += 16) use.template operator()<16>(c);
  if constexpr (widest >= 8)
    for (; c + 8 <= inner; c += 8) use.template operator()<8>(c);
  if constexpr (widest >= 4)
    for (; c + 4 <= inner; c += 4) use.template operator()<4>(c);
  for (; c < inner; ++c) use.template operator()<1>(c);
}

// Calls body.operator()<width>(), where width is the number of channels if loops are to know it, else 0: short rows are
// over before a loop has found out how long they are.
template <typename Body>
GEOOPS_INLINE void with_width(int64_t inner, const Body& body) {
  inner == 8 ? body.template operator()<8>() : body.template operator()<0>();
}

}  // namespace geoops
