// Convolution and dense layers with channels in lanes: a tile of WB pixels by CV vectors of
// outputs, each weight vector loaded, each position of x a broadcast. No im2col: runs say where
// the pixels of a window lie. The dense weight gradient of samples in lanes is the same product.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

constexpr int kChannelVectors = 2;          // in a packed tile
constexpr int64_t kSmallWeights = 1 << 17;  // floats: half a megabyte
constexpr int32_t kLine = 16;               // floats of a cache line
constexpr int32_t kTilesAhead = 4;          // a row of 56 pixels
// Few pixels: weights are read once, and rows of a large plain matrix are far apart. AlexNet's fc6
// for one image: 21 GB/s, 24 with 8 rows ahead, 30 with 64, where two cores read 36 in a row.
constexpr int kFewPixels = 2, kRowsAhead = 64;
constexpr int64_t kFarApart = 512;
// x of a pass below which it is near anyway (floats; 32 KiB): one image of LeNet-5, 0.8 us less.
constexpr int64_t kNear = 1 << 13;
constexpr int kMostColliding = 6;  // of the 8 ways of an L1 set; weights need some too

// Asks L2 for the cache line, where it may lie outside of everything. What a tile reads and writes
// next is asked for line by line, between its multiply-adds: left to the hardware, or asked for in
// L1, or all at once, memory and arithmetic add up instead of overlapping (1x1 convolutions of
// eight 56x56 images: 256-64 68 % of the limit, so 95 %; 64-256 71 and 93 %).
STRIATE_INLINE void to_l2(const float* p) { __builtin_prefetch(p, 0, 2); }

inline bool row_has(const ConvPass& pass, int32_t row, int32_t run) {
  return pass.row_runs[2 * row] <= run && run < pass.row_runs[2 * row + 1];
}

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
  const float* add;  // to the sums, laid out as y; or null
  float floor;
  float* y;
  int64_t y_col;
  int32_t tiles;  // along the row
  int32_t last;   // outputs in the last vector
  bool ahead;     // memory is asked of L2 before it is needed
};

template <int CV, bool kMasked>
STRIATE_INLINE V load_vector(const float* p, int v, Tail last) {
  if constexpr (kMasked) {
    if (v == CV - 1) return load_tail(p, last);
  }
  return load(p);
}

// sum[i][v] += x[k of pixel i] * w[k][v]. x_col steps pixels, x_step and w_step step k.
// kNextVectors: rows of weights are far apart, so the vectors on their right are asked for, which
// come next. AlexNet's fc6 for 16 images: 15.4 ms, so 8.0.
template <int WB, int CV, bool kMasked, bool kNextVectors = false>
STRIATE_INLINE void channels_run(const float* x, int64_t x_col, int64_t x_step, const float* w,
                                 int64_t w_step, int64_t w_group, int32_t length, Tail last,
                                 V (&sum)[WB][CV]) {
#pragma GCC unroll 1
  for (int32_t k = 0; k < length; ++k, x += x_step, w += w_step) {
    if constexpr (CV <= WB) {
      V wv[CV];
#pragma GCC unroll 32
      for (int v = 0; v < CV; ++v) {
        wv[v] = once(load_vector<CV, kMasked>(w + v / 2 * w_group + v % 2 * kWidth, v, last));
      }
      if (kNextVectors) {
        for (int v = 0; v < CV * kWidth; v += 16) to_l2(w + CV * kWidth + v);
        to_l2(w + 2 * CV * kWidth - 1);
      }
      const float* xi = x;
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) {
        const V xv = CV > 1 ? once(splat(xi[i % 3 * x_col])) : splat(xi[i % 3 * x_col]);
#pragma GCC unroll 32
        for (int v = 0; v < CV; ++v) sum[i][v] = fma(xv, wv[v], sum[i][v]);
        if (i % 3 == 2 && i + 1 < WB) xi = opaque(xi + 3 * x_col);
      }
    } else {
      V xv[WB];
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) xv[i] = once(splat(x[i * x_col]));
#pragma GCC unroll 32
      for (int v = 0; v < CV; ++v) {
        const float* const wp = w + v / 2 * w_group + v % 2 * kWidth;
        if (WB <= kFewPixels && CV == 8 && w_step >= kFarApart) to_l2(wp + kRowsAhead * w_step);
        const V loaded = load_vector<CV, kMasked>(wp, v, last);
        const V wv = WB > 1 ? once(loaded) : loaded;
#pragma GCC unroll 32
        for (int i = 0; i < WB; ++i) sum[i][v] = fma(xv[i], wv, sum[i][v]);
      }
    }
  }
}

template <int WB, int CV, bool kMasked>
void channels_row(const ChannelsRow& row) {
  const int64_t x_col = row.x_col, y_col = row.y_col;
  const bool partial = row.last < kWidth;
  const Tail last = tail(row.last);
  const float* x = row.x;
  const float* start = row.start;
  float* y = row.y;
  for (int32_t t = 0; t < row.tiles; ++t, x += WB * x_col, y += WB * y_col) {
    if (row.ahead) {
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) {
#pragma GCC unroll 32
        for (int v = 0; v < CV * kWidth; v += 16) to_l2(y + i * y_col + v);
      }
    }
    const float* const add = row.add ? row.add + (y - row.y) : nullptr;
    if (add) {
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) {
#pragma GCC unroll 32
        for (int v = 0; v < CV * kWidth; v += 16) to_l2(add + i * y_col + v);
      }
    }
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
      const float* xq = x + q->x;
      const float* wq = row.w + q->depth * row.w_step;
      for (int32_t k = 0; k < q->length; k += kLine, xq += kLine, wq += kLine * row.w_step) {
        if (row.ahead) {
#pragma GCC unroll 32
          for (int i = 0; i < WB; ++i) to_l2(xq + (kTilesAhead * WB + i) * x_col);
        }
        const auto length = static_cast<int32_t>(least(kLine, q->length - k));
        if (WB > kFewPixels && CV == 2 && row.w_step >= kFarApart) {
          channels_run<WB, CV, kMasked, CV == 2>(xq, x_col, 1, wq, row.w_step, row.w_group, length,
                                                 last, sum);
        } else {
          channels_run<WB, CV, kMasked>(xq, x_col, 1, wq, row.w_step, row.w_group, length, last,
                                        sum);
        }
      }
    }
    if (add) {
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) {
#pragma GCC unroll 32
        for (int v = 0; v < CV; ++v) {
          sum[i][v] = sum[i][v] + load_vector<CV, true>(add + i * y_col + v * kWidth, v, last);
        }
      }
    }
    // Read here, not before the loop: that needs every register.
    const V floor = splat(row.floor);
    if (row.floor > -__builtin_inff()) {
#pragma GCC unroll 32
      for (int i = 0; i < WB * CV; ++i) sum[i / CV][i % CV] = max(floor, sum[i / CV][i % CV]);
    }
#pragma GCC unroll 32
    for (int i = 0; i < WB; ++i) {
#pragma GCC unroll 32
      for (int v = 0; v < CV; ++v) {
        float* const to = y + i * y_col + v * kWidth;
        v == CV - 1 && partial ? store_tail(to, sum[i][v], last) : store(to, sum[i][v]);
      }
    }
    if (start) start += WB * row.start_col;
  }
}

typedef void (*ChannelsRowFn)(const ChannelsRow&);

constexpr int kMostPixels = kTileRegisters >= 24 ? 14 : 6;
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
inline void channels_columns(ChannelsRow row, int32_t columns, int32_t most, int group,
                             bool masked) {
  const ChannelsRowFn* fns = kChannelsRows[masked][group].fn;
  const Cut cut(columns, static_cast<int32_t>(least(most, kMostByGroup[group])));
  if (cut.larger > 0) {
    row.tiles = cut.larger;
    fns[cut.size + 1](row);
    const int64_t done = static_cast<int64_t>(cut.larger) * (cut.size + 1);
    row.x += done * row.x_col;
    row.y += done * row.y_col;
    if (row.add) row.add += done * row.y_col;
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

// Outputs left to this width of vector: a last vector at most half full goes to the narrow twin,
// but where few pixels make the weights' way to the registers the limit.
inline int32_t wide_outputs(int32_t outputs, int32_t pixels) {
#ifdef STRIATE_NARROW_NAMESPACE
  const int32_t rest = outputs % kWidth;
  if (rest <= kWidth / 2 && pixels > kMostByGroup[3]) return outputs - rest;
#endif
  static_cast<void>(pixels);
  return outputs;
}

// The epilogue of what begins `outputs` channels further on.
inline Epilogue epilogue_from(const Epilogue& e, int32_t outputs) {
  return {e.bias ? e.bias + outputs : nullptr, e.add ? e.add + outputs : nullptr, e.floor};
}

// All of pass.outputs, whose weights lie in one manner.
struct Weights {
  const float* w;
  int64_t step, group;  // as in ChannelsRow
  bool padded;          // whole vectors may be read
};

inline void channels_rows_of(const ConvPass& pass, ChannelsRow row, int group, int32_t first_row,
                             int32_t end_row, bool masked, const float* x, const float* add,
                             float* y) {
  for (int32_t r = first_row; r < end_row; ++r) {
    row.begin = pass.runs + pass.row_runs[2 * r];
    row.end = pass.runs + pass.row_runs[2 * r + 1];
    if (row.end < row.begin) row.end = row.begin;
    row.x = x + r * pass.x_row;
    row.y = y + r * pass.y_row;
    row.add = add ? add + r * pass.y_row : nullptr;
    // Pixels 4 KiB apart share one L1 set: more of them than its ways would evict each other.
    const int32_t most = pass.x_col % 1024 == 0 ? kMostColliding : kMostPixels;
    channels_columns(row, pass.cols, most, group, masked);
  }
}

inline void channels_outputs(const ConvPass& pass, const float* x, const Weights& w,
                             const Epilogue& e, float* y) {
  const int32_t vectors = (pass.outputs + kWidth - 1) / kWidth;
  const bool colliding = pass.x_col % 1024 == 0 && pass.cols > kMostColliding;
  const int32_t columns = colliding ? kMostColliding : pass.cols;
  // Weights that stay in L2 are swept row by row, so that y is written once, in order; larger ones
  // tile by tile.
  const bool by_row = static_cast<int64_t>(pass.depth) * pass.outputs <= kSmallWeights;
  const int32_t sweeps = by_row ? pass.rows : 1;
  ChannelsRow row{};
  row.x_col = pass.x_col;
  row.floor = e.floor;
  row.y_col = pass.y_col;
  row.ahead = pass.rows * pass.x_row + pass.cols * pass.x_col > kNear;
  row.w_step = w.step;
  row.w_group = w.group;
  for (int32_t s = 0; s < sweeps; ++s) {
    const int32_t first = by_row ? s : 0, end = by_row ? s + 1 : pass.rows;
    for (int32_t v = 0; v < vectors;) {
      const int group = channels_group(columns, vectors - v);
      const int32_t o = v * kWidth;
      row.last =
          static_cast<int32_t>(least(kWidth, pass.outputs - o - (kGroups[group] - 1) * kWidth));
      row.w = w.w + v / 2 * w.group + v % 2 * kWidth;
      row.start = e.bias ? e.bias + o : nullptr;
      channels_rows_of(pass, row, group, first, end, !w.padded && row.last < kWidth, x,
                       e.add ? e.add + o : nullptr, y + o);
      v += kGroups[group];
    }
  }
}

// The outputs from `first` on, fewer than a tile of packed weights or any number of plain ones.
inline void channels_rest(const ConvPass& pass, int32_t first, const float* x, const Weights& w,
                          const Epilogue& epilogue, float* y) {
  ConvPass part = pass;
  part.outputs = wide_outputs(pass.outputs - first, pass.cols);
  const Epilogue e = epilogue_from(epilogue, first);
  if (part.outputs > 0) channels_outputs(part, x, w, e, y + first);
#ifdef STRIATE_NARROW_NAMESPACE
  const int32_t wide = part.outputs;
  part.outputs = pass.outputs - first - wide;
  if (part.outputs > 0) {
    const STRIATE_NARROW_NAMESPACE::Weights narrow = {w.w + wide, w.step, 0, w.padded};
    STRIATE_NARROW_NAMESPACE::channels_outputs(part, x, narrow, epilogue_from(e, wide),
                                               y + first + wide);
  }
#endif
}

inline void conv_channels(const ConvPass& pass, const float* x, const float* w, int64_t w_step,
                          const Epilogue& epilogue, float* y) {
  constexpr int32_t kTile = kChannelVectors * kWidth;
  if (w_step != 0) return channels_rest(pass, 0, x, {w, w_step, kTile, false}, epilogue, y);
  ConvPass whole = pass;
  whole.outputs = pass.outputs / kTile * kTile;
  const int64_t tile = static_cast<int64_t>(kTile) * pass.depth;
  if (whole.outputs > 0) channels_outputs(whole, x, {w, kTile, tile, true}, epilogue, y);
  const int32_t rest = pass.outputs - whole.outputs;
  if (rest == 0) return;
  const Weights last = {w + whole.outputs / kTile * tile, rest <= kWidth ? kWidth : kTile, 0, true};
  channels_rest(pass, whole.outputs, x, last, epilogue, y);
}

// dw[i][o] (+)= sum_n x[i][n] * dy_rows[n][o]: inputs are the pixels, samples the run.
inline void dense_wgrad_outputs(int32_t inputs, int32_t outputs, const float* x,
                                const float* dy_rows, int64_t dy_step, float* dw, int64_t dw_step,
                                bool accumulate) {
  const int32_t wide = wide_outputs(outputs, inputs);
  const int32_t vectors = (wide + kWidth - 1) / kWidth;
  const Run run = {0, kLanes, 0};
  ChannelsRow row{};
  row.begin = &run;
  row.end = &run + 1;
  row.x = x;
  row.x_col = kLanes;
  row.w_step = dy_step;
  row.w_group = kChannelVectors * kWidth;
  row.start_col = dw_step;
  row.floor = -__builtin_inff();
  row.y_col = dw_step;
  for (int32_t v = 0; v < vectors;) {
    const int group = channels_group(inputs, vectors - v);
    const int32_t o = v * kWidth;
    row.last = static_cast<int32_t>(least(kWidth, wide - o - (kGroups[group] - 1) * kWidth));
    row.w = dy_rows + o;
    row.y = dw + o;
    row.start = accumulate ? row.y : nullptr;
    channels_columns(row, inputs, kMostPixels, group, row.last < kWidth);
    v += kGroups[group];
  }
#ifdef STRIATE_NARROW_NAMESPACE
  if (wide < outputs) {
    STRIATE_NARROW_NAMESPACE::dense_wgrad_outputs(inputs, outputs - wide, x, dy_rows + wide,
                                                  dy_step, dw + wide, dw_step, accumulate);
  }
#endif
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
