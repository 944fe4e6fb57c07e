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

// Some vectors of neighbouring channels; masked: one, of which a tail's lanes exist.
template <int kVectors, bool kMasked>
struct Columns {
  static V load_at(const float* p, Tail t) { return kMasked ? load_tail(p, t) : load(p); }
  static void store_at(float* p, V v, Tail t) { kMasked ? store_tail(p, v, t) : store(p, v); }
};

// Four vectors of channels are taken together, 256 bytes of a pixel, or one at a time. Either way
// four sums are under way: over four vectors, or over every fourth pixel of one.
constexpr int kTogether = 4;

// total[v] = the sum over pixels of what `term` adds to it: term(sum, pixel, v) is the new sum.
template <int kVectors, class F>
STRIATE_INLINE void sum_columns(int64_t pixels, F term, V (&total)[kVectors]) {
  constexpr int kChains = kTogether / kVectors;
  V sum[kChains][kVectors];
#pragma GCC unroll 4
  for (int i = 0; i < kTogether; ++i) sum[i / kVectors][i % kVectors] = zero();
  int64_t p = 0;
  for (; p + kChains <= pixels; p += kChains) {
#pragma GCC unroll 4
    for (int i = 0; i < kTogether; ++i) {
      V& mine = sum[i / kVectors][i % kVectors];
      mine = term(mine, p + i / kVectors, i % kVectors);
    }
  }
  for (; p < pixels; ++p) sum[0][0] = term(sum[0][0], p, 0);  // only of a single vector
  if constexpr (kVectors == 1) {
    total[0] = (sum[0][0] + sum[1][0]) + (sum[2][0] + sum[3][0]);
  } else {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) total[v] = sum[0][v];
  }
}

// body<vectors, masked>(first channel, tail) over all channels.
template <class Body>
STRIATE_INLINE void each_columns(int32_t channels, Body body) {
  int32_t c = 0;
  for (; c + kTogether * kWidth <= channels; c += kTogether * kWidth) {
    body(Columns<kTogether, false>{}, c, tail(kWidth));
  }
  for (; c + kWidth <= channels; c += kWidth) body(Columns<1, false>{}, c, tail(kWidth));
  if (c < channels) body(Columns<1, true>{}, c, tail(channels - c));
}

template <int kVectors, bool kMasked>
STRIATE_INLINE void moments_columns(Columns<kVectors, kMasked> columns, int64_t pixels,
                                    int32_t channels, const float* x, Tail t, float* mean,
                                    float* m2) {
  Moments all[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) all[v] = {zero(), zero()};
  for (int64_t first = 0; first < pixels; first += kChunkPixels, x += kChunkPixels * channels) {
    const int64_t n = least(kChunkPixels, pixels - first);
    const auto at = [=](int64_t p, int v) {
      return columns.load_at(x + p * channels + v * kWidth, t);
    };
    V sum[kVectors], square[kVectors], middle[kVectors];
    sum_columns(n, [=](V so_far, int64_t p, int v) { return so_far + at(p, v); }, sum);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) middle[v] = sum[v] * splat(1.0f / static_cast<float>(n));
    sum_columns(
        n,
        [&](V so_far, int64_t p, int v) {
          const V d = at(p, v) - middle[v];
          return fma(d, d, so_far);
        },
        square);
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const Moments chunk = {middle[v], square[v]};
      all[v] = first == 0 ? chunk
                          : merge(all[v], static_cast<float>(first), chunk, static_cast<float>(n));
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    columns.store_at(mean + v * kWidth, all[v].mean, t);
    columns.store_at(m2 + v * kWidth, all[v].m2, t);
  }
}

void channel_moments_channels(int64_t pixels, int32_t channels, const float* x, float* mean,
                              float* m2) {
  each_columns(channels, [=](auto columns, int32_t c, Tail t) {
    moments_columns(columns, pixels, channels, x + c, t, mean + c, m2 + c);
  });
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

// What of dy passes the ReLU behind the map; see ReluMask.
enum class Passes { kAll, kWhereOutput, kWhereAffine };
inline Passes passes_of(const ReluMask& mask) {
  return mask.y ? Passes::kWhereOutput : mask.scale ? Passes::kWhereAffine : Passes::kAll;
}
template <Passes kPasses>
STRIATE_INLINE V passed(V dy, V x, V y, V scale, V offset) {
  if constexpr (kPasses == Passes::kAll) return dy;
  const V z = kPasses == Passes::kWhereOutput ? y : fma(x, scale, offset);
  return select(gt(z, zero()), dy, zero());
}
// body(a constant of the mask's kind)
template <Passes kPasses>
struct Kind {
  static constexpr Passes passes = kPasses;
};
template <class Body>
STRIATE_INLINE void with_kind(const ReluMask& mask, Body body) {
  switch (passes_of(mask)) {
    case Passes::kAll:
      return body(Kind<Passes::kAll>{});
    case Passes::kWhereOutput:
      return body(Kind<Passes::kWhereOutput>{});
    case Passes::kWhereAffine:
      return body(Kind<Passes::kWhereAffine>{});
  }
}

struct GradientSums {
  int64_t pixels;
  int32_t channels;
  const float *dy, *x, *y, *mean, *scale, *offset;  // at the first channel
  float *sum, *dot;
};
template <Passes kPasses, int kVectors, bool kMasked>
STRIATE_INLINE void gradient_columns(Columns<kVectors, kMasked> columns, const GradientSums& g,
                                     Tail t) {
  constexpr bool kAffine = kPasses == Passes::kWhereAffine;
  V mean[kVectors], scale[kVectors], offset[kVectors], sum[kVectors], dot[kVectors];
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    mean[v] = columns.load_at(g.mean + v * kWidth, t);
    scale[v] = kAffine ? columns.load_at(g.scale + v * kWidth, t) : zero();
    offset[v] = kAffine ? columns.load_at(g.offset + v * kWidth, t) : zero();
    sum[v] = dot[v] = zero();
  }
  for (int64_t first = 0; first < g.pixels; first += kChunkPixels) {
    const int64_t end = least(first + kChunkPixels, g.pixels);
    V chunk_sum[kVectors], chunk_dot[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) chunk_sum[v] = chunk_dot[v] = zero();
    for (int64_t p = first; p < end; ++p) {
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) {
        const int64_t at = p * g.channels + v * kWidth;
        const V x = columns.load_at(g.x + at, t);
        const V y = kPasses == Passes::kWhereOutput ? columns.load_at(g.y + at, t) : zero();
        const V d = passed<kPasses>(columns.load_at(g.dy + at, t), x, y, scale[v], offset[v]);
        chunk_sum[v] = chunk_sum[v] + d;
        chunk_dot[v] = fma(d, x - mean[v], chunk_dot[v]);
      }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      sum[v] = sum[v] + chunk_sum[v];
      dot[v] = dot[v] + chunk_dot[v];
    }
  }
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v) {
    columns.store_at(g.sum + v * kWidth, sum[v], t);
    columns.store_at(g.dot + v * kWidth, dot[v], t);
  }
}

inline const float* at_channel(const float* p, int64_t c) { return p ? p + c : nullptr; }

void channel_gradient_channels(int64_t pixels, int32_t channels, const float* dy, const float* x,
                               const float* mean, const ReluMask& mask, float* sum, float* dot) {
  with_kind(mask, [&](auto kind) {
    each_columns(channels, [&](auto columns, int32_t c, Tail t) {
      gradient_columns<decltype(kind)::passes>(
          columns,
          {pixels, channels, dy + c, x + c, at_channel(mask.y, c), mean + c,
           at_channel(mask.scale, c), at_channel(mask.offset, c), sum + c, dot + c},
          t);
    });
  });
}

// dy is zero in lanes without a sample, so all lanes may be summed.
void channel_gradient_samples(int64_t pixels, int32_t channels, const float* dy, const float* x,
                              const float* mean, const ReluMask& mask, float* sum, float* dot) {
  const int64_t step = static_cast<int64_t>(channels) * kLanes;
  with_kind(mask, [&](auto kind) {
    constexpr Passes kPasses = decltype(kind)::passes;
    for (int32_t c = 0; c < channels; ++c) {
      const V m = splat(mean[c]), scale = mask.scale ? splat(mask.scale[c]) : zero();
      const V offset = mask.scale ? splat(mask.offset[c]) : zero();
      V s = zero(), d = zero();
      for (int64_t p = 0; p < pixels; ++p) {
#pragma GCC unroll 4
        for (int part = 0; part < kLanes; part += kWidth) {
          const int64_t at = p * step + c * kLanes + part;
          const V xv = load(x + at), y = mask.y ? load(mask.y + at) : zero();
          const V g = passed<kPasses>(load(dy + at), xv, y, scale, offset);
          s = s + g;
          d = fma(g, xv - m, d);
        }
      }
      sum[c] = hsum(s);
      dot[c] = hsum(d);
    }
  });
}

struct ChannelFactors {
  const float *a, *b, *k;
};

// dx = a[c] * g + b[c] * x + k[c], g = what passes of dy; dr = g. Either may be null.
template <Passes kPasses, int kVectors, bool kMasked>
STRIATE_INLINE void affine2_columns(Columns<kVectors, kMasked> columns, int64_t at, int32_t c,
                                    const ChannelFactors& f, const ReluMask& mask, const float* dy,
                                    const float* x, float* dx, float* dr, Tail t) {
  constexpr bool kAffine = kPasses == Passes::kWhereAffine;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v, at += kWidth, c += kWidth) {
    const auto channel = [=](const float* p) { return columns.load_at(p + c, t); };
    const V xv = columns.load_at(x + at, t);
    const V y = kPasses == Passes::kWhereOutput ? columns.load_at(mask.y + at, t) : zero();
    const V g =
        passed<kPasses>(columns.load_at(dy + at, t), xv, y, kAffine ? channel(mask.scale) : zero(),
                        kAffine ? channel(mask.offset) : zero());
    if (dr) columns.store_at(dr + at, g, t);
    if (dx) {
      columns.store_at(dx + at, fma(g, channel(f.a), fma(xv, channel(f.b), channel(f.k))), t);
    }
  }
}

void channel_affine2_channels(int64_t pixels, int32_t channels, const float* a, const float* b,
                              const float* k, const ReluMask& mask, const float* dy, const float* x,
                              float* dx, float* dr) {
  with_kind(mask, [&](auto kind) {
    for (int64_t p = 0; p < pixels; ++p) {
      each_columns(channels, [&](auto columns, int32_t c, Tail t) {
        affine2_columns<decltype(kind)::passes>(columns, p * channels + c, c, {a, b, k}, mask, dy,
                                                x, dx, dr, t);
      });
    }
  });
}

// Lanes without a sample stay zero.
void channel_affine2_samples(int64_t pixels, int32_t channels, int32_t samples, const float* a,
                             const float* b, const float* k, const ReluMask& mask, const float* dy,
                             const float* x, float* dx, float* dr) {
  const SampleLanes lanes(samples);
  const auto put = [&](float* to, int part, V v) {
    if (part + 1 < lanes.parts) return store(to, v);
    store(to, zero());
    if (part + 1 == lanes.parts) store_tail(to, v, lanes.last);
  };
  with_kind(mask, [&](auto kind) {
    constexpr Passes kPasses = decltype(kind)::passes;
    for (int64_t p = 0, at = 0; p < pixels; ++p) {
      for (int32_t c = 0; c < channels; ++c) {
        const V va = splat(a[c]), vb = splat(b[c]), vk = splat(k[c]);
        const V scale = mask.scale ? splat(mask.scale[c]) : zero();
        const V offset = mask.scale ? splat(mask.offset[c]) : zero();
        for (int part = 0; part < kParts; ++part, at += kWidth) {
          const V xv = load(x + at), y = mask.y ? load(mask.y + at) : zero();
          const V g = passed<kPasses>(load(dy + at), xv, y, scale, offset);
          if (dr) put(dr + at, part, g);
          if (dx) put(dx + at, part, fma(g, va, fma(xv, vb, vk)));
        }
      }
    }
  });
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
