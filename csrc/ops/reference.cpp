#include "ops/reference.h"

#include <algorithm>

namespace striate::reference {
namespace {

// Calls f(x index, w index, y index) for every product of a convolution.
template <typename F>
void each_product(std::int64_t n, const ConvGeometry& g, F f) {
  const std::int64_t cg = g.c / g.groups, ocg = g.oc / g.groups;
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t oh = 0; oh < g.oh; ++oh)
      for (std::int64_t ow = 0; ow < g.ow; ++ow)
        for (std::int64_t o = 0; o < g.oc; ++o)
          for (std::int64_t kh = 0; kh < g.kh; ++kh)
            for (std::int64_t kw = 0; kw < g.kw; ++kw) {
              const std::int64_t h = oh * g.strides.h - g.pad_top + kh * g.dilation.h;
              const std::int64_t w = ow * g.strides.w - g.pad_left + kw * g.dilation.w;
              if (h < 0 || h >= g.h || w < 0 || w >= g.w) continue;
              for (std::int64_t c = 0; c < cg; ++c)
                f(((i * g.h + h) * g.w + w) * g.c + o / ocg * cg + c,
                  ((kh * g.kw + kw) * cg + c) * g.oc + o, ((i * g.oh + oh) * g.ow + ow) * g.oc + o);
            }
}

// Calls f(x index) for every pixel of the window of output (i, oh, ow, c), in window order.
template <typename F>
void each_pixel(const PoolPass& p, std::int64_t i, std::int64_t oh, std::int64_t ow, std::int64_t c,
                F f) {
  for (std::int64_t kh = 0; kh < p.window_h; ++kh)
    for (std::int64_t kw = 0; kw < p.window_w; ++kw) {
      const std::int64_t h = oh * p.stride_h - p.pad_top + kh;
      const std::int64_t w = ow * p.stride_w - p.pad_left + kw;
      if (h >= 0 && h < p.height && w >= 0 && w < p.width)
        f(((i * p.height + h) * p.width + w) * p.inner + c);
    }
}

// Calls f(i, oh, ow, c, y index) for every output of a pooling.
template <typename F>
void each_output(const PoolPass& p, F f) {
  std::int64_t y = 0;
  for (std::int64_t i = 0; i < p.images; ++i)
    for (std::int64_t oh = 0; oh < p.out_height; ++oh)
      for (std::int64_t ow = 0; ow < p.out_width; ++ow)
        for (std::int64_t c = 0; c < p.inner; ++c) f(i, oh, ow, c, y++);
}

template <typename T>
T divisor(const PoolPass& p, std::int64_t i, std::int64_t oh, std::int64_t ow, std::int64_t c) {
  if (p.divisor > 0) return static_cast<T>(p.divisor);
  std::int64_t count = 0;
  if (p.divisor == 0) each_pixel(p, i, oh, ow, c, [&](std::int64_t) { ++count; });
  if (p.divisor == kPaddedPixels)
    for (std::int64_t kh = 0; kh < p.window_h; ++kh)
      for (std::int64_t kw = 0; kw < p.window_w; ++kw)
        count += oh * p.stride_h + kh < p.pad_top + p.height + p.pad_bottom &&
                 ow * p.stride_w + kw < p.pad_left + p.width + p.pad_right;
  return static_cast<T>(count);
}

}  // namespace

template <typename T>
void conv2d(std::int64_t n, const ConvGeometry& g, const T* x, const T* w, const T* b, T* y) {
  for (std::int64_t k = 0; k < n * g.oh * g.ow * g.oc; ++k) y[k] = b ? b[k % g.oc] : T(0);
  each_product(n, g,
               [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) { y[yi] += x[xi] * w[wi]; });
}

template <typename T>
void conv2d_backward(std::int64_t n, const ConvGeometry& g, const T* x, const T* w, const T* dy,
                     T* dx, T* dw, T* db) {
  std::fill(dx, dx + n * g.h * g.w * g.c, T(0));
  std::fill(dw, dw + g.kh * g.kw * (g.c / g.groups) * g.oc, T(0));
  std::fill(db, db + g.oc, T(0));
  for (std::int64_t k = 0; k < n * g.oh * g.ow * g.oc; ++k) db[k % g.oc] += dy[k];
  each_product(n, g, [&](std::int64_t xi, std::int64_t wi, std::int64_t yi) {
    dx[xi] += dy[yi] * w[wi];
    dw[wi] += dy[yi] * x[xi];
  });
}

template <typename T>
void dense(std::int64_t n, std::int64_t inputs, std::int64_t outputs, const T* x, const T* w,
           const T* b, T* y) {
  const ConvGeometry g{1, 1, inputs, 1, 1, outputs, 1, 1, 1, {1, 1}, {1, 1}, 0, 0};
  conv2d(n, g, x, w, b, y);
}

template <typename T>
void dense_backward(std::int64_t n, std::int64_t inputs, std::int64_t outputs, const T* x,
                    const T* w, const T* dy, T* dx, T* dw, T* db) {
  const ConvGeometry g{1, 1, inputs, 1, 1, outputs, 1, 1, 1, {1, 1}, {1, 1}, 0, 0};
  conv2d_backward(n, g, x, w, dy, dx, dw, db);
}

template <typename T>
void max_pool(const PoolPass& p, const T* x, T* y) {
  each_output(p, [&](auto i, auto oh, auto ow, auto c, auto yi) {
    const T* best = nullptr;
    each_pixel(p, i, oh, ow, c, [&](std::int64_t xi) {
      if (!best || x[xi] > *best) best = x + xi;
    });
    y[yi] = *best;
  });
}

template <typename T>
void max_pool_backward(const PoolPass& p, const T* x, const T* dy, T* dx) {
  std::fill(dx, dx + std::int64_t{p.images} * p.height * p.width * p.inner, T(0));
  each_output(p, [&](auto i, auto oh, auto ow, auto c, auto yi) {
    std::int64_t best = -1;
    each_pixel(p, i, oh, ow, c, [&](std::int64_t xi) {
      if (best < 0 || x[xi] > x[best]) best = xi;
    });
    dx[best] += dy[yi];
  });
}

template <typename T>
void avg_pool(const PoolPass& p, const T* x, T* y) {
  each_output(p, [&](auto i, auto oh, auto ow, auto c, auto yi) {
    T sum(0);
    each_pixel(p, i, oh, ow, c, [&](std::int64_t xi) { sum += x[xi]; });
    y[yi] = sum / divisor<T>(p, i, oh, ow, c);
  });
}

template <typename T>
void avg_pool_backward(const PoolPass& p, const T* dy, T* dx) {
  std::fill(dx, dx + std::int64_t{p.images} * p.height * p.width * p.inner, T(0));
  each_output(p, [&](auto i, auto oh, auto ow, auto c, auto yi) {
    const T share = dy[yi] / divisor<T>(p, i, oh, ow, c);
    each_pixel(p, i, oh, ow, c, [&](std::int64_t xi) { dx[xi] += share; });
  });
}

#define STRIATE_REFERENCE(T)                                                                     \
  template void conv2d<T>(std::int64_t, const ConvGeometry&, const T*, const T*, const T*, T*);  \
  template void conv2d_backward<T>(std::int64_t, const ConvGeometry&, const T*, const T*,        \
                                   const T*, T*, T*, T*);                                        \
  template void dense<T>(std::int64_t, std::int64_t, std::int64_t, const T*, const T*, const T*, \
                         T*);                                                                    \
  template void dense_backward<T>(std::int64_t, std::int64_t, std::int64_t, const T*, const T*,  \
                                  const T*, T*, T*, T*);                                         \
  template void max_pool<T>(const PoolPass&, const T*, T*);                                      \
  template void max_pool_backward<T>(const PoolPass&, const T*, const T*, T*);                   \
  template void avg_pool<T>(const PoolPass&, const T*, T*);                                      \
  template void avg_pool_backward<T>(const PoolPass&, const T*, T*);
STRIATE_REFERENCE(float)
STRIATE_REFERENCE(double)
#undef STRIATE_REFERENCE

}  // namespace striate::reference
