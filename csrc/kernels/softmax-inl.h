// Softmax of rows, and its gradient. The largest logit is subtracted first, so nothing overflows.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

inline V only(V v, Tail t, V other) {
  float lane[kWidth];
  store(lane, other);
  store_tail(lane, v, t);
  return load(lane);
}

inline void softmax_row(int32_t cols, const float* x, float* y) {
  const int32_t whole = cols / kWidth * kWidth;
  const Tail rest = tail(whole < cols ? cols - whole : kWidth);
  const V least = splat(-__builtin_inff());
  V most = least;
  for (int32_t c = 0; c < whole; c += kWidth) most = max(most, load(x + c));
  if (whole < cols) most = max(most, only(load_tail(x + whole, rest), rest, least));
  const V top = splat(hmax(most));
  V sum = zero();
  for (int32_t c = 0; c < whole; c += kWidth) {
    const V e = exp(load(x + c) - top);
    store(y + c, e);
    sum = sum + e;
  }
  V last = zero();
  if (whole < cols) {
    last = exp(only(load_tail(x + whole, rest), rest, least) - top);
    last = only(last, rest, zero());
    sum = sum + last;
  }
  const V total = splat(hsum(sum));
  for (int32_t c = 0; c < whole; c += kWidth) store(y + c, load(y + c) / total);
  if (whole < cols) store_tail(y + whole, last / total, rest);
}

void softmax(int64_t rows, int32_t cols, const float* x, float* y) {
  for (int64_t r = 0; r < rows; ++r) softmax_row(cols, x + r * cols, y + r * cols);
}

void softmax_backward(int64_t rows, int32_t cols, const float* y, const float* dy, float* dx) {
  const int32_t whole = cols / kWidth * kWidth;
  const Tail rest = tail(whole < cols ? cols - whole : kWidth);
  for (int64_t r = 0; r < rows; ++r, y += cols, dy += cols, dx += cols) {
    V sum = zero();
    for (int32_t c = 0; c < whole; c += kWidth) sum = fma(load(dy + c), load(y + c), sum);
    if (whole < cols) sum = fma(load_tail(dy + whole, rest), load_tail(y + whole, rest), sum);
    const V dot = splat(hsum(sum));
    for (int32_t c = 0; c < whole; c += kWidth) {
      store(dx + c, load(y + c) * (load(dy + c) - dot));
    }
    if (whole < cols) {
      const V d = load_tail(dy + whole, rest) - dot;
      store_tail(dx + whole, load_tail(y + whole, rest) * d, rest);
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
