// Powers of positive numbers without libm: the same bits on every libc. Relative error measured by
// test_kernels_norms.cpp: 3 units of 2^-24 for |p| <= 3.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// ln m for sqrt(1/2) <= m <= sqrt(2): Cephes's logf.
STRIATE_INLINE V log_near_one(V m) {
  const V f = m - splat(1.0f), s = f * f;
  V q = splat(7.0376836292e-2f);
  q = fma(q, f, splat(-1.1514610310e-1f));
  q = fma(q, f, splat(1.1676998740e-1f));
  q = fma(q, f, splat(-1.2420140846e-1f));
  q = fma(q, f, splat(1.4249322787e-1f));
  q = fma(q, f, splat(-1.6668057665e-1f));
  q = fma(q, f, splat(2.0000714765e-1f));
  q = fma(q, f, splat(-2.4999993993e-1f));
  q = fma(q, f, splat(3.3333331174e-1f));
  return f + fma(q * f, s, splat(-0.5f) * s);
}

// s^p for a positive normal s and |p| <= 1000; NaN for a NaN. With s = m 2^e, p*e = n + rest is cut
// into whole powers of two and a rest before anything is rounded, so that a large s costs no
// accuracy: exp(p ln s) alone would lose as many units as |p ln s| is. p is the sum of two numbers
// (Veltkamp), the first of 12 bits, so its product with e is exact.
STRIATE_INLINE V power(V s, V p) {
  V e = exponent(s), m = mantissa(s);
  const Cond high = gt(m, splat(1.41421356f));
  m = select(high, m * splat(0.5f), m);
  e = select(high, e + splat(1.0f), e);
  const V scaled = p * splat(4097.0f);
  const V p_high = scaled - (scaled - p), p_low = p - p_high;
  const V whole = p_high * e, part = p_low * e;
  // Beyond 2^252 the result over- or underflows whatever the rest is.
  const V n = min(splat(252.0f), max(splat(-252.0f), round(whole + part)));
  const V rest = (whole - n) + part;
  const V nan_or_0 = s - s;
  const V v = fma(rest, splat(0.693147181f), p * log_near_one(m)) + nan_or_0;
  const V half = round(n * splat(0.5f));
  return exp(v) * pow2(half) * pow2(n - half);
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
