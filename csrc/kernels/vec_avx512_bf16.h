#pragma once
// vec_avx512.h's vocabulary, whose multiply-add is one of pairs of bfloat16: what conv_channels
// and the weight gradient's panels ask for. vec_baseline.h says what each word means.
#include "kernels/vec_avx512.h"

namespace striate::avx512_bf16 {
namespace {

using namespace avx512;  // NOLINT: the whole vocabulary but for what follows

inline V fma(V a, V b, V c) {
  return _mm512_dpbf16_ps(c, reinterpret_cast<__m512bh>(a), reinterpret_cast<__m512bh>(b));
}

// Lane i: a's number in the low half, b's in the high one.
inline V pair_up(V a, V b) {
  const __m512i both = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(b, a));
  const __m512i turn = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24,
                                        8, 23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
  return _mm512_castsi512_ps(_mm512_permutexvar_epi16(turn, both));
}
// Lane i: the numbers 2i and 2i + 1 of a and b in a row.
inline V pair_neighbours(V a, V b) { return reinterpret_cast<V>(_mm512_cvtne2ps_pbh(b, a)); }

}  // namespace
}  // namespace striate::avx512_bf16
