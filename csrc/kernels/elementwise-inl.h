// Elementwise maps, and the per-channel affine maps and sums of both layouts.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// y[i] = f(a[i]), f(a[i], b[i])...: in place is allowed, every vector is read before it is written.
template <class F>
STRIATE_INLINE void map(int64_t n, float* y, const float* a, F f) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, f(load(a + i)));
  if (i < n) {
    const Tail t = tail(static_cast<int>(n - i));
    store_tail(y + i, f(load_tail(a + i, t)), t);
  }
}
template <class F>
STRIATE_INLINE void map(int64_t n, float* y, const float* a, const float* b, F f) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, f(load(a + i), load(b + i)));
  if (i < n) {
    const Tail t = tail(static_cast<int>(n - i));
    store_tail(y + i, f(load_tail(a + i, t), load_tail(b + i, t)), t);
  }
}

void add(int64_t n, const float* a, const float* b, float* y) {
  map(n, y, a, b, [](V u, V v) { return u + v; });
}
void multiply(int64_t n, const float* a, const float* b, float* y) {
  map(n, y, a, b, [](V u, V v) { return u * v; });
}
void scale(int64_t n, float a, const float* x, float* y) {
  const V factor = splat(a);
  map(n, y, x, [=](V v) { return factor * v; });
}
void subtract(int64_t n, const float* a, const float* b, float* y) {
  map(n, y, a, b, [](V u, V v) { return u - v; });
}
void blend(int64_t n, float a, const float* x, float b, const float* z, float* y) {
  const V first = splat(a), second = splat(b);
  map(n, y, x, z, [=](V u, V v) { return fma(first, u, second * v); });
}
void where_index(int64_t n, const float* index, float place, const float* dy, float* dx) {
  const V mine = splat(place);
  map(n, dx, index, dy, [=](V i, V d) { return select(eq(i, mine), d, zero()); });
}

template <bool kLeast>
STRIATE_INLINE void keep_extremes(int64_t n, const float* x, float place, float* y, float* index) {
  const V mine = splat(place);
  const auto keep = [=](int64_t i, auto from, auto to) {
    const V best = from(y + i), v = from(x + i);
    const Cond better = kLeast ? gt(best, v) : gt(v, best);
    to(y + i, select(better, v, best));
    if (index) to(index + i, select(better, mine, from(index + i)));
  };
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) keep(i, load, store);
  if (i == n) return;
  const Tail t = tail(static_cast<int>(n - i));
  keep(
      i, [=](const float* p) { return load_tail(p, t); },
      [=](float* p, V v) { store_tail(p, v, t); });
}
void keep_extreme(bool smallest, int64_t n, const float* x, float place, float* y, float* index) {
  if (smallest) return keep_extremes<true>(n, x, place, y, index);
  keep_extremes<false>(n, x, place, y, index);
}
void bytes_to_floats(int64_t n, const uint8_t* x, float* y) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) store(y + i, load_bytes(x + i));
  for (; i < n; ++i) y[i] = static_cast<float>(x[i]);
}

// ---- per channel, samples in lanes
// ----------------------------------------------------------------

void channel_affine_samples(int64_t pixels, int32_t channels, const float* a, const float* x,
                            const Epilogue& e, float* y) {
  const V floor = splat(e.floor);
  for (int64_t p = 0, at = 0; p < pixels; ++p) {
    for (int32_t c = 0; c < channels; ++c) {
      const V factor = splat(a[c]), offset = e.bias ? splat(e.bias[c]) : zero();
#pragma GCC unroll 4
      for (int part = 0; part < kLanes; part += kWidth, at += kWidth) {
        V v = fma(load(x + at), factor, offset);
        if (e.add) v = v + load(e.add + at);
        store(y + at, max(floor, v));
      }
    }
  }
}

// out[c] (+)= the sum over pixels and lanes of dy (* x). Four channels at once: as many chains of
// additions, whose lanes hsum4 adds together.
template <bool kDot, int N>
STRIATE_INLINE void sum_channels(int64_t pixels, int32_t channels, const float* dy, const float* x,
                                 float* out, bool accumulate) {
  V sum[4] = {zero(), zero(), zero(), zero()};
  const int64_t step = static_cast<int64_t>(channels) * kLanes;
  for (int64_t p = 0; p < pixels; ++p, dy += step) {
#pragma GCC unroll 4
    for (int part = 0; part < kLanes; part += kWidth) {
#pragma GCC unroll 4
      for (int c = 0; c < N; ++c) {
        const V d = load(dy + c * kLanes + part);
        if constexpr (kDot) {
          sum[c] = fma(d, load(x + c * kLanes + part), sum[c]);
        } else {
          sum[c] = sum[c] + d;
        }
      }
    }
    if constexpr (kDot) x += step;
  }
  float total[4];
  hsum4(sum[0], sum[1], sum[2], sum[3], total);
  for (int c = 0; c < N; ++c) out[c] = accumulate ? out[c] + total[c] : total[c];
}

template <bool kDot>
STRIATE_INLINE void sum_samples(int64_t pixels, int32_t channels, const float* dy, const float* x,
                                float* out, bool accumulate) {
  int32_t c = 0;
  for (; c + 4 <= channels; c += 4, dy += 4 * kLanes, x += kDot ? 4 * kLanes : 0) {
    sum_channels<kDot, 4>(pixels, channels, dy, x, out + c, accumulate);
  }
  if (channels - c == 3) sum_channels<kDot, 3>(pixels, channels, dy, x, out + c, accumulate);
  if (channels - c == 2) sum_channels<kDot, 2>(pixels, channels, dy, x, out + c, accumulate);
  if (channels - c == 1) sum_channels<kDot, 1>(pixels, channels, dy, x, out + c, accumulate);
}

void bias_grad_samples(int64_t pixels, int32_t channels, const float* dy, float* db,
                       bool accumulate) {
  sum_samples<false>(pixels, channels, dy, nullptr, db, accumulate);
}
void channel_dot_samples(int64_t pixels, int32_t channels, const float* dy, const float* x,
                         float* da, bool accumulate) {
  sum_samples<true>(pixels, channels, dy, x, da, accumulate);
}

// ---- per channel, channels in lanes
// ---------------------------------------------------------------

void channel_affine_channels(int64_t pixels, int32_t channels, const float* a, const float* x,
                             const Epilogue& e, float* y) {
  const V floor = splat(e.floor);
  for (int64_t at = 0; at < pixels * channels; at += channels) {
    int32_t c = 0;
    for (; c + kWidth <= channels; c += kWidth) {
      V v = fma(load(x + at + c), load(a + c), e.bias ? load(e.bias + c) : zero());
      if (e.add) v = v + load(e.add + at + c);
      store(y + at + c, max(floor, v));
    }
    if (c < channels) {
      const Tail t = tail(channels - c);
      V v = fma(load_tail(x + at + c, t), load_tail(a + c, t),
                e.bias ? load_tail(e.bias + c, t) : zero());
      if (e.add) v = v + load_tail(e.add + at + c, t);
      store_tail(y + at + c, max(floor, v), t);
    }
  }
}

// Pixels whose sum is made by itself before it is added to the others': a bias's gradient over a
// batch of VGG's images has a million terms, mostly of one sign.
constexpr int64_t kSumPixels = 512;

// One vector of channels; pixels p, p+4, p+8... make one of four chains, added as (0+1)+(2+3).
template <bool kDot, bool kMasked>
STRIATE_INLINE void sum_pixels(int64_t pixels, int32_t channels, const float* dy, const float* x,
                               float* out, int n, bool accumulate) {
  const Tail t = tail(n);
  const auto at = [=](const float* p) { return kMasked ? load_tail(p, t) : load(p); };
  V total = zero();
  for (int64_t first = 0; first < pixels; first += kSumPixels) {
    const int64_t end = least(first + kSumPixels, pixels);
    V sum[4] = {zero(), zero(), zero(), zero()};
    for (int64_t p = first; p < end; p += 4) {
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) {
        if (p + i >= end) break;
        const V d = at(dy + (p + i) * channels);
        if constexpr (kDot) {
          sum[i] = fma(d, at(x + (p + i) * channels), sum[i]);
        } else {
          sum[i] = sum[i] + d;
        }
      }
    }
    total = total + ((sum[0] + sum[1]) + (sum[2] + sum[3]));
  }
  if (accumulate) total = at(out) + total;
  store_tail(out, total, t);
}

template <bool kDot>
STRIATE_INLINE void sum_all_channels(int64_t pixels, int32_t channels, const float* dy,
                                     const float* x, float* out, bool accumulate) {
  int32_t c = 0;
  for (; c + kWidth <= channels; c += kWidth) {
    sum_pixels<kDot, false>(pixels, channels, dy + c, kDot ? x + c : x, out + c, kWidth,
                            accumulate);
  }
  if (c < channels) {
    sum_pixels<kDot, true>(pixels, channels, dy + c, kDot ? x + c : x, out + c, channels - c,
                           accumulate);
  }
}

void bias_grad_channels(int64_t pixels, int32_t channels, const float* dy, float* db,
                        bool accumulate) {
  sum_all_channels<false>(pixels, channels, dy, nullptr, db, accumulate);
}
void channel_dot_channels(int64_t pixels, int32_t channels, const float* dy, const float* x,
                          float* da, bool accumulate) {
  sum_all_channels<true>(pixels, channels, dy, x, da, accumulate);
}

// y[i] = sum_o w[i][o] * v[o], four rows at once.
template <int N>
STRIATE_INLINE void dot_some_rows(int32_t outputs, const float* w, const float* v, float* y) {
  V sum[4] = {zero(), zero(), zero(), zero()};
  int32_t o = 0;
  for (; o + kWidth <= outputs; o += kWidth) {
    const V d = load(v + o);
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
      sum[i] = fma(load(w + static_cast<int64_t>(i) * outputs + o), d, sum[i]);
    }
  }
  if (o < outputs) {
    const Tail t = tail(outputs - o);
    const V d = load_tail(v + o, t);
#pragma GCC unroll 4
    for (int i = 0; i < N; ++i) {
      sum[i] = fma(load_tail(w + static_cast<int64_t>(i) * outputs + o, t), d, sum[i]);
    }
  }
  float total[4];
  hsum4(sum[0], sum[1], sum[2], sum[3], total);
  for (int i = 0; i < N; ++i) y[i] = total[i];
}

void dot_rows(int32_t rows, int32_t outputs, const float* w, const float* v, float* y) {
  int32_t i = 0;
  for (; i + 4 <= rows; i += 4, w += 4 * static_cast<int64_t>(outputs)) {
    dot_some_rows<4>(outputs, w, v, y + i);
  }
  for (; i < rows; ++i, w += outputs) dot_some_rows<1>(outputs, w, v, y + i);
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
