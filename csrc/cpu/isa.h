// One body of code, compiled for several instruction sets, of which the widest that the processor has is run.
#pragma once

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define GEOOPS_X86 1
#endif

namespace geoops {

#ifdef GEOOPS_X86

// "flatten" compiles everything that the body calls into the function itself, and so with its instruction set.
template <typename Body>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512cd,avx2,fma,bmi,bmi2,lzcnt,popcnt,"
                      "prefer-vector-width=512"),
               flatten, noinline)) void
run_avx512(const Body& body) {
  body();
}

template <typename Body>
__attribute__((target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), flatten, noinline)) void run_avx2(const Body& body) {
  body();
}

enum class Isa { kBaseline, kAvx2, kAvx512 };

inline Isa widest() {
  static const Isa isa = [] {
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !__builtin_cpu_supports("bmi2"))
      return Isa::kBaseline;
    const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return wide ? Isa::kAvx512 : Isa::kAvx2;
  }();
  return isa;
}

// Runs body(), a lambda without arguments that holds a whole loop: the call itself cannot be inlined.
template <typename Body>
void vectorised(const Body& body) {
  switch (widest()) {
    case Isa::kAvx512:
      return run_avx512(body);
    case Isa::kAvx2:
      return run_avx2(body);
    default:
      return body();
  }
}

#else

template <typename Body>
void vectorised(const Body& body) {
  body();
}

#endif

}  // namespace geoops
