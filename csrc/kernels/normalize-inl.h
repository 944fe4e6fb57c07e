// Layer normalisation of contiguous rows, and the per-channel sums and maps of group normalisation.
// Both measure a row or a group from `shift`, a first rough mean: what is summed is x - shift, so
// that neither the mean nor the variance loses digits where the mean is large.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// The sum of what f(i, n) gives for the n elements from i on, in four chains.
template <class F>
STRIATE_INLINE float sum_along(int64_t count, F f) {
  V sum[4] = {zero(), zero(), zero(), zero()};
  int64_t i = 0;
  for (; i + 4 * kWidth <= count; i += 4 * kWidth) {
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) sum[k] = sum[k] + f(i + k * kWidth, kWidth);
  }
  for (; i + kWidth <= count; i += kWidth) sum[0] = sum[0] + f(i, kWidth);
  if (i < count) sum[1] = sum[1] + f(i, static_cast<int>(count - i));
  return hsum((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

// Calls body(i, n) for the n elements from i on.
template <class Body>
STRIATE_INLINE void each_along(int64_t count, Body body) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) body(i, kWidth);
  if (i < count) body(i, static_cast<int>(count - i));
}

// v in its first n lanes, 0 in the others.
STRIATE_INLINE V only_first(V v, int n) {
  if (n == kWidth) return v;
  float lanes[kWidth];
  store(lanes, v);
  return load_tail(lanes, tail(n));
}

// (x - shift) * inverse - offset is the normalised x: inverse = 1 / sqrt(variance + epsilon),
// offset = (mean - shift) * inverse.
inline void row_statistics(int64_t cols, float epsilon, const float* x, float* statistics) {
  const float count = static_cast<float>(cols);
  const float shift =
      sum_along(cols, [=](int64_t i, int n) { return load_some(x + i, n); }) / count;
  const V by = splat(shift);
  const float rest =
      sum_along(cols, [=](int64_t i, int n) { return only_first(load_some(x + i, n) - by, n); }) /
      count;
  const float square = sum_along(cols,
                                 [=](int64_t i, int n) {
                                   const V d = only_first(load_some(x + i, n) - by, n);
                                   return d * d;
                                 }) /
                       count;
  const float variance = square - rest * rest;
  statistics[0] = shift;
  statistics[1] = 1.0f / __builtin_sqrtf((variance > 0.0f ? variance : 0.0f) + epsilon);
  statistics[2] = rest * statistics[1];
}

STRIATE_INLINE V normalized(const float* x, const float* statistics, int n) {
  return fma(load_some(x, n) - splat(statistics[0]), splat(statistics[1]),
             zero() - splat(statistics[2]));
}

void layer_norm(int64_t rows, int64_t cols, float epsilon, const float* gamma, const float* beta,
                const float* x, float* y, float* statistics) {
  float local[3];
  for (int64_t r = 0; r < rows; ++r, x += cols, y += cols) {
    float* const s = statistics ? statistics + 3 * r : local;
    row_statistics(cols, epsilon, x, s);
    each_along(cols, [=](int64_t i, int n) {
      V v = normalized(x + i, s, n);
      if (gamma) v = v * load_some(gamma + i, n);
      if (beta) v = v + load_some(beta + i, n);
      store_some(y + i, v, n);
    });
  }
}

// With g = dy * gamma and z the normalised x: dx = inverse * (g - mean(g) - z * mean(g z)).
void layer_norm_backward(int64_t rows, int64_t cols, const float* gamma, const float* x,
                         const float* statistics, const float* dy, float* dx) {
  const float count = static_cast<float>(cols);
  for (int64_t r = 0; r < rows; ++r, x += cols, dy += cols, dx += cols, statistics += 3) {
    const auto g = [=](int64_t i, int n) {
      const V d = load_some(dy + i, n);
      return gamma ? d * load_some(gamma + i, n) : d;
    };
    const V mean = splat(sum_along(cols, g) / count);
    const V slope =
        splat(sum_along(cols, [=](int64_t i,
                                  int n) { return g(i, n) * normalized(x + i, statistics, n); }) /
              count);
    const V inverse = splat(statistics[1]);
    each_along(cols, [=](int64_t i, int n) {
      const V centred = fnma(normalized(x + i, statistics, n), slope, g(i, n) - mean);
      store_some(dx + i, inverse * centred, n);
    });
  }
}

void layer_norm_parameters(int64_t rows, int64_t cols, const float* x, const float* statistics,
                           const float* dy, float* dgamma, float* dbeta, bool accumulate) {
  for (int64_t r = 0; r < rows; ++r, x += cols, dy += cols, statistics += 3) {
    const bool add = accumulate || r > 0;
    each_along(cols, [=](int64_t i, int n) {
      const V d = load_some(dy + i, n);
      if (dgamma) {
        const V z = normalized(x + i, statistics, n);
        store_some(dgamma + i, add ? fma(d, z, load_some(dgamma + i, n)) : d * z, n);
      }
      if (dbeta) store_some(dbeta + i, add ? load_some(dbeta + i, n) + d : d, n);
    });
  }
}

// ---- per channel, channels in lanes
// ---------------------------------------------------------------

constexpr int64_t kPixelBlock = 128;  // summed apart: shorter chains of roundings

// first[c] = sum over pixels of a, second[c] of a * b, where f(offset, c, n, a, b) makes both of
// the n channels from c on. Four vectors of channels at once.
template <int kVectors, class F>
STRIATE_INLINE void channel_pair(int64_t pixels, int32_t channels, int32_t c, int n, float* first,
                                 float* second, F f) {
  V total[2][kVectors];
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) total[0][v] = total[1][v] = zero();
  for (int64_t from = 0; from < pixels; from += kPixelBlock) {
    V sum[2][kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) sum[0][v] = sum[1][v] = zero();
    const int64_t end = least(pixels, from + kPixelBlock);
    for (int64_t p = from; p < end; ++p) {
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        V a, b;
        f(p * channels + c + v * kWidth, c + v * kWidth, n, a, b);
        sum[0][v] = sum[0][v] + a;
        sum[1][v] = fma(a, b, sum[1][v]);
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      total[0][v] = total[0][v] + sum[0][v];
      total[1][v] = total[1][v] + sum[1][v];
    }
  }
#pragma GCC unroll 8
  for (int v = 0; v < kVectors; ++v) {
    store_some(first + c + v * kWidth, total[0][v], n);
    store_some(second + c + v * kWidth, total[1][v], n);
  }
}
template <class F>
STRIATE_INLINE void channel_pairs(int64_t pixels, int32_t channels, float* first, float* second,
                                  F f) {
  int32_t c = 0;
  for (; c + 4 * kWidth <= channels; c += 4 * kWidth) {
    channel_pair<4>(pixels, channels, c, kWidth, first, second, f);
  }
  for (; c + kWidth <= channels; c += kWidth) {
    channel_pair<1>(pixels, channels, c, kWidth, first, second, f);
  }
  if (c < channels) channel_pair<1>(pixels, channels, c, channels - c, first, second, f);
}

void channel_deviations(int64_t pixels, int32_t channels, const float* shift, const float* x,
                        float* sum, float* squares) {
  channel_pairs(pixels, channels, sum, squares, [=](int64_t at, int32_t c, int n, V& a, V& b) {
    a = b = load_some(x + at, n) - load_some(shift + c, n);
  });
}

void channel_shifted_dots(int64_t pixels, int32_t channels, const float* shift, const float* x,
                          const float* dy, float* sum, float* dot) {
  channel_pairs(pixels, channels, sum, dot, [=](int64_t at, int32_t c, int n, V& a, V& b) {
    a = load_some(dy + at, n);
    b = load_some(x + at, n) - load_some(shift + c, n);
  });
}

void channel_shifted_affine(int64_t pixels, int32_t channels, const float* shift, const float* a,
                            const float* b, const float* x, float* y) {
  for (int64_t p = 0; p < pixels; ++p, x += channels, y += channels) {
    along(channels, [&](int32_t c, int n) {
      const V d = load_some(x + c, n) - load_some(shift + c, n);
      store_some(y + c, fma(d, load_some(a + c, n), load_some(b + c, n)), n);
    });
  }
}

void channel_shifted_affine_backward(int64_t pixels, int32_t channels, const float* shift,
                                     const float* a, const float* b, const float* d, const float* x,
                                     const float* dy, float* dx) {
  for (int64_t p = 0; p < pixels; ++p, x += channels, dy += channels, dx += channels) {
    along(channels, [&](int32_t c, int n) {
      const V deviation = load_some(x + c, n) - load_some(shift + c, n);
      const V rest = fma(deviation, load_some(b + c, n), load_some(d + c, n));
      store_some(dx + c, fma(load_some(dy + c, n), load_some(a + c, n), rest), n);
    });
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
