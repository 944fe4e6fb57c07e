#pragma once
// The vector vocabulary with vectors of one float, for architectures without a file of their own.
// vec_baseline.h says what each word means.
#include <stdint.h>

#include "kernels/vec_common.h"

namespace striate::scalar {
namespace {

typedef float V;
typedef bool Cond;
typedef int Tail;
constexpr int kWidth = 1;
constexpr int kTileRegisters = 16;

inline V zero() { return 0.0f; }
inline V splat(float f) { return f; }
inline V load(const float* p) { return *p; }
inline void store(float* p, V v) { *p = v; }
inline V once(V v) { return v; }
inline Tail tail(int n) { return n; }
inline V load_tail(const float* p, Tail) { return *p; }
inline void store_tail(float* p, V v, Tail) { *p = v; }

inline V fma(V a, V b, V c) { return a * b + c; }
inline V fnma(V a, V b, V c) { return c - a * b; }
inline V max(V a, V b) { return a > b ? a : b; }
inline V min(V a, V b) { return a < b ? a : b; }
inline V sqrt(V v) { return __builtin_sqrtf(v); }
inline Cond gt(V a, V b) { return a > b; }
inline Cond eq(V a, V b) { return a == b; }
inline V select(Cond c, V yes, V no) { return c ? yes : no; }
inline V abs(V v) { return __builtin_fabsf(v); }
inline V copysign(V magnitude, V sign) { return __builtin_copysignf(magnitude, sign); }
// 1.5 * 2^23: beyond it a float has no fraction. Enough for |x| < 2^22, which is all exp asks.
inline V round(V v) { return (v + 12582912.0f) - 12582912.0f; }
inline V pow2(V n) {
  const uint32_t bits = static_cast<uint32_t>((n == n ? static_cast<int32_t>(n) : 0) + 127) << 23;
  float v;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}
inline V exponent(V v) {
  uint32_t bits;
  __builtin_memcpy(&bits, &v, sizeof bits);
  return static_cast<float>(static_cast<int32_t>(bits >> 23) - 127);
}
inline V mantissa(V v) {
  uint32_t bits;
  __builtin_memcpy(&bits, &v, sizeof bits);
  bits = (bits & 0x007fffffu) | 0x3f800000u;
  __builtin_memcpy(&v, &bits, sizeof v);
  return v;
}
inline V load_bytes(const uint8_t* p) { return static_cast<float>(*p); }

inline void hsum4(V a, V b, V c, V d, float* out) {
  out[0] = a;
  out[1] = b;
  out[2] = c;
  out[3] = d;
}
inline float hsum(V v) { return v; }
inline float hmax(V v) { return v; }
inline void transpose(V (&)[kWidth]) {}

}  // namespace
}  // namespace striate::scalar
