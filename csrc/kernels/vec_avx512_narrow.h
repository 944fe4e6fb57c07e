#pragma once
// What conv_channels asks of the vocabulary, on 256-bit vectors with AVX-512VL's 32 registers and
// masks. vec_baseline.h says what each word means.
#include <stdint.h>

#include "kernels/vec_common.h"
#include "kernels/x86_intrinsics.h"

namespace striate::avx512_narrow {
namespace {

typedef __m256 V;
typedef __mmask8 Tail;
constexpr int kWidth = 8;
constexpr int kTileRegisters = 32;

inline V zero() { return _mm256_setzero_ps(); }
inline V splat(float f) { return _mm256_set1_ps(f); }
inline V load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, V v) { _mm256_storeu_ps(p, v); }
STRIATE_INLINE V once(V v) {
  asm("" : "+v"(v));
  return v;
}
inline Tail tail(int n) { return static_cast<Tail>((1u << n) - 1u); }
inline V load_tail(const float* p, Tail t) { return _mm256_maskz_loadu_ps(t, p); }
inline void store_tail(float* p, V v, Tail t) { _mm256_mask_storeu_ps(p, t, v); }
inline V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
inline V max(V a, V b) { return _mm256_max_ps(a, b); }

}  // namespace
}  // namespace striate::avx512_narrow
