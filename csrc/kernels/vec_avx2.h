#pragma once
// The vector vocabulary on AVX2 with FMA. vec_baseline.h says what each word means.
#include <stdint.h>

#include "kernels/vec_common.h"
#include "kernels/x86_intrinsics.h"

namespace striate::avx2 {
namespace {

typedef __m256 V;
typedef __m256 Cond;
struct Tail {
  __m256i mask;
  int n;
};
constexpr int kWidth = 8;
// Of 16: a 3 x 4 tile would need them all, and GCC 12 spills.
constexpr int kTileRegisters = 16;

inline V zero() { return _mm256_setzero_ps(); }
inline V splat(float f) { return _mm256_set1_ps(f); }
inline V load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, V v) { _mm256_storeu_ps(p, v); }
STRIATE_INLINE V once(V v) {
  asm("" : "+x"(v));
  return v;
}
inline Tail tail(int n) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return {_mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane), n};
}
inline V load_tail(const float* p, const Tail& t) { return _mm256_maskload_ps(p, t.mask); }
// Zen's vmaskmovps to memory takes dozens of cycles; up to three plain stores take as many.
inline void store_tail(float* p, V v, const Tail& t) {
  if (t.n == kWidth) return store(p, v);
  __m128 q = _mm256_castps256_ps128(v);
  if (t.n & 4) {
    _mm_storeu_ps(p, q);
    q = _mm256_extractf128_ps(v, 1);
    p += 4;
  }
  if (t.n & 2) {
    _mm_storel_pi(reinterpret_cast<__m64*>(p), q);
    q = _mm_movehl_ps(q, q);
    p += 2;
  }
  if (t.n & 1) _mm_store_ss(p, q);
}

inline V fma(V a, V b, V c) { return _mm256_fmadd_ps(a, b, c); }
inline V fnma(V a, V b, V c) { return _mm256_fnmadd_ps(a, b, c); }
inline V max(V a, V b) { return _mm256_max_ps(a, b); }
inline V min(V a, V b) { return _mm256_min_ps(a, b); }
inline V sqrt(V v) { return _mm256_sqrt_ps(v); }
inline Cond gt(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
inline Cond eq(V a, V b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
inline V select(Cond c, V yes, V no) { return _mm256_blendv_ps(no, yes, c); }
inline V abs(V v) { return _mm256_andnot_ps(splat(-0.0f), v); }
inline V copysign(V magnitude, V sign) {
  const V bit = splat(-0.0f);
  return _mm256_or_ps(_mm256_andnot_ps(bit, magnitude), _mm256_and_ps(bit, sign));
}
inline V round(V v) { return _mm256_round_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
inline V pow2(V n) {
  const __m256i i = _mm256_cvtps_epi32(n);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(i, _mm256_set1_epi32(127)), 23));
}
inline V exponent(V v) {
  const __m256i biased = _mm256_srli_epi32(_mm256_castps_si256(v), 23);
  return _mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(127)));
}
inline V mantissa(V v) {
  const V bits = _mm256_castsi256_ps(_mm256_set1_epi32(0x007fffff));
  return _mm256_or_ps(_mm256_and_ps(v, bits), splat(1.0f));
}
inline V load_bytes(const uint8_t* p) {
  const __m128i b = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(b));
}

inline __m128 fold(V v) { return _mm256_castps256_ps128(v) + _mm256_extractf128_ps(v, 1); }
inline void hsum4(V a, V b, V c, V d, float* out) {
  const V ab = _mm256_unpacklo_ps(a, b) + _mm256_unpackhi_ps(a, b);
  const V cd = _mm256_unpacklo_ps(c, d) + _mm256_unpackhi_ps(c, d);
  _mm_storeu_ps(out, fold(_mm256_shuffle_ps(ab, cd, 0x44) + _mm256_shuffle_ps(ab, cd, 0xee)));
}
inline float hsum(V v) {
  __m128 q = fold(v);
  q = q + _mm_movehl_ps(q, q);
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
inline float hmax(V v) {
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}

// Four rows of four lanes within each 128-bit half.
STRIATE_INLINE void transpose_halves(V* v) {
  const V a = _mm256_unpacklo_ps(v[0], v[1]), b = _mm256_unpackhi_ps(v[0], v[1]);
  const V c = _mm256_unpacklo_ps(v[2], v[3]), d = _mm256_unpackhi_ps(v[2], v[3]);
  v[0] = _mm256_shuffle_ps(a, c, 0x44);
  v[1] = _mm256_shuffle_ps(a, c, 0xee);
  v[2] = _mm256_shuffle_ps(b, d, 0x44);
  v[3] = _mm256_shuffle_ps(b, d, 0xee);
}
STRIATE_INLINE void transpose(V (&v)[kWidth]) {
  transpose_halves(v);
  transpose_halves(v + 4);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const V a = v[i], b = v[i + 4];
    v[i] = _mm256_permute2f128_ps(a, b, 0x20);
    v[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
  }
}

}  // namespace
}  // namespace striate::avx2
