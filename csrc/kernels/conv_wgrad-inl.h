#pragma once
// Weight gradients of convolutions: sums over output pixels of x * dy, a tile of MB weight rows by
// CB outputs (samples in lanes) or CV vectors of outputs (channels in lanes).
#include "kernels/conv_channels-inl.h"
#include "kernels/tiles-inl.h"

namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

inline bool row_has(const ConvPass& pass, int32_t row, int32_t run) {
  return pass.row_runs[2 * row] <= run && run < pass.row_runs[2 * row + 1];
}

// ---- samples in lanes
// -----------------------------------------------------------------------------

struct WgradTile {
  const ConvPass* pass;
  int32_t run;
  const float *x, *dy;  // at the first row's first pixel, first weight row, first output
  int64_t x_step;       // floats of x between the tile's weight rows
  float* dw;
  int64_t dw_row;  // floats of dw between the tile's weight rows
  bool accumulate;
};

template <int MB, int CB>
STRIATE_INLINE void wgrad_step(const float* x, int64_t x_step, const float* dy, V (&sum)[MB][CB]) {
  if constexpr (MB <= CB) {
    V xv[MB];
#pragma GCC unroll 32
    for (int m = 0; m < MB; ++m) xv[m] = load(x + m * x_step);
#pragma GCC unroll 32
    for (int o = 0; o < CB; ++o) {
      const V d = load(dy + o * kLanes);
#pragma GCC unroll 32
      for (int m = 0; m < MB; ++m) sum[m][o] = fma(xv[m], d, sum[m][o]);
    }
  } else {
    V d[CB];
#pragma GCC unroll 32
    for (int o = 0; o < CB; ++o) d[o] = load(dy + o * kLanes);
#pragma GCC unroll 32
    for (int m = 0; m < MB; ++m) {
      const V xv = load(x + m * x_step);
#pragma GCC unroll 32
      for (int o = 0; o < CB; ++o) sum[m][o] = fma(xv, d[o], sum[m][o]);
    }
  }
}

// Sums the lanes of n vectors, four at a time: one by one the sums of a 6x4 tile took 10 % of
// LeNet-5's second convolution.
template <int N>
STRIATE_INLINE void sum_lanes(const V* v, float* out) {
#pragma GCC unroll 32
  for (int i = 0; i + 4 <= N; i += 4) hsum4(v[i], v[i + 1], v[i + 2], v[i + 3], out + i);
  constexpr int kDone = N / 4 * 4;
  if constexpr (N - kDone == 1) out[kDone] = hsum(v[kDone]);
  if constexpr (N - kDone == 2) hsum4(v[kDone], v[kDone + 1], zero(), zero(), out + kDone);
  if constexpr (N - kDone == 3) hsum4(v[kDone], v[kDone + 1], v[kDone + 2], zero(), out + kDone);
}

template <int MB, int CB>
void wgrad_samples_tile(const WgradTile& t) {
  const ConvPass& pass = *t.pass;
  const int64_t x_step = t.x_step;
  const int64_t x_col = pass.x_col * kLanes, dy_col = pass.y_col * kLanes;
  V sum[MB][CB];
#pragma GCC unroll 32
  for (int i = 0; i < MB * CB; ++i) sum[i / CB][i % CB] = zero();
  for (int32_t r = 0; r < pass.rows; ++r) {
    if (!row_has(pass, r, t.run)) continue;
    const float* x = t.x + r * pass.x_row * kLanes;
    const float* dy = t.dy + r * pass.y_row * kLanes;
#pragma GCC unroll 1
    for (int32_t c = 0; c < pass.cols; ++c, x += x_col, dy += dy_col) {
#pragma GCC unroll 4
      for (int part = 0; part < kParts; ++part) {
        wgrad_step<MB, CB>(x + part * kWidth, x_step, dy + part * kWidth, sum);
      }
    }
  }
  float total[MB * CB + 3];
  sum_lanes<MB * CB>(sum[0], total);
  for (int m = 0; m < MB; ++m) {
    float* dw = t.dw + m * t.dw_row;
    for (int o = 0; o < CB; ++o) {
      dw[o] = t.accumulate ? dw[o] + total[m * CB + o] : total[m * CB + o];
    }
  }
}

typedef void (*WgradTileFn)(const WgradTile&);
template <int MB, int CB>
constexpr WgradTileFn wgrad_tile_fn() {
  if constexpr (MB == 1 || tile_fits(MB, CB)) {
    return &wgrad_samples_tile<MB, CB>;
  } else {
    return nullptr;
  }
}
struct WgradTiles {
  WgradTileFn fn[kTileSide + 1];
};
template <int CB>
constexpr WgradTiles wgrad_tiles() {
  return {{nullptr, wgrad_tile_fn<1, CB>(), wgrad_tile_fn<2, CB>(), wgrad_tile_fn<3, CB>(),
           wgrad_tile_fn<4, CB>(), wgrad_tile_fn<5, CB>(), wgrad_tile_fn<6, CB>(),
           wgrad_tile_fn<7, CB>(), wgrad_tile_fn<8, CB>()}};
}
constexpr WgradTiles kWgradTiles[] = {{},
                                      wgrad_tiles<1>(),
                                      wgrad_tiles<2>(),
                                      wgrad_tiles<3>(),
                                      wgrad_tiles<4>(),
                                      wgrad_tiles<5>(),
                                      wgrad_tiles<6>(),
                                      wgrad_tiles<7>(),
                                      wgrad_tiles<8>()};

void conv_wgrad_samples(const ConvPass& pass, const float* x, const float* dy, float* dw,
                        int64_t dw_step, bool accumulate) {
  int32_t runs = 0;
  for (int32_t depth = 0; depth < pass.depth; ++runs) depth += pass.runs[runs].length;
  WgradTile tile{};
  tile.pass = &pass;
  tile.accumulate = accumulate;
  for (int32_t q = 0; q < runs; ++q) {
    const Run& run = pass.runs[q];
    // A tile over neighbouring columns' positions (the taps of one channel) needs one new line of x
    // a pixel; over neighbouring channels it needs MB.
    const int64_t step = pass.x_col;
    const bool taps = step > 1 && run.length >= 2 * step && run.length % step == 0;
    const int32_t count = static_cast<int32_t>(taps ? run.length / step : run.length);
    const int32_t groups = taps ? static_cast<int32_t>(step) : 1;
    const int32_t side = planned_side(count, pass.outputs);
    tile.run = q;
    tile.x_step = (taps ? step : 1) * kLanes;
    tile.dw_row = (taps ? step : 1) * dw_step;
    for (int32_t o = 0; o < pass.outputs; o += side) {
      const int32_t width = static_cast<int32_t>(least(side, pass.outputs - o));
      const Cut cut(count, longest_side(width));
      for (int32_t g = 0; g < groups; ++g) {
        tile.dy = dy + o * kLanes;
        tile.x = x + (run.x + g) * kLanes;
        tile.dw = dw + (run.depth + g) * dw_step + o;
        for (int32_t t = 0; t < cut.tiles; ++t) {
          const int32_t size = t < cut.larger ? cut.size + 1 : cut.size;
          kWgradTiles[width].fn[size](tile);
          tile.x += size * tile.x_step;
          tile.dw += size * tile.dw_row;
        }
      }
    }
  }
}

// ---- channels in lanes
// ----------------------------------------------------------------------------

struct WgradRows {
  const ConvPass* pass;
  int32_t run, first_row, end_row, images;
  const float *x, *dy;  // at the first image's first pixel, first weight row, first output
  int64_t x_image, dy_image;
  float* dw;
  int64_t dw_step;
  bool accumulate;
  int32_t last;  // outputs in the last vector
};

// The tile of conv_channels turned round: weight rows are its pixels, pixels are its run.
template <int MB, int CV, bool kMasked>
void wgrad_channels_tile(const WgradRows& t) {
  const ConvPass& pass = *t.pass;
  const Tail last = tail(t.last);
  V sum[MB][CV];
#pragma GCC unroll 32
  for (int m = 0; m < MB; ++m) {
#pragma GCC unroll 32
    for (int v = 0; v < CV; ++v) {
      sum[m][v] = t.accumulate
                      ? load_vector<CV, kMasked>(t.dw + m * t.dw_step + v * kWidth, v, last)
                      : zero();
    }
  }
  for (int32_t n = 0; n < t.images; ++n) {
    for (int32_t r = t.first_row; r < t.end_row; ++r) {
      if (!row_has(pass, r, t.run)) continue;
      channels_run<MB, CV, kMasked>(t.x + n * t.x_image + r * pass.x_row, 1, pass.x_col,
                                    t.dy + n * t.dy_image + r * pass.y_row, pass.y_col,
                                    kChannelVectors * kWidth, pass.cols, last, sum);
    }
  }
#pragma GCC unroll 32
  for (int m = 0; m < MB; ++m) {
#pragma GCC unroll 32
    for (int v = 0; v < CV; ++v) {
      float* const to = t.dw + m * t.dw_step + v * kWidth;
      kMasked&& v == CV - 1 ? store_tail(to, sum[m][v], last) : store(to, sum[m][v]);
    }
  }
}

typedef void (*WgradRowsFn)(const WgradRows&);
template <int MB, int CV, bool kMasked>
constexpr WgradRowsFn wgrad_rows_fn() {
  if constexpr (MB <= most_pixels(CV)) {
    return &wgrad_channels_tile<MB, CV, kMasked>;
  } else {
    return nullptr;
  }
}
struct WgradRowsFns {
  WgradRowsFn fn[15];
};
template <int CV, bool kMasked>
constexpr WgradRowsFns wgrad_rows() {
  return {{nullptr, wgrad_rows_fn<1, CV, kMasked>(), wgrad_rows_fn<2, CV, kMasked>(),
           wgrad_rows_fn<3, CV, kMasked>(), wgrad_rows_fn<4, CV, kMasked>(),
           wgrad_rows_fn<5, CV, kMasked>(), wgrad_rows_fn<6, CV, kMasked>(),
           wgrad_rows_fn<7, CV, kMasked>(), wgrad_rows_fn<8, CV, kMasked>(),
           wgrad_rows_fn<9, CV, kMasked>(), wgrad_rows_fn<10, CV, kMasked>(),
           wgrad_rows_fn<11, CV, kMasked>(), wgrad_rows_fn<12, CV, kMasked>(),
           wgrad_rows_fn<13, CV, kMasked>(), wgrad_rows_fn<14, CV, kMasked>()}};
}
constexpr WgradRowsFns kWgradRows[2][4] = {
    {wgrad_rows<1, false>(), wgrad_rows<2, false>(), wgrad_rows<4, false>(),
     wgrad_rows<8, false>()},
    {wgrad_rows<1, true>(), wgrad_rows<2, true>(), wgrad_rows<4, true>(), wgrad_rows<8, true>()}};

// All tiles of dw over one block of rows.
inline void wgrad_channels_rows(WgradRows rows, const float* x, const float* dy, float* dw) {
  const ConvPass& pass = *rows.pass;
  const int32_t vectors = (pass.outputs + kWidth - 1) / kWidth;
  for (int32_t depth = 0, q = 0; depth < pass.depth; depth += pass.runs[q++].length) {
    const Run& run = pass.runs[q];
    rows.run = q;
    for (int32_t v = 0; v < vectors;) {
      const int group = channels_group(run.length, vectors - v);
      const int32_t o = v * kWidth;
      rows.last =
          static_cast<int32_t>(least(kWidth, pass.outputs - o - (kGroups[group] - 1) * kWidth));
      rows.x = x + run.x;
      rows.dy = dy + o;
      rows.dw = dw + run.depth * rows.dw_step + o;
      const Cut cut(run.length, kMostByGroup[group]);
      for (int32_t t = 0; t < cut.tiles; ++t) {
        const int32_t size = t < cut.larger ? cut.size + 1 : cut.size;
        kWgradRows[rows.last < kWidth][group].fn[size](rows);
        rows.x += size;
        rows.dw += size * rows.dw_step;
      }
      v += kGroups[group];
    }
  }
}

void conv_wgrad_channels(const ConvPass& pass, int32_t images, const float* x, int64_t x_image,
                         const float* dy, int64_t dy_image, float* dw, int64_t dw_step,
                         bool accumulate) {
  WgradRows rows{};
  rows.pass = &pass;
  rows.images = images;
  rows.x_image = x_image;
  rows.dy_image = dy_image;
  rows.dw_step = dw_step;
  rows.accumulate = accumulate;
  rows.end_row = pass.rows;
  wgrad_channels_rows(rows, x, dy, dw);
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
