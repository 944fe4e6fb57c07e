// Depthwise convolution: each channel with its own kernel, vectors along a pixel's floats
// (channels, or channels of samples in lanes). A tile of pixels shares each vector of weights.
// Windows are clipped at the image's edges, so no padded copy is made.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

constexpr int kDepthwisePixels = 8;
constexpr int kDepthwiseTaps = 4;
constexpr int kDepthwiseVectors = kTileRegisters >= 24 ? 4 : 2;

struct TapSpan {
  int32_t begin, end;
};
struct DepthwiseTile {
  const DepthwisePass* pass;
  TapSpan h, w;
  const float *x, *weights, *bias;  // x: at the first pixel's origin
  float* y;
};

template <bool kMasked>
STRIATE_INLINE V load_lanes(const float* p, Tail t) {
  if constexpr (kMasked) {
    return load_tail(p, t);
  } else {
    return load(p);
  }
}

// P pixels of a row, one vector of their floats from i on.
template <int P, bool kMasked>
STRIATE_INLINE void depthwise_vector(const DepthwiseTile& tile, int32_t i, Tail t) {
  const DepthwisePass& pass = *tile.pass;
  V sum[P];
  const V start = tile.bias ? load_lanes<kMasked>(tile.bias + i, t) : zero();
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) sum[p] = start;
  for (int32_t a = tile.h.begin; a < tile.h.end; ++a) {
    const DepthwiseTap& down = pass.taps_h[a];
    for (int32_t b = tile.w.begin; b < tile.w.end; ++b) {
      const DepthwiseTap& right = pass.taps_w[b];
      const float* x = tile.x + down.x + right.x + i;
      const V w = once(
          load_lanes<kMasked>(tile.weights + (down.weight + right.weight) * pass.inner + i, t));
#pragma GCC unroll 8
      for (int p = 0; p < P; ++p) {
        sum[p] = fma(load_lanes<kMasked>(x + p % 3 * pass.x_col, t), w, sum[p]);
        if (p % 3 == 2 && p + 1 < P) x = opaque(x + 3 * pass.x_col);
      }
    }
  }
#pragma GCC unroll 8
  for (int p = 0; p < P; ++p) {
    float* const y = tile.y + p * pass.y_col + i;
    kMasked ? store_tail(y, sum[p], t) : store(y, sum[p]);
  }
}

template <int P>
void depthwise_pixels(const DepthwiseTile& tile) {
  const int32_t inner = tile.pass->inner;
  int32_t i = 0;
  for (; i + kWidth <= inner; i += kWidth) depthwise_vector<P, false>(tile, i, tail(kWidth));
  if (i < inner) depthwise_vector<P, true>(tile, i, tail(inner - i));
}

typedef void (*DepthwisePixelsFn)(const DepthwiseTile&);
constexpr DepthwisePixelsFn kDepthwiseFns[kDepthwisePixels + 1] = {nullptr,
                                                                   depthwise_pixels<1>,
                                                                   depthwise_pixels<2>,
                                                                   depthwise_pixels<3>,
                                                                   depthwise_pixels<4>,
                                                                   depthwise_pixels<5>,
                                                                   depthwise_pixels<6>,
                                                                   depthwise_pixels<7>,
                                                                   depthwise_pixels<8>};

// The columns from first up to end of one row, which all see the taps w.
inline void depthwise_columns(DepthwiseTile tile, TapSpan w, int32_t first, int32_t end) {
  const DepthwisePass& pass = *tile.pass;
  tile.w = w;
  tile.x += first * pass.x_col;
  tile.y += first * pass.y_col;
  const Cut cut(end - first, kDepthwisePixels);
  for (int32_t t = 0; t < cut.tiles; ++t) {
    const int32_t size = t < cut.larger ? cut.size + 1 : cut.size;
    kDepthwiseFns[size](tile);
    tile.x += size * pass.x_col;
    tile.y += size * pass.y_col;
  }
}

void depthwise(const DepthwisePass& pass, const float* x, const float* w, const float* bias,
               float* y) {
  const auto taps_at = [&](int32_t c) {
    return TapSpan{pass.col_taps[2 * c], pass.col_taps[2 * c + 1]};
  };
  for (int32_t r = 0; r < pass.rows; ++r) {
    const DepthwiseTile row = {&pass,
                               {pass.row_taps[2 * r], pass.row_taps[2 * r + 1]},
                               {0, 0},
                               x + r * pass.x_row,
                               w,
                               bias,
                               y + r * pass.y_row};
    for (int32_t c = 0; c < pass.inside_begin; ++c) depthwise_columns(row, taps_at(c), c, c + 1);
    depthwise_columns(row, {0, pass.tap_cols}, pass.inside_begin, pass.inside_end);
    for (int32_t c = pass.inside_end; c < pass.cols; ++c) {
      depthwise_columns(row, taps_at(c), c, c + 1);
    }
  }
}

// dw of T neighbouring taps of a kernel row and CV vectors, over `cols` pixels of a row.
struct DepthwiseSums {
  const DepthwisePass* pass;
  const DepthwiseTap* taps;
  const float *x, *dy;
  int32_t cols;
  float* dw;  // of the kernel row's tap 0
};

template <int T, int CV, bool kMasked>
void depthwise_sums(const DepthwiseSums& s, Tail t) {
  const int64_t x_col = s.pass->x_col, y_col = s.pass->y_col;
  V sum[T][CV];
  const float* x[T];
  float* dw[T];
#pragma GCC unroll 8
  for (int k = 0; k < T; ++k) {
    x[k] = s.x + s.taps[k].x;
    dw[k] = s.dw + static_cast<int64_t>(s.taps[k].weight) * s.pass->inner;
#pragma GCC unroll 8
    for (int v = 0; v < CV; ++v) sum[k][v] = load_lanes<kMasked>(dw[k] + v * kWidth, t);
  }
  const float* dy = s.dy;
  int64_t at = 0;
  for (int32_t c = 0; c < s.cols; ++c, at += x_col, dy += y_col) {
    V d[CV];
#pragma GCC unroll 8
    for (int v = 0; v < CV; ++v) d[v] = once(load_lanes<kMasked>(dy + v * kWidth, t));
#pragma GCC unroll 8
    for (int k = 0; k < T; ++k) {
#pragma GCC unroll 8
      for (int v = 0; v < CV; ++v) {
        sum[k][v] = fma(load_lanes<kMasked>(x[k] + at + v * kWidth, t), d[v], sum[k][v]);
      }
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < T; ++k) {
#pragma GCC unroll 8
    for (int v = 0; v < CV; ++v) {
      float* const to = dw[k] + v * kWidth;
      kMasked ? store_tail(to, sum[k][v], t) : store(to, sum[k][v]);
    }
  }
}

typedef void (*DepthwiseSumsFn)(const DepthwiseSums&, Tail);
template <int CV, bool kMasked>
constexpr DepthwiseSumsFn depthwise_sums_of(int taps) {
  return taps == 1   ? depthwise_sums<1, CV, kMasked>
         : taps == 2 ? depthwise_sums<2, CV, kMasked>
         : taps == 3 ? depthwise_sums<3, CV, kMasked>
                     : depthwise_sums<4, CV, kMasked>;
}

// One kernel row over one output row: the taps together where all see the image, and each alone
// at the edges.
template <int CV, bool kMasked>
void depthwise_kernel_row(DepthwiseSums s, Tail t) {
  const DepthwisePass& pass = *s.pass;
  const float *const x = s.x, *const dy = s.dy;
  const auto add = [&](int32_t tap, int taps, int32_t first, int32_t end) {
    if (first >= end) return;
    s.taps = pass.taps_w + tap;
    s.x = x + first * pass.x_col;
    s.dy = dy + first * pass.y_col;
    s.cols = end - first;
    depthwise_sums_of<CV, kMasked>(taps)(s, t);
  };
  const Cut cut(pass.tap_cols, kDepthwiseTaps);
  for (int32_t g = 0, tap = 0; g < cut.tiles; ++g) {
    const int32_t taps = g < cut.larger ? cut.size + 1 : cut.size;
    add(tap, taps, pass.inside_begin, pass.inside_end);
    tap += taps;
  }
  for (int32_t tap = 0; tap < pass.tap_cols; ++tap) {
    const int32_t first = pass.tap_columns[2 * tap], end = pass.tap_columns[2 * tap + 1];
    add(tap, 1, first, static_cast<int32_t>(least(end, pass.inside_begin)));
    add(tap, 1, first > pass.inside_end ? first : pass.inside_end, end);
  }
}

void depthwise_wgrad(const DepthwisePass& pass, const float* x, const float* dy, float* dw,
                     bool accumulate) {
  if (!accumulate) {
    zero_floats(dw, static_cast<int64_t>(pass.tap_rows) * pass.tap_cols * pass.inner);
  }
  constexpr int32_t kTile = kDepthwiseVectors * kWidth;
  for (int32_t r = 0; r < pass.rows; ++r) {
    for (int32_t a = pass.row_taps[2 * r]; a < pass.row_taps[2 * r + 1]; ++a) {
      const DepthwiseTap& down = pass.taps_h[a];
      for (int32_t i = 0; i < pass.inner;) {
        const DepthwiseSums s = {&pass,
                                 nullptr,
                                 x + r * pass.x_row + down.x + i,
                                 dy + r * pass.y_row + i,
                                 0,
                                 dw + static_cast<int64_t>(down.weight) * pass.inner + i};
        const int32_t rest = pass.inner - i;
        if (rest >= kTile) {
          depthwise_kernel_row<kDepthwiseVectors, false>(s, tail(kWidth));
          i += kTile;
        } else if (rest >= kWidth) {
          depthwise_kernel_row<1, false>(s, tail(kWidth));
          i += kWidth;
        } else {
          depthwise_kernel_row<1, true>(s, tail(rest));
          i = pass.inner;
        }
      }
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
