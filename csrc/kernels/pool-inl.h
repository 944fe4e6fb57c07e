// Pooling. Both layouts are images of pixels of `inner` contiguous floats; vectors run along them.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

struct Span {
  int32_t begin, end;
};
// The part of a window, or of the windows over a pixel, that exists.
inline Span window_span(int32_t out, int32_t stride, int32_t pad, int32_t window, int32_t size) {
  const int32_t first = out * stride - pad;
  Span s = {first < 0 ? -first : 0, window};
  if (first + s.end > size) s.end = size - first;
  return s;
}
inline Span windows_over(int32_t in, int32_t stride, int32_t pad, int32_t window, int32_t out) {
  const int32_t at = in + pad;
  Span s = {at < window ? 0 : (at - window) / stride + 1, at / stride + 1};
  if (s.end > out) s.end = out;
  return s;
}

// Calls body(offset, load, store) along `inner`, the last vector with masks.
template <class Body>
STRIATE_INLINE void along(int32_t inner, Body body) {
  int32_t i = 0;
  for (; i + kWidth <= inner; i += kWidth) body(i, kWidth);
  if (i < inner) body(i, inner - i);
}
STRIATE_INLINE V load_some(const float* p, int n) {
  return n == kWidth ? load(p) : load_tail(p, tail(n));
}
STRIATE_INLINE void store_some(float* p, V v, int n) {
  n == kWidth ? store(p, v) : store_tail(p, v, tail(n));
}

// One vector of one output pixel. x: the window's first pixel, which may lie outside the image.
template <bool kIndex, bool kMasked>
STRIATE_INLINE void max_pool_vector(const PoolPass& p, Span h, Span w, const float* x, float* y,
                                    float* index, Tail t) {
  const int64_t row = static_cast<int64_t>(p.width) * p.inner;
  const auto at = [&](int32_t a, int32_t b) {
    const float* const from = x + a * row + b * p.inner;
    return kMasked ? load_tail(from, t) : load(from);
  };
  V best = at(h.begin, w.begin);
  V place = splat(static_cast<float>(h.begin * p.window_w + w.begin));
  const auto meet = [&](int32_t a, int32_t b) {
    const V v = at(a, b);
    const Cond better = gt(v, best);
    best = select(better, v, best);
    if (kIndex) place = select(better, splat(static_cast<float>(a * p.window_w + b)), place);
  };
  if (h.begin == 0 && h.end == 2 && w.begin == 0 && w.end == 2) {  // most windows are these
    meet(0, 1);
    meet(1, 0);
    meet(1, 1);
  } else {
    for (int32_t a = h.begin; a < h.end; ++a) {
      for (int32_t b = w.begin; b < w.end; ++b) meet(a, b);
    }
  }
  kMasked ? store_tail(y, best, t) : store(y, best);
  if (kIndex) kMasked ? store_tail(index, place, t) : store(index, place);
}

template <bool kIndex>
STRIATE_INLINE void max_pool_image(const PoolPass& p, const float* x, float* y, float* index) {
  const int64_t row = static_cast<int64_t>(p.width) * p.inner;
  const Tail rest = tail(p.inner % kWidth);
  for (int32_t r = 0; r < p.out_height; ++r) {
    const Span h = window_span(r, p.stride_h, p.pad_top, p.window_h, p.height);
    for (int32_t c = 0; c < p.out_width; ++c, y += p.inner, index += kIndex ? p.inner : 0) {
      const Span w = window_span(c, p.stride_w, p.pad_left, p.window_w, p.width);
      const float* const from = x + static_cast<int64_t>(r * p.stride_h - p.pad_top) * row +
                                static_cast<int64_t>(c * p.stride_w - p.pad_left) * p.inner;
      int32_t i = 0;
      for (; i + kWidth <= p.inner; i += kWidth) {
        max_pool_vector<kIndex, false>(p, h, w, from + i, y + i, kIndex ? index + i : nullptr,
                                       rest);
      }
      if (i < p.inner) {
        max_pool_vector<kIndex, true>(p, h, w, from + i, y + i, kIndex ? index + i : nullptr, rest);
      }
    }
  }
}

void max_pool(const PoolPass& p, const float* x, float* y, float* index) {
  const int64_t from = static_cast<int64_t>(p.height) * p.width * p.inner;
  const int64_t to = static_cast<int64_t>(p.out_height) * p.out_width * p.inner;
  for (int32_t n = 0; n < p.images; ++n, x += from, y += to) {
    if (index) {
      max_pool_image<true>(p, x, y, index);
      index += to;
    } else {
      max_pool_image<false>(p, x, y, nullptr);
    }
  }
}

// Each input pixel gathers from the windows over it, in window order, so nothing is written twice.
// `take(offset of the window's pixel in dy, place, i, n)` is what one window gives to a vector.
template <class Take>
STRIATE_INLINE void pool_gather(const PoolPass& p, float* dx, Take take) {
  for (int32_t image = 0; image < p.images; ++image) {
    for (int32_t r = 0; r < p.height; ++r) {
      const Span h = windows_over(r, p.stride_h, p.pad_top, p.window_h, p.out_height);
      for (int32_t c = 0; c < p.width; ++c, dx += p.inner) {
        const Span w = windows_over(c, p.stride_w, p.pad_left, p.window_w, p.out_width);
        along(p.inner, [&](int32_t i, int n) {
          V sum = zero();
          for (int32_t a = h.begin; a < h.end; ++a) {
            for (int32_t b = w.begin; b < w.end; ++b) {
              const int64_t pixel = (static_cast<int64_t>(image) * p.out_height + a) * p.out_width;
              sum = sum + take((pixel + b) * p.inner + i, a, b, r, c, n);
            }
          }
          store_some(dx + i, sum, n);
        });
      }
    }
  }
}

inline bool windows_overlap(const PoolPass& p) {
  return p.window_h > p.stride_h || p.window_w > p.stride_w;
}

// Windows that do not overlap give to their own pixels instead, and dy is read once: 2.5 times as
// fast as gathering on LeNet-5's 2x2. body(offset in dy, the window's first pixel in dx, r, c, h,
// w, n)
template <class Body>
STRIATE_INLINE void pool_scatter(const PoolPass& p, float* dx, Body body) {
  const int64_t row = static_cast<int64_t>(p.width) * p.inner;
  const bool all = p.stride_h == p.window_h && p.stride_w == p.window_w && p.pad_top == 0 &&
                   p.pad_left == 0 && p.out_height * p.stride_h >= p.height &&
                   p.out_width * p.stride_w >= p.width;
  if (!all) {
    const int64_t floats = p.images * p.height * row;
    for (int64_t i = 0; i < floats; i += kWidth) {
      store_some(dx + i, zero(), static_cast<int>(least(kWidth, floats - i)));
    }
  }
  int64_t at = 0;
  for (int32_t image = 0; image < p.images; ++image, dx += p.height * row) {
    for (int32_t r = 0; r < p.out_height; ++r) {
      const Span h = window_span(r, p.stride_h, p.pad_top, p.window_h, p.height);
      for (int32_t c = 0; c < p.out_width; ++c, at += p.inner) {
        const Span w = window_span(c, p.stride_w, p.pad_left, p.window_w, p.width);
        float* const to = dx + static_cast<int64_t>(r * p.stride_h - p.pad_top) * row +
                          static_cast<int64_t>(c * p.stride_w - p.pad_left) * p.inner;
        along(p.inner, [&](int32_t i, int n) { body(at + i, to + i, r, c, h, w, n); });
      }
    }
  }
}

void max_pool_backward(const PoolPass& p, const float* dy, const float* index, float* dx) {
  if (!windows_overlap(p)) {
    const int64_t row = static_cast<int64_t>(p.width) * p.inner;
    return pool_scatter(p, dx, [&](int64_t at, float* to, int32_t, int32_t, Span h, Span w, int n) {
      const V d = load_some(dy + at, n), place = load_some(index + at, n);
      for (int32_t a = h.begin; a < h.end; ++a) {
        for (int32_t b = w.begin; b < w.end; ++b) {
          const Cond mine = eq(place, splat(static_cast<float>(a * p.window_w + b)));
          store_some(to + a * row + b * p.inner, select(mine, d, zero()), n);
        }
      }
    });
  }
  pool_gather(p, dx, [&](int64_t at, int32_t a, int32_t b, int32_t r, int32_t c, int n) {
    const int32_t kh = r + p.pad_top - a * p.stride_h, kw = c + p.pad_left - b * p.stride_w;
    const Cond mine = eq(load_some(index + at, n), splat(static_cast<float>(kh * p.window_w + kw)));
    return select(mine, load_some(dy + at, n), zero());
  });
}

// What output (r, c) divides its sum by; h and w are what is inside the image of its window.
inline float pool_divisor(const PoolPass& p, int32_t r, int32_t c, Span h, Span w) {
  if (p.divisor > 0) return static_cast<float>(p.divisor);
  if (p.divisor == kPaddedPixels) {
    // From the window's own first row on: rows above the image count, and are never clipped.
    h = window_span(r, p.stride_h, 0, p.window_h, p.pad_top + p.height + p.pad_bottom);
    w = window_span(c, p.stride_w, 0, p.window_w, p.pad_left + p.width + p.pad_right);
  }
  return static_cast<float>((h.end - h.begin) * (w.end - w.begin));
}
inline float pool_share(const PoolPass& p, int32_t r, int32_t c) {
  const Span h = window_span(r, p.stride_h, p.pad_top, p.window_h, p.height);
  const Span w = window_span(c, p.stride_w, p.pad_left, p.window_w, p.width);
  return 1.0f / pool_divisor(p, r, c, h, w);
}

void avg_pool(const PoolPass& p, const float* x, float* y) {
  const int64_t row = static_cast<int64_t>(p.width) * p.inner;
  for (int32_t image = 0; image < p.images; ++image, x += p.height * row) {
    for (int32_t r = 0; r < p.out_height; ++r) {
      const Span h = window_span(r, p.stride_h, p.pad_top, p.window_h, p.height);
      for (int32_t c = 0; c < p.out_width; ++c, y += p.inner) {
        const Span w = window_span(c, p.stride_w, p.pad_left, p.window_w, p.width);
        const float* from = x + static_cast<int64_t>(r * p.stride_h - p.pad_top) * row +
                            static_cast<int64_t>(c * p.stride_w - p.pad_left) * p.inner;
        const V divisor = splat(pool_divisor(p, r, c, h, w));
        along(p.inner, [&](int32_t i, int n) {
          V sum = zero();
          for (int32_t a = h.begin; a < h.end; ++a) {
            for (int32_t b = w.begin; b < w.end; ++b) {
              sum = sum + load_some(from + a * row + b * p.inner + i, n);
            }
          }
          store_some(y + i, sum / divisor, n);
        });
      }
    }
  }
}

void avg_pool_backward(const PoolPass& p, const float* dy, float* dx, int32_t order) {
  if (!windows_overlap(p)) {
    const int64_t row = static_cast<int64_t>(p.width) * p.inner;
    return pool_scatter(
        p, dx, [&](int64_t at, float* to, int32_t r, int32_t c, Span h, Span w, int n) {
          const float share = 1.0f / pool_divisor(p, r, c, h, w);
          const V d = load_some(dy + at, n) * splat(order == 2 ? share * share : share);
          for (int32_t a = h.begin; a < h.end; ++a) {
            for (int32_t b = w.begin; b < w.end; ++b) store_some(to + a * row + b * p.inner, d, n);
          }
        });
  }
  pool_gather(p, dx, [&](int64_t at, int32_t a, int32_t b, int32_t, int32_t, int n) {
    const float share = pool_share(p, a, b);
    return load_some(dy + at, n) * splat(order == 2 ? share * share : share);
  });
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
