// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3), channels in
// lanes. A few pixels at a time are staged between gaps of zeros, so that a window of channels is
// as many loads, edges included.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

constexpr float kLargest = 3.40282347e38f;

// `window` floats from p on; kWindow is their number where it is known to the compiler.
template <int kWindow>
STRIATE_INLINE V window_sum(const float* p, int32_t window) {
  V sum = load(p);
  if constexpr (kWindow > 0) {
#pragma GCC unroll 8
    for (int j = 1; j < kWindow; ++j) sum = sum + load(p + j);
  } else {
    for (int32_t j = 1; j < window; ++j) sum = sum + load(p + j);
  }
  return sum;
}

// Pixels of `channels` floats at a distance of `pitch`, zeros between them. Whole vectors are read:
// what lies past a pixel's channels and gap is never used.
struct Stage {
  float* first;  // of the first pixel
  int64_t pitch;
};

inline void zero_floats(float* p, int64_t n) {
  for (; n >= kWidth; n -= kWidth, p += kWidth) store(p, zero());
  if (n > 0) store_tail(p, zero(), tail(static_cast<int>(n)));
}

inline int64_t stage_floats(const ResponseNorm& p) {
  return static_cast<int64_t>(p.stage) * (p.channels + p.before + p.after) + kLanes;
}
inline Stage make_stage(const ResponseNorm& p, int32_t before, float* memory) {
  zero_floats(memory, stage_floats(p));
  return {memory + before, static_cast<int64_t>(p.channels) + p.before + p.after};
}

inline void stage_squares(const ResponseNorm& p, int32_t pixels, const float* x, const Stage& to) {
  for (int32_t i = 0; i < pixels; ++i, x += p.channels) {
    float* const row = to.first + i * to.pitch;
    along(p.channels, [&](int32_t c, int n) {
      const V v = load_some(x + c, n);
      store(row + c, v * v);  // zeros past the pixel, where the next one is still to come
    });
  }
}

// k + alpha * (sum of the window's squares), finite even where the squares overflow.
template <int kWindow>
STRIATE_INLINE V response_scale(const ResponseNorm& p, const float* squares) {
  const V sum = window_sum<kWindow>(squares - p.before, p.before + p.after + 1);
  return min(splat(kLargest), fma(splat(p.alpha), sum, splat(p.k)));
}

template <int kWindow, class Factor>
void response_norm_pixels(const ResponseNorm& p, int64_t pixels, const float* x, float* y,
                          float* factor, float* scratch, Factor f) {
  const Stage squares = make_stage(p, p.before, scratch);
  const int64_t channels = p.channels;
  for (int64_t done = 0; done < pixels; done += p.stage) {
    const int32_t now = static_cast<int32_t>(least(p.stage, pixels - done));
    stage_squares(p, now, x, squares);
    for (int32_t i = 0; i < now; ++i, x += channels, y += channels) {
      const float* const row = squares.first + i * squares.pitch;
      along(p.channels, [&](int32_t c, int n) {
        const V v = f(response_scale<kWindow>(p, row + c));
        if (factor) store_some(factor + c, v, n);
        store_some(y + c, load_some(x + c, n) * v, n);
      });
      if (factor) factor += channels;
    }
  }
}

template <class Factor>
void response_norm_windows(const ResponseNorm& p, int64_t pixels, const float* x, float* y,
                           float* factor, float* scratch, Factor f) {
  if (p.before == 2 && p.after == 2) {
    return response_norm_pixels<5>(p, pixels, x, y, factor, scratch, f);
  }
  response_norm_pixels<0>(p, pixels, x, y, factor, scratch, f);
}

void response_norm(const ResponseNorm& p, int64_t pixels, const float* x, float* y, float* factor,
                   float* scratch) {
  if (p.beta == 0.75f) {
    return response_norm_windows(p, pixels, x, y, factor, scratch,
                                 [](V s) { return sqrt(sqrt(s)) / s; });
  }
  if (p.beta == 0.5f) {
    return response_norm_windows(p, pixels, x, y, factor, scratch,
                                 [](V s) { return splat(1.0f) / sqrt(s); });
  }
  if (p.beta == 1.0f) {
    return response_norm_windows(p, pixels, x, y, factor, scratch,
                                 [](V s) { return splat(1.0f) / s; });
  }
  const V minus_beta = splat(-p.beta);
  response_norm_windows(p, pixels, x, y, factor, scratch,
                        [=](V s) { return power(s, minus_beta); });
}

// dx[j] = dy[j] f[j] - 2 alpha beta x[j] * sum over the c whose window holds j of dy[c] x[c] f[c] /
// s[c]. The scale s is summed again, the power f is not taken again.
template <int kWindow>
void response_norm_backward_pixels(const ResponseNorm& p, int64_t pixels, const float* x,
                                   const float* factor, const float* dy, float* dx,
                                   float* scratch) {
  const Stage squares = make_stage(p, p.before, scratch);
  const Stage shares = make_stage(p, p.after, scratch + stage_floats(p));
  const V twice = splat(2.0f * p.alpha * p.beta);
  const int64_t channels = p.channels;
  for (int64_t done = 0; done < pixels; done += p.stage) {
    const int32_t now = static_cast<int32_t>(least(p.stage, pixels - done));
    stage_squares(p, now, x, squares);
    for (int32_t i = 0; i < now; ++i) {
      const float* const row = squares.first + i * squares.pitch;
      float* const to = shares.first + i * shares.pitch;
      const int64_t at = i * channels;
      along(p.channels, [&](int32_t c, int n) {
        const V s = response_scale<kWindow>(p, row + c);
        const V slope = load_some(x + at + c, n) * load_some(factor + at + c, n) / s;
        store_some(to + c, load_some(dy + at + c, n) * slope, n);
      });
    }
    for (int32_t i = 0; i < now; ++i, x += channels, dy += channels, dx += channels) {
      const float* const row = shares.first + i * shares.pitch;
      along(p.channels, [&](int32_t c, int n) {
        const V sum = window_sum<kWindow>(row + c - p.after, p.before + p.after + 1);
        const V own = load_some(dy + c, n) * load_some(factor + c, n);
        store_some(dx + c, fnma(twice * load_some(x + c, n), sum, own), n);
      });
      factor += channels;
    }
  }
}

void response_norm_backward(const ResponseNorm& p, int64_t pixels, const float* x,
                            const float* factor, const float* dy, float* dx, float* scratch) {
  if (p.before == 2 && p.after == 2) {
    return response_norm_backward_pixels<5>(p, pixels, x, factor, dy, dx, scratch);
  }
  response_norm_backward_pixels<0>(p, pixels, x, factor, dy, dx, scratch);
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
