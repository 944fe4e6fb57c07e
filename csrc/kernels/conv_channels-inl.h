#pragma once
// Convolution and dense layers with channels in lanes: a tile of WB pixels by CV vectors of
// outputs, each weight vector loaded, each position of x a broadcast. No im2col: runs say where
// the pixels of a window lie. The dense weight gradient of samples in lanes is the same product.
#include "kernels/tiles-inl.h"

namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

constexpr int kChannelVectors = 2;  // in a packed tile

// Where a tile's weights lie: vector v of row k at w + k*w_step + (v/2)*w_group + (v%2)*kWidth.
// Packed tiles are two vectors wide, so a group of vectors is several of them side by side.
struct ChannelsRow {
  const Run *begin, *end;
  const float* x;
  int64_t x_col;  // floats between the tile's pixels
  const float* w;
  int64_t w_step, w_group;
  const float* start;  // of the sums: bias (start_col 0), y itself, or null
  int64_t start_col;
  float floor;
  float* y;
  int64_t y_col;
  int32_t tiles;  // along the row
  int32_t last;   // outputs in the last vector
};

template <int CV, bool kMasked>
STRIATE_INLINE V load_vector(const float* p, int v, Tail last) {
  if constexpr (kMasked) {
    if (v == CV - 1) return load_tail(p, last);
  }
  return load(p);
}

// sum[i][v] += x[k of pixel i] * w[k][v]. x_col steps pixels, x_step and w_step step k.
template <int WB, int CV, bool kMasked>
STRIATE_INLINE void channels_run(const float* x, int64_t x_col, int64_t x_step, const float* w,
                                 int64_t w_step, int64_t w_group, int32_t length, Tail last,
                                 V (&sum)[WB][CV]) {
#pragma GCC unroll 1
  for (int32_t k = 0; k < length; ++k, x += x_step, w += w_step) {
    if constexpr (CV <= WB) {
      V wv[CV];
#pragma GCC unroll 32
      for (int v = 0; v < CV; ++v) {
        wv[v] = load_vector<CV, kMasked>(w + v / 2 * w_group + v % 2 * kWidth, v, last);
      }
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) {
        const V xv = splat(x[i * x_col]);
#pragma GCC unroll 32
        for (int v = 0; v < CV; ++v) sum[i][v] = fma(xv, wv[v], sum[i][v]);
      }
    } else {
      V xv[WB];
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) xv[i] = splat(x[i * x_col]);
#pragma GCC unroll 32
      for (int v = 0; v < CV; ++v) {
        const V wv = load_vector<CV, kMasked>(w + v / 2 * w_group + v % 2 * kWidth, v, last);
#pragma GCC unroll 32
        for (int i = 0; i < WB; ++i) sum[i][v] = fma(xv[i], wv, sum[i][v]);
      }
    }
  }
}

template <int WB, int CV, bool kMasked>
void channels_row(const ChannelsRow& row) {
  const int64_t x_col = row.x_col, y_col = row.y_col;
  const Tail last = tail(row.last);
  const V floor = splat(row.floor);
  const float* x = row.x;
  const float* start = row.start;
  float* y = row.y;
  for (int32_t t = 0; t < row.tiles; ++t, x += WB * x_col, y += WB * y_col) {
    V sum[WB][CV];
#pragma GCC unroll 32
    for (int i = 0; i < WB; ++i) {
#pragma GCC unroll 32
      for (int v = 0; v < CV; ++v) {
        sum[i][v] =
            start ? load_vector<CV, true>(start + i * row.start_col + v * kWidth, v, last) : zero();
      }
    }
    for (const Run* q = row.begin; q != row.end; ++q) {
      channels_run<WB, CV, kMasked>(x + q->x, x_col, 1, row.w + q->depth * row.w_step, row.w_step,
                                    row.w_group, q->length, last, sum);
    }
#pragma GCC unroll 32
    for (int i = 0; i < WB; ++i) {
#pragma GCC unroll 32
      for (int v = 0; v < CV; ++v) {
        const V value = max(floor, sum[i][v]);
        float* const to = y + i * y_col + v * kWidth;
        v == CV - 1 ? store_tail(to, value, last) : store(to, value);
      }
    }
    if (start) start += WB * row.start_col;
  }
}

typedef void (*ChannelsRowFn)(const ChannelsRow&);

constexpr int kMostPixels = kTileRegisters >= 32 ? 14 : 6;
// Vectors of a group, by its place in the tables below; wide groups serve few pixels.
constexpr int kGroups[] = {1, 2, 4, 8};
constexpr int most_pixels(int vectors) {
  int n = kMostPixels;
  while (n > 1 && !tile_fits(n, vectors)) --n;
  return n;
}
constexpr int kMostByGroup[] = {most_pixels(1), most_pixels(2), most_pixels(4), most_pixels(8)};

template <int WB, int CV, bool kMasked>
constexpr ChannelsRowFn channels_row_fn() {
  if constexpr (WB <= most_pixels(CV)) {
    return &channels_row<WB, CV, kMasked>;
  } else {
    return nullptr;
  }
}
struct ChannelsRows {
  ChannelsRowFn fn[15];
};
template <int CV, bool kMasked>
constexpr ChannelsRows channels_rows() {
  return {{nullptr, channels_row_fn<1, CV, kMasked>(), channels_row_fn<2, CV, kMasked>(),
           channels_row_fn<3, CV, kMasked>(), channels_row_fn<4, CV, kMasked>(),
           channels_row_fn<5, CV, kMasked>(), channels_row_fn<6, CV, kMasked>(),
           channels_row_fn<7, CV, kMasked>(), channels_row_fn<8, CV, kMasked>(),
           channels_row_fn<9, CV, kMasked>(), channels_row_fn<10, CV, kMasked>(),
           channels_row_fn<11, CV, kMasked>(), channels_row_fn<12, CV, kMasked>(),
           channels_row_fn<13, CV, kMasked>(), channels_row_fn<14, CV, kMasked>()}};
}
constexpr ChannelsRows kChannelsRows[2][4] = {
    {channels_rows<1, false>(), channels_rows<2, false>(), channels_rows<4, false>(),
     channels_rows<8, false>()},
    {channels_rows<1, true>(), channels_rows<2, true>(), channels_rows<4, true>(),
     channels_rows<8, true>()}};

// All pixels of one row for one group of vectors.
inline void channels_columns(ChannelsRow row, int32_t columns, int group, bool masked) {
  const ChannelsRowFn* fns = kChannelsRows[masked][group].fn;
  const Cut cut(columns, kMostByGroup[group]);
  if (cut.larger > 0) {
    row.tiles = cut.larger;
    fns[cut.size + 1](row);
    const int64_t done = static_cast<int64_t>(cut.larger) * (cut.size + 1);
    row.x += done * row.x_col;
    row.y += done * row.y_col;
    if (row.start) row.start += done * row.start_col;
  }
  row.tiles = cut.tiles - cut.larger;
  if (row.tiles > 0) fns[cut.size](row);
}

// The widest group that `columns` pixels and the vectors left can fill.
inline int channels_group(int32_t columns, int32_t vectors) {
  int group = vectors >= 2 ? 1 : 0;
  while (group > 0 && group < 3 && kGroups[group + 1] <= vectors &&
         columns <= kMostByGroup[group + 1]) {
    ++group;
  }
  return group;
}

void conv_channels(const ConvPass& pass, const float* x, const float* w, int64_t w_step,
                   const float* bias, float floor, float* y) {
  const bool packed = w_step == 0;
  constexpr int kTile = kChannelVectors * kWidth;
  ChannelsRow row{};
  row.x_col = pass.x_col;
  row.floor = floor;
  row.y_col = pass.y_col;
  const int32_t vectors = (pass.outputs + kWidth - 1) / kWidth;
  for (int32_t v = 0; v < vectors;) {
    const int group = channels_group(pass.cols, vectors - v);
    const int32_t o = v * kWidth;
    row.last =
        static_cast<int32_t>(least(kWidth, pass.outputs - o - (kGroups[group] - 1) * kWidth));
    row.w = packed ? w + static_cast<int64_t>(o) * pass.depth : w + o;
    row.w_step = packed ? least(kTile, kGroups[group] * kWidth) : w_step;
    row.w_group = packed ? static_cast<int64_t>(kTile) * pass.depth : kTile;
    row.start = bias ? bias + o : nullptr;
    for (int32_t r = 0; r < pass.rows; ++r) {
      row.begin = pass.runs + pass.row_runs[2 * r];
      row.end = pass.runs + pass.row_runs[2 * r + 1];
      if (row.end < row.begin) row.end = row.begin;
      row.x = x + r * pass.x_row;
      row.y = y + r * pass.y_row + o;
      channels_columns(row, pass.cols, group, !packed && row.last < kWidth);
    }
    v += kGroups[group];
  }
}

// dw[i][o] (+)= sum_n x[i][n] * dy_rows[n][o]: inputs are the pixels, samples the run.
void dense_wgrad_samples(int32_t inputs, int32_t outputs, const float* x, const float* dy_rows,
                         int64_t dy_step, float* dw, bool accumulate) {
  const Run run = {0, kLanes, 0};
  ChannelsRow row{};
  row.begin = &run;
  row.end = &run + 1;
  row.x = x;
  row.x_col = kLanes;
  row.w_step = dy_step;
  row.w_group = kChannelVectors * kWidth;
  row.start_col = outputs;
  row.floor = -__builtin_inff();
  row.y_col = outputs;
  const int32_t vectors = (outputs + kWidth - 1) / kWidth;
  for (int32_t v = 0; v < vectors;) {
    const int group = channels_group(inputs, vectors - v);
    const int32_t o = v * kWidth;
    row.last = static_cast<int32_t>(least(kWidth, outputs - o - (kGroups[group] - 1) * kWidth));
    row.w = dy_rows + o;
    row.y = dw + o;
    row.start = accumulate ? row.y : nullptr;
    channels_columns(row, inputs, group, row.last < kWidth);
    v += kGroups[group];
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
