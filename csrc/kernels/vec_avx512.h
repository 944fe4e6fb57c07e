#pragma once
// The vector vocabulary on AVX-512 (F, BW, DQ, VL). vec_baseline.h says what each word means.
#include <stdint.h>

#include "kernels/vec_common.h"
#include "kernels/x86_intrinsics.h"

namespace striate::avx512 {
namespace {

typedef __m512 V;
typedef __mmask16 Cond;
typedef __mmask16 Tail;
constexpr int kWidth = 16;
constexpr int kTileRegisters = 32;

inline V zero() { return _mm512_setzero_ps(); }
inline V splat(float f) { return _mm512_set1_ps(f); }
inline V load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, V v) { _mm512_storeu_ps(p, v); }
STRIATE_INLINE V once(V v) {
  asm("" : "+v"(v));
  return v;
}
inline Tail tail(int n) { return static_cast<Tail>((1u << n) - 1u); }
inline V load_tail(const float* p, Tail t) { return _mm512_maskz_loadu_ps(t, p); }
inline void store_tail(float* p, V v, Tail t) { _mm512_mask_storeu_ps(p, t, v); }

inline V fma(V a, V b, V c) { return _mm512_fmadd_ps(a, b, c); }
inline V fnma(V a, V b, V c) { return _mm512_fnmadd_ps(a, b, c); }
inline V max(V a, V b) { return _mm512_max_ps(a, b); }
inline V min(V a, V b) { return _mm512_min_ps(a, b); }
inline V sqrt(V v) { return _mm512_sqrt_ps(v); }
inline Cond gt(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
inline Cond eq(V a, V b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
inline V select(Cond c, V yes, V no) { return _mm512_mask_blend_ps(c, no, yes); }
inline V abs(V v) { return _mm512_andnot_ps(splat(-0.0f), v); }
inline V copysign(V magnitude, V sign) {
  const V bit = splat(-0.0f);
  return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
}
inline V round(V v) { return _mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT); }
inline V pow2(V n) {
  const __m512i i = _mm512_cvtps_epi32(n);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(i, _mm512_set1_epi32(127)), 23));
}
inline V exponent(V v) {
  const __m512i biased = _mm512_srli_epi32(_mm512_castps_si512(v), 23);
  return _mm512_cvtepi32_ps(_mm512_sub_epi32(biased, _mm512_set1_epi32(127)));
}
inline V mantissa(V v) {
  const V bits = _mm512_castsi512_ps(_mm512_set1_epi32(0x007fffff));
  return _mm512_or_ps(_mm512_and_ps(v, bits), splat(1.0f));
}
inline V load_bytes(const uint8_t* p) {
  const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(b));
}

// Sums of neighbouring lanes stay within 128 bits until the end, so four sums cost 13 instructions.
inline __m128 fold(V v) {
  const __m256 h = _mm512_castps512_ps256(v) + _mm512_extractf32x8_ps(v, 1);
  return _mm256_castps256_ps128(h) + _mm256_extractf128_ps(h, 1);
}
inline void hsum4(V a, V b, V c, V d, float* out) {
  const V ab = _mm512_unpacklo_ps(a, b) + _mm512_unpackhi_ps(a, b);
  const V cd = _mm512_unpacklo_ps(c, d) + _mm512_unpackhi_ps(c, d);
  _mm_storeu_ps(out, fold(_mm512_shuffle_ps(ab, cd, 0x44) + _mm512_shuffle_ps(ab, cd, 0xee)));
}
inline float hsum(V v) {
  __m128 q = fold(v);
  q = q + _mm_movehl_ps(q, q);
  return _mm_cvtss_f32(_mm_add_ss(q, _mm_shuffle_ps(q, q, 1)));
}
inline float hmax(V v) {
  const __m256 h = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
  __m128 q = _mm_max_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
  q = _mm_max_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_max_ss(q, _mm_shuffle_ps(q, q, 1)));
}

// Four rows of four lanes within each 128-bit quarter.
STRIATE_INLINE void transpose_quarters(V* v) {
  const V a = _mm512_unpacklo_ps(v[0], v[1]), b = _mm512_unpackhi_ps(v[0], v[1]);
  const V c = _mm512_unpacklo_ps(v[2], v[3]), d = _mm512_unpackhi_ps(v[2], v[3]);
  v[0] = _mm512_shuffle_ps(a, c, 0x44);
  v[1] = _mm512_shuffle_ps(a, c, 0xee);
  v[2] = _mm512_shuffle_ps(b, d, 0x44);
  v[3] = _mm512_shuffle_ps(b, d, 0xee);
}
STRIATE_INLINE void transpose(V (&v)[kWidth]) {
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) transpose_quarters(v + i);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const V a = _mm512_shuffle_f32x4(v[i], v[i + 4], 0x88);
    const V b = _mm512_shuffle_f32x4(v[i], v[i + 4], 0xdd);
    const V c = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0x88);
    const V d = _mm512_shuffle_f32x4(v[i + 8], v[i + 12], 0xdd);
    v[i] = _mm512_shuffle_f32x4(a, c, 0x88);
    v[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
    v[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
    v[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
  }
}

}  // namespace
}  // namespace striate::avx512
