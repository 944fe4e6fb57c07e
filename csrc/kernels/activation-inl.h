// Activations and their derivatives.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// LeCun et al. 1998, Appendix A: f(a) = A tanh(S a), with f(1) = 1 and f(-1) = -1.
constexpr float kScaledTanhA = 1.7159f, kScaledTanhS = 2.0f / 3.0f;
constexpr float kSqrtHalf = 0.70710678118654752f, kInvSqrt2Pi = 0.39894228040143268f;

// Beyond +-64 gelu, silu and their slopes are 0 or linear; clamping keeps 0 * infinity away.
STRIATE_INLINE V above(V x) { return max(splat(-128.0f), x); }
STRIATE_INLINE V within(V x) { return min(splat(128.0f), above(x)); }
STRIATE_INLINE V normal_cdf(V x) { return splat(0.5f) * (splat(1.0f) + erf(x * splat(kSqrtHalf))); }

void activation(ActivationKind kind, float alpha, int64_t n, const float* x, float* y) {
  const V slope = splat(alpha);
  switch (kind) {
    case ActivationKind::kLinear:
      return map(n, y, x, [](V v) { return v; });
    case ActivationKind::kRelu:
      return map(n, y, x, [](V v) { return max(zero(), v); });
    case ActivationKind::kLeakyRelu:
      return map(n, y, x, [=](V v) { return select(gt(zero(), v), slope * v, v); });
    case ActivationKind::kSigmoid:
      return map(n, y, x, [](V v) { return sigmoid(v); });
    case ActivationKind::kTanh:
      return map(n, y, x, [](V v) { return tanh(v); });
    case ActivationKind::kScaledTanh:
      return map(n, y, x, [](V v) { return splat(kScaledTanhA) * tanh(splat(kScaledTanhS) * v); });
    case ActivationKind::kElu:
      return map(n, y, x, [=](V v) {
        return select(gt(zero(), v), slope * expm1_negative(min(zero(), v)), v);
      });
    case ActivationKind::kGelu:
      return map(n, y, x, [](V v) { return above(v) * normal_cdf(v); });
    case ActivationKind::kSilu:
      return map(n, y, x, [](V v) { return above(v) * sigmoid(v); });
  }
}

// dx = dy * f'(t)^order, t being y or x.
template <class F>
STRIATE_INLINE void slope_map(int64_t n, const float* t, const float* dy, float* dx, int32_t order,
                              F f) {
  if (order == 2) {
    map(n, dx, t, dy, [=](V v, V d) {
      const V s = f(v);
      return d * (s * s);
    });
  } else {
    map(n, dx, t, dy, [=](V v, V d) { return d * f(v); });
  }
}

void activation_backward(ActivationKind kind, float alpha, int64_t n, const float* x,
                         const float* y, const float* dy, float* dx, int32_t order) {
  const V slope = splat(alpha), one = splat(1.0f);
  const float* const rising = alpha >= 0.0f ? y : x;  // has x's sign
  switch (kind) {
    case ActivationKind::kLinear:
      return map(n, dx, dy, [](V d) { return d; });
    case ActivationKind::kRelu:
      return map(n, dx, y, dy, [](V v, V d) { return select(gt(v, zero()), d, zero()); });
    case ActivationKind::kLeakyRelu:
      return slope_map(n, rising, dy, dx, order,
                       [=](V v) { return select(gt(v, zero()), one, slope); });
    case ActivationKind::kSigmoid:
      return slope_map(n, y, dy, dx, order, [=](V v) { return v * (one - v); });
    case ActivationKind::kTanh:
      return slope_map(n, y, dy, dx, order, [=](V v) { return (one - v) * (one + v); });
    case ActivationKind::kScaledTanh:
      return slope_map(n, y, dy, dx, order, [](V v) {
        const V a = splat(kScaledTanhA);
        return splat(kScaledTanhS / kScaledTanhA) * ((a - v) * (a + v));
      });
    case ActivationKind::kElu:
      if (alpha >= 0.0f) {
        return slope_map(n, y, dy, dx, order,
                         [=](V v) { return select(gt(v, zero()), one, v + slope); });
      }
      return slope_map(n, x, dy, dx, order,
                       [=](V v) { return select(gt(v, zero()), one, slope * exp(v)); });
    case ActivationKind::kGelu:
      return slope_map(n, x, dy, dx, order, [](V v) {
        const V t = within(v);
        const V density = splat(kInvSqrt2Pi) * exp(splat(-0.5f) * t * t);
        return fma(t, density, normal_cdf(t));
      });
    case ActivationKind::kSilu:
      return slope_map(n, x, dy, dx, order, [=](V v) {
        const V t = within(v);
        V s, rest;
        sigmoids(t, s, rest);
        return s * fma(t, rest, one);
      });
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
