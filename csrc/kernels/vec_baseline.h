#pragma once
// The vector vocabulary on SSE2, which every x86-64 has; and what its words mean on every ISA:
//   V, kWidth       a register and its floats; + - * / are the compiler's vector operators
//   kTileRegisters  registers that a tile may fill: accumulators, held operands and one streamed
//   Tail, tail(n)   the first n lanes, 1 <= n <= kWidth; load_tail gives 0 in the others
//   once(v)         v in a register: GCC 12 would rather load it again in each multiply-add, which
//                   held the weight gradient of LeNet-5's first layer to 84 % of the limit, not 98
//   max, min        where a comparison with NaN decides, the second operand is returned
//   fma, fnma       a*b + c and c - a*b, rounded once where the ISA has FMA
//   Cond, select    a comparison's result; select(c, yes, no)
//   round           to the nearest integer, ties to even, for |x| < 2^31
//   pow2(n)         2^n for integral -126 <= n <= 127
//   exponent,       of a positive normal v = mantissa * 2^exponent, 1 <= mantissa < 2
//   mantissa
//   hsum, hsum4     the sum of the lanes of one or of four vectors, in a fixed tree
//   transpose       kWidth vectors as a square matrix
#include <emmintrin.h>
#include <stdint.h>

#include "kernels/vec_common.h"

namespace striate::baseline {
namespace {

typedef __m128 V;
typedef __m128 Cond;
typedef int Tail;
constexpr int kWidth = 4;
constexpr int kTileRegisters = 15;  // of 16: a product needs a register before it is added

inline V zero() { return _mm_setzero_ps(); }
inline V splat(float f) { return _mm_set1_ps(f); }
inline V load(const float* p) { return _mm_loadu_ps(p); }
inline void store(float* p, V v) { _mm_storeu_ps(p, v); }
STRIATE_INLINE V once(V v) {
  asm("" : "+x"(v));
  return v;
}
inline Tail tail(int n) { return n; }
inline V load_tail(const float* p, Tail t) {
  if (t == kWidth) return load(p);
  V low = zero();
  if (t == 1) return _mm_load_ss(p);
  low = _mm_loadl_pi(low, reinterpret_cast<const __m64*>(p));
  return t == 2 ? low : _mm_movelh_ps(low, _mm_load_ss(p + 2));
}
inline void store_tail(float* p, V v, Tail t) {
  if (t == kWidth) return store(p, v);
  if (t == 1) return _mm_store_ss(p, v);
  _mm_storel_pi(reinterpret_cast<__m64*>(p), v);
  if (t == 3) _mm_store_ss(p + 2, _mm_movehl_ps(v, v));
}

inline V fma(V a, V b, V c) { return a * b + c; }
inline V fnma(V a, V b, V c) { return c - a * b; }
inline V max(V a, V b) { return _mm_max_ps(a, b); }
inline V min(V a, V b) { return _mm_min_ps(a, b); }
inline V sqrt(V v) { return _mm_sqrt_ps(v); }
inline Cond gt(V a, V b) { return _mm_cmpgt_ps(a, b); }
inline Cond eq(V a, V b) { return _mm_cmpeq_ps(a, b); }
inline V select(Cond c, V yes, V no) { return _mm_or_ps(_mm_and_ps(c, yes), _mm_andnot_ps(c, no)); }
inline V abs(V v) { return _mm_andnot_ps(splat(-0.0f), v); }
inline V copysign(V magnitude, V sign) { return select(splat(-0.0f), sign, magnitude); }
inline V round(V v) { return _mm_cvtepi32_ps(_mm_cvtps_epi32(v)); }
inline V pow2(V n) {
  const __m128i i = _mm_cvtps_epi32(n);
  return _mm_castsi128_ps(_mm_slli_epi32(_mm_add_epi32(i, _mm_set1_epi32(127)), 23));
}
inline V exponent(V v) {
  const __m128i biased = _mm_srli_epi32(_mm_castps_si128(v), 23);
  return _mm_cvtepi32_ps(_mm_sub_epi32(biased, _mm_set1_epi32(127)));
}
inline V mantissa(V v) {
  const V bits = _mm_castsi128_ps(_mm_set1_epi32(0x007fffff));
  return _mm_or_ps(_mm_and_ps(v, bits), splat(1.0f));
}
inline V load_bytes(const uint8_t* p) {
  int32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  const __m128i none = _mm_setzero_si128();
  const __m128i halves = _mm_unpacklo_epi8(_mm_cvtsi32_si128(word), none);
  return _mm_cvtepi32_ps(_mm_unpacklo_epi16(halves, none));
}

inline void hsum4(V a, V b, V c, V d, float* out) {
  const V ab = _mm_unpacklo_ps(a, b) + _mm_unpackhi_ps(a, b);
  const V cd = _mm_unpacklo_ps(c, d) + _mm_unpackhi_ps(c, d);
  store(out, _mm_shuffle_ps(ab, cd, 0x44) + _mm_shuffle_ps(ab, cd, 0xee));
}
inline float hsum(V v) {
  v = v + _mm_movehl_ps(v, v);
  return _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps(v, v, 1)));
}
inline float hmax(V v) {
  v = max(v, _mm_movehl_ps(v, v));
  return _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps(v, v, 1)));
}

STRIATE_INLINE void transpose(V (&v)[kWidth]) {
  const V a = _mm_unpacklo_ps(v[0], v[1]), b = _mm_unpackhi_ps(v[0], v[1]);
  const V c = _mm_unpacklo_ps(v[2], v[3]), d = _mm_unpackhi_ps(v[2], v[3]);
  v[0] = _mm_movelh_ps(a, c);
  v[1] = _mm_movehl_ps(c, a);
  v[2] = _mm_movelh_ps(b, d);
  v[3] = _mm_movehl_ps(d, b);
}

}  // namespace
}  // namespace striate::baseline
