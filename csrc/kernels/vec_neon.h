#pragma once
// The vector vocabulary on AArch64's NEON. vec_baseline.h says what each word means.
#include <arm_neon.h>
#include <stdint.h>

#include "kernels/vec_common.h"

namespace striate::neon {
namespace {

typedef float32x4_t V;
typedef uint32x4_t Cond;
typedef int Tail;
constexpr int kWidth = 4;
constexpr int kTileRegisters = 24;  // of 32: GCC 12 loads far ahead here and spills sums at 28

inline V zero() { return vdupq_n_f32(0.0f); }
inline V splat(float f) { return vdupq_n_f32(f); }
inline V load(const float* p) { return vld1q_f32(p); }
inline void store(float* p, V v) { vst1q_f32(p, v); }
STRIATE_INLINE V once(V v) {
  asm("" : "+w"(v));
  return v;
}
inline Tail tail(int n) { return n; }
inline V load_tail(const float* p, Tail t) {
  if (t == kWidth) return load(p);
  V v = vld1q_lane_f32(p, zero(), 0);
  if (t > 1) v = vld1q_lane_f32(p + 1, v, 1);
  if (t > 2) v = vld1q_lane_f32(p + 2, v, 2);
  return v;
}
inline void store_tail(float* p, V v, Tail t) {
  if (t == kWidth) return store(p, v);
  vst1q_lane_f32(p, v, 0);
  if (t > 1) vst1q_lane_f32(p + 1, v, 1);
  if (t > 2) vst1q_lane_f32(p + 2, v, 2);
}

inline V fma(V a, V b, V c) { return vfmaq_f32(c, a, b); }
inline V fnma(V a, V b, V c) { return vfmsq_f32(c, a, b); }
inline Cond gt(V a, V b) { return vcgtq_f32(a, b); }
inline Cond eq(V a, V b) { return vceqq_f32(a, b); }
inline V select(Cond c, V yes, V no) { return vbslq_f32(c, yes, no); }
// FMAX and FMIN return NaN if either operand is one; our uses put the value second, where both
// rules agree.
inline V max(V a, V b) { return vmaxq_f32(a, b); }
inline V min(V a, V b) { return vminq_f32(a, b); }
inline V sqrt(V v) { return vsqrtq_f32(v); }
inline V abs(V v) { return vabsq_f32(v); }
inline V copysign(V magnitude, V sign) {
  return vbslq_f32(vdupq_n_u32(0x80000000u), sign, magnitude);
}
inline V round(V v) { return vrndnq_f32(v); }
inline V pow2(V n) {
  const int32x4_t i = vcvtq_s32_f32(n);
  return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(i, vdupq_n_s32(127)), 23));
}
inline V exponent(V v) {
  const int32x4_t biased = vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_f32(v), 23));
  return vcvtq_f32_s32(vsubq_s32(biased, vdupq_n_s32(127)));
}
inline V mantissa(V v) {
  const uint32x4_t bits = vandq_u32(vreinterpretq_u32_f32(v), vdupq_n_u32(0x007fffff));
  return vreinterpretq_f32_u32(vorrq_u32(bits, vdupq_n_u32(0x3f800000)));
}
inline V load_bytes(const uint8_t* p) {
  uint32_t word;
  __builtin_memcpy(&word, p, sizeof word);
  const uint16x8_t halves = vmovl_u8(vcreate_u8(word));
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(halves)));
}

inline void hsum4(V a, V b, V c, V d, float* out) {
  store(out, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}
inline float hsum(V v) {
  v = vpaddq_f32(v, v);
  return vgetq_lane_f32(vpaddq_f32(v, v), 0);
}
inline float hmax(V v) { return vmaxvq_f32(v); }

STRIATE_INLINE void transpose(V (&v)[kWidth]) {
  const float32x4x2_t a = vtrnq_f32(v[0], v[1]), b = vtrnq_f32(v[2], v[3]);
  v[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
  v[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
  v[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
  v[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
}

}  // namespace
}  // namespace striate::neon
