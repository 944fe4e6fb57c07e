// exp, expm1, tanh, sigmoid and erf as polynomials on vectors: no libm, the same bits on every
// libc. Errors measured by test_kernels_activation.cpp: exp and tanh 1 ulp, sigmoid 2. NaN and
// infinities go in and come out as in C.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// x = n ln2 + r with |r| <= ln2/2, and p = exp(r) - 1. ln2 in two pieces, the first short enough
// for n * piece to be exact (Cody and Waite); the polynomial is Cephes's expf.
struct Reduced {
  V n, p;
};
STRIATE_INLINE Reduced reduce_exp(V x) {
  Reduced e;
  e.n = round(x * splat(1.44269504088896341f));
  V r = fnma(e.n, splat(0.693359375f), x);
  r = fnma(e.n, splat(-2.12194440e-4f), r);
  V q = splat(1.9875691500e-4f);
  q = fma(q, r, splat(1.3981999507e-3f));
  q = fma(q, r, splat(8.3334519073e-3f));
  q = fma(q, r, splat(4.1665795894e-2f));
  q = fma(q, r, splat(1.6666665459e-1f));
  q = fma(q, r, splat(5.0000001201e-1f));
  e.p = fma(q, r * r, r);
  return e;
}

// 2^n in two factors, so that the result may overflow or be subnormal as it should.
STRIATE_INLINE V exp(V x) {
  x = min(splat(89.0f), max(splat(-104.0f), x));
  const Reduced e = reduce_exp(x);
  const V half = round(e.n * splat(0.5f));
  return (e.p + splat(1.0f)) * pow2(half) * pow2(e.n - half);
}

// For x <= 0; exact to the last places near 0, where exp(x) - 1 would cancel.
STRIATE_INLINE V expm1_negative(V x) {
  const Reduced e = reduce_exp(max(splat(-30.0f), x));
  const V s = pow2(e.n);
  return fma(e.p, s, s - splat(1.0f));
}

// sigmoid(x) and its complement sigmoid(-x), of which neither is 1 minus the other: that cancels.
STRIATE_INLINE void sigmoids(V x, V& of_x, V& of_minus_x) {
  const V one = splat(1.0f);
  const V e = exp(zero() - abs(x));
  const V large = one / (one + e), small = e / (one + e);
  const Cond negative = gt(zero(), x);
  of_x = select(negative, small, large);
  of_minus_x = select(negative, large, small);
}
STRIATE_INLINE V sigmoid(V x) {
  const V one = splat(1.0f);
  const V e = exp(zero() - abs(x));
  return select(gt(zero(), x), e, one) / (one + e);
}

// Cephes's tanhf below 0.625; above, 1 - 2 / (exp(2|x|) + 1).
STRIATE_INLINE V tanh(V x) {
  const V a = abs(x), s = x * x;
  V p = splat(-5.70498872745e-3f);
  p = fma(p, s, splat(2.06390887954e-2f));
  p = fma(p, s, splat(-5.37397155531e-2f));
  p = fma(p, s, splat(1.33314422036e-1f));
  p = fma(p, s, splat(-3.33332819422e-1f));
  const V low = fma(p * s, x, x);
  const V one = splat(1.0f);
  const V high = one - splat(2.0f) / (exp(a + a) + one);
  return select(gt(a, splat(0.625f)), copysign(high, x), low);
}

// x + x P(x^2) below 0.9277; above, 1 - exp(Q(|x|)) (minimax fits as published by N. Juffa).
STRIATE_INLINE V erf(V x) {
  const V a = min(splat(4.0f), abs(x)), s = x * x;
  V p = splat(-5.96761703e-4f);
  p = fma(p, s, splat(4.99119423e-3f));
  p = fma(p, s, splat(-2.67681349e-2f));
  p = fma(p, s, splat(1.12819925e-1f));
  p = fma(p, s, splat(-3.76125336e-1f));
  p = fma(p, s, splat(1.28379166e-1f));
  const V low = fma(p, x, x);
  const V t = a * a;
  V q = fma(splat(-1.72853470e-5f), a, splat(3.83197126e-4f));
  const V u = fma(splat(-3.88396438e-3f), a, splat(2.42546219e-2f));
  q = fma(q, t, u);
  q = fma(q, a, splat(-1.06777877e-1f));
  q = fma(q, a, splat(-6.34846687e-1f));
  q = fma(q, a, splat(-1.28717512e-1f));
  q = fma(q, a, zero() - a);
  const V high = copysign(splat(1.0f) - exp(q), x);
  return select(gt(a, splat(0.927734375f)), high, low);
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
