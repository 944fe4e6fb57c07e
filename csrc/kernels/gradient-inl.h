// What happens to a gradient between the sum over blocks and the optimizer, and to the average of
// the weights after it. `sweep` is optimizer-inl.h's.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

double regularize(int64_t n, float l1, float l2, const float* w, float* g) {
  const V sign = splat(l1), slope = splat(2.0f * l2);
  V magnitudes = zero(), squares = zero();
  sweep(n, [&](auto at, auto put) {
    const V weight = at(w);
    magnitudes = magnitudes + abs(weight);
    squares = fma(weight, weight, squares);
    if (!g) return;
    const V pull = select(eq(weight, zero()), zero(), copysign(sign, weight));
    put(g, fma(slope, weight, at(g)) + pull);
  });
  return static_cast<double>(l1) * hsum(magnitudes) + static_cast<double>(l2) * hsum(squares);
}

double sum_squares(int64_t n, const float* g) {
  V sum = zero();
  sweep(n, [&](auto at, auto) {
    const V v = at(g);
    sum = fma(v, v, sum);
  });
  return hsum(sum);
}

void clip(int64_t n, float limit, float* g) {
  const V low = splat(-limit), high = splat(limit);
  // The gradient comes second: where it is NaN, both return it.
  sweep(n, [=](auto at, auto put) { put(g, min(high, max(low, at(g)))); });
}

void moving_average(int64_t n, float momentum, const float* w, float* average) {
  const V fresh = splat(1.0f - momentum);
  sweep(n, [=](auto at, auto put) {
    const V old = at(average);
    put(average, fma(at(w) - old, fresh, old));
  });
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
