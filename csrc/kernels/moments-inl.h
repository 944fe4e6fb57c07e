// Batch normalisation's sums and maps, by channel over pixels, in both layouts. Samples in lanes:
// a position holds kLanes samples, of which the first `samples` count.
//
// Variance is of deviations, never E[x^2] - E[x]^2: a chunk of pixels that fits in L1 gets its own
// mean and sum of squared deviations, and chunks are merged by Chan, Golub and LeVeque's update
// (1979), in order.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

constexpr int64_t kChunkPixels = 64;

// What one chunk or all chunks so far hold of one vector of channels.
struct Moments {
  V mean, m2;
};
inline Moments merge(const Moments& a, float na, const Moments& b, float nb) {
  const V delta = b.mean - a.mean;
  return {fma(delta, splat(nb / (na + nb)), a.mean),
          (a.m2 + b.m2) + delta * delta * splat(na * nb / (na + nb))};
}

template <bool kMasked>
STRIATE_INLINE Moments chunk_moments(int64_t pixels, int64_t step, const float* x, Tail t) {
  const auto at = [=](int64_t p) {
    return kMasked ? load_tail(x + p * step, t) : load(x + p * step);
  };
  V sum[4] = {zero(), zero(), zero(), zero()};
  for (int64_t p = 0; p < pixels; ++p) sum[p & 3] = sum[p & 3] + at(p);
  const V mean = ((sum[0] + sum[1]) + (sum[2] + sum[3])) * splat(1.0f / static_cast<float>(pixels));
  V square[4] = {zero(), zero(), zero(), zero()};
  for (int64_t p = 0; p < pixels; ++p) {
    const V d = at(p) - mean;
    square[p & 3] = fma(d, d, square[p & 3]);
  }
  return {mean, (square[0] + square[1]) + (square[2] + square[3])};
}

template <bool kMasked>
STRIATE_INLINE void moments_vector(int64_t pixels, int32_t channels, const float* x, Tail t,
                                   float* mean, float* m2) {
  Moments all = {zero(), zero()};
  for (int64_t p = 0; p < pixels; p += kChunkPixels) {
    const int64_t n = least(kChunkPixels, pixels - p);
    const Moments chunk = chunk_moments<kMasked>(n, channels, x + p * channels, t);
    all = p == 0 ? chunk : merge(all, static_cast<float>(p), chunk, static_cast<float>(n));
  }
  store_tail(mean, all.mean, t);
  store_tail(m2, all.m2, t);
}

void channel_moments_channels(int64_t pixels, int32_t channels, const float* x, float* mean,
                              float* m2) {
  int32_t c = 0;
  for (; c + kWidth <= channels; c += kWidth) {
    moments_vector<false>(pixels, channels, x + c, tail(kWidth), mean + c, m2 + c);
  }
  if (c < channels) {
    moments_vector<true>(pixels, channels, x + c, tail(channels - c), mean + c, m2 + c);
  }
}

// The vectors of a position: all lanes of the first, of the last those that hold samples.
struct SampleLanes {
  int parts;
  Tail last;
  explicit SampleLanes(int32_t samples)
      : parts((samples + kWidth - 1) / kWidth), last(tail(samples - (parts - 1) * kWidth)) {}
  V load_part(const float* x, int part) const {
    return part + 1 < parts ? load(x + part * kWidth) : load_tail(x + part * kWidth, last);
  }
};

// Deviations of a channel from `m`, summed with their squares; a chunk of pixels at a time, so that
// no long sum loses digits.
struct Deviations {
  V sum, square;
};
STRIATE_INLINE Deviations lane_deviations(int64_t pixels, int64_t step, const float* x,
                                          const SampleLanes& lanes, V m) {
  Deviations all = {zero(), zero()};
  for (int64_t first = 0; first < pixels; first += kChunkPixels) {
    Deviations chunk = {zero(), zero()};
    for (int64_t p = first; p < least(first + kChunkPixels, pixels); ++p) {
      for (int q = 0; q < lanes.parts; ++q) {
        V d = lanes.load_part(x + p * step, q) - m;
        // Lanes without a sample held zero: their deviation is not the batch's.
        if (q + 1 == lanes.parts) {
          float kept[kWidth];
          for (int i = 0; i < kWidth; ++i) kept[i] = 0.0f;
          store_tail(kept, d, lanes.last);
          d = load(kept);
        }
        chunk.sum = chunk.sum + d;
        chunk.square = fma(d, d, chunk.square);
      }
    }
    all.sum = all.sum + chunk.sum;
    all.square = all.square + chunk.square;
  }
  return all;
}

// Twice: what the first mean's rounding left is the mean of the deviations from it.
void channel_moments_samples(int64_t pixels, int32_t channels, int32_t samples, const float* x,
                             float* mean, float* m2) {
  const SampleLanes lanes(samples);
  const int64_t step = static_cast<int64_t>(channels) * kLanes;
  const float count = static_cast<float>(pixels) * static_cast<float>(samples);
  for (int32_t c = 0; c < channels; ++c, x += kLanes) {
    V sum = zero();
    for (int64_t p = 0; p < pixels; ++p) {
      for (int q = 0; q < lanes.parts; ++q) sum = sum + lanes.load_part(x + p * step, q);
    }
    const float first = hsum(sum) / count;
    const Deviations rest = lane_deviations(pixels, step, x, lanes, splat(first));
    const float shift = hsum(rest.sum) / count;
    const float square = hsum(rest.square) - count * shift * shift;
    mean[c] = first + shift;
    m2[c] = square > 0.0f ? square : 0.0f;
  }
}

// sum[c] = sum of dy, dot[c] = sum of dy * (x - mean[c]).
template <bool kMasked>
STRIATE_INLINE void gradient_vector(int64_t pixels, int32_t channels, const float* dy,
                                    const float* x, const float* mean, Tail t, float* sum,
                                    float* dot) {
  const auto at = [=](const float* p) { return kMasked ? load_tail(p, t) : load(p); };
  const V m = at(mean);
  V total = zero(), total_dot = zero();
  for (int64_t p = 0; p < pixels; p += kChunkPixels) {
    const int64_t end = least(p + kChunkPixels, pixels);
    V s[2] = {zero(), zero()}, d[2] = {zero(), zero()};
    for (int64_t i = p; i < end; ++i) {
      const V g = at(dy + i * channels);
      s[i & 1] = s[i & 1] + g;
      d[i & 1] = fma(g, at(x + i * channels) - m, d[i & 1]);
    }
    total = total + (s[0] + s[1]);
    total_dot = total_dot + (d[0] + d[1]);
  }
  store_tail(sum, total, t);
  store_tail(dot, total_dot, t);
}

void channel_gradient_channels(int64_t pixels, int32_t channels, const float* dy, const float* x,
                               const float* mean, float* sum, float* dot) {
  int32_t c = 0;
  for (; c + kWidth <= channels; c += kWidth) {
    gradient_vector<false>(pixels, channels, dy + c, x + c, mean + c, tail(kWidth), sum + c,
                           dot + c);
  }
  if (c < channels) {
    gradient_vector<true>(pixels, channels, dy + c, x + c, mean + c, tail(channels - c), sum + c,
                          dot + c);
  }
}

// dy is zero in lanes without a sample, so all lanes may be summed.
void channel_gradient_samples(int64_t pixels, int32_t channels, const float* dy, const float* x,
                              const float* mean, float* sum, float* dot) {
  const int64_t step = static_cast<int64_t>(channels) * kLanes;
  for (int32_t c = 0; c < channels; ++c, dy += kLanes, x += kLanes) {
    const V m = splat(mean[c]);
    V s = zero(), d = zero();
    for (int64_t p = 0; p < pixels; ++p) {
#pragma GCC unroll 4
      for (int part = 0; part < kLanes; part += kWidth) {
        const V g = load(dy + p * step + part);
        s = s + g;
        d = fma(g, load(x + p * step + part) - m, d);
      }
    }
    sum[c] = hsum(s);
    dot[c] = hsum(d);
  }
}

// dx = a[c] * dy + b[c] * x + k[c].
void channel_affine2_channels(int64_t pixels, int32_t channels, const float* a, const float* b,
                              const float* k, const float* dy, const float* x, float* dx) {
  for (int64_t p = 0; p < pixels; ++p, dy += channels, x += channels, dx += channels) {
    int32_t c = 0;
    for (; c + kWidth <= channels; c += kWidth) {
      store(dx + c, fma(load(dy + c), load(a + c), fma(load(x + c), load(b + c), load(k + c))));
    }
    if (c < channels) {
      const Tail t = tail(channels - c);
      store_tail(dx + c,
                 fma(load_tail(dy + c, t), load_tail(a + c, t),
                     fma(load_tail(x + c, t), load_tail(b + c, t), load_tail(k + c, t))),
                 t);
    }
  }
}

// Lanes without a sample stay zero.
void channel_affine2_samples(int64_t pixels, int32_t channels, int32_t samples, const float* a,
                             const float* b, const float* k, const float* dy, const float* x,
                             float* dx) {
  const SampleLanes lanes(samples);
  for (int64_t p = 0; p < pixels; ++p) {
    for (int32_t c = 0; c < channels; ++c, dy += kLanes, x += kLanes, dx += kLanes) {
      const V va = splat(a[c]), vb = splat(b[c]), vk = splat(k[c]);
      for (int part = 0; part < kParts; ++part) {
        const V g = fma(load(dy + part * kWidth), va, fma(load(x + part * kWidth), vb, vk));
        if (part + 1 < lanes.parts) {
          store(dx + part * kWidth, g);
          continue;
        }
        store(dx + part * kWidth, zero());
        if (part + 1 == lanes.parts) store_tail(dx + part * kWidth, g, lanes.last);
      }
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
