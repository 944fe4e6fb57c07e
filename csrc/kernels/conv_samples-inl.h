// Convolution and dense layers with samples in lanes: a tile of WB columns by CB outputs, each
// position of x a vector, each weight a broadcast. Narrow layers fill the lanes this way: LeNet-5's
// first layer has 1 channel in and 6 out. Packed weights: [output tile][depth][CB].
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// A vector is one part of a position. With several columns the parts are separate passes over a
// row; with one column (dense) they are the tile's columns, so that a weight meets all of them.
struct SamplesRow {
  const Run *begin, *end;
  const float* x;
  int64_t x_col;  // floats between the tile's columns
  const float* w;
  const float* bias;  // of the tile's outputs, or null
  float floor;
  float* y;
  int64_t y_col;
  int32_t tiles;  // along the row
};

template <int WB, int CB>
STRIATE_INLINE void samples_step(const float* x, int64_t x_col, const float* w, V (&sum)[WB][CB]) {
  if constexpr (WB <= CB) {
    V xv[WB];
#pragma GCC unroll 32
    for (int i = 0; i < WB; ++i) {
      xv[i] = once(load(x + i % 3 * x_col));
      if (i % 3 == 2 && i + 1 < WB) x = opaque(x + 3 * x_col);
    }
#pragma GCC unroll 32
    for (int o = 0; o < CB; ++o) {
      const V wv = WB > 1 ? once(splat(w[o])) : splat(w[o]);
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) sum[i][o] = fma(xv[i], wv, sum[i][o]);
    }
  } else {
    V wv[CB];
#pragma GCC unroll 32
    for (int o = 0; o < CB; ++o) wv[o] = once(splat(w[o]));
#pragma GCC unroll 32
    for (int i = 0; i < WB; ++i) {
      const V xv = CB > 1 ? once(load(x + i % 3 * x_col)) : load(x + i % 3 * x_col);
#pragma GCC unroll 32
      for (int o = 0; o < CB; ++o) sum[i][o] = fma(xv, wv[o], sum[i][o]);
      if (i % 3 == 2 && i + 1 < WB) x = opaque(x + 3 * x_col);
    }
  }
}

template <int WB, int CB>
void samples_row(const SamplesRow& row) {
  const int64_t x_col = row.x_col, y_col = row.y_col;
  const float* x = row.x;
  float* y = row.y;
  for (int32_t t = 0; t < row.tiles; ++t, x += WB * x_col, y += WB * y_col) {
    V sum[WB][CB];
#pragma GCC unroll 32
    for (int o = 0; o < CB; ++o) {
      const V b = row.bias ? splat(row.bias[o]) : zero();
#pragma GCC unroll 32
      for (int i = 0; i < WB; ++i) sum[i][o] = b;
    }
    for (const Run* q = row.begin; q != row.end; ++q) {
      const float* xq = x + q->x * kLanes;
      const float* wq = row.w + static_cast<int64_t>(q->depth) * CB;
      const float* const end = wq + static_cast<int64_t>(q->length) * CB;
#pragma GCC unroll 1
      for (; wq != end; wq += CB, xq += kLanes) samples_step<WB, CB>(xq, x_col, wq, sum);
    }
    const V floor = splat(row.floor);  // here, not before: the loop above needs every register
#pragma GCC unroll 32
    for (int i = 0; i < WB; ++i) {
#pragma GCC unroll 32
      for (int o = 0; o < CB; ++o) store(y + i * y_col + o * kLanes, max(floor, sum[i][o]));
    }
  }
}

typedef void (*SamplesRowFn)(const SamplesRow&);

// One column and one part: x is a single vector, so a tile may be as wide as the registers allow.
constexpr int kWidestTile = kTileRegisters - 4;

constexpr bool samples_row_exists(int wb, int cb) {
  return cb <= kTileSide ? wb == 1 || tile_fits(wb, cb) : wb == 1 && cb <= kWidestTile;
}
template <int WB, int CB>
constexpr SamplesRowFn samples_row_fn() {
  if constexpr (samples_row_exists(WB, CB)) {
    return &samples_row<WB, CB>;
  } else {
    return nullptr;
  }
}

struct SamplesRows {
  SamplesRowFn fn[kTileSide + 1];
};
template <int CB>
constexpr SamplesRows samples_rows() {
  return {{nullptr, samples_row_fn<1, CB>(), samples_row_fn<2, CB>(), samples_row_fn<3, CB>(),
           samples_row_fn<4, CB>(), samples_row_fn<5, CB>(), samples_row_fn<6, CB>(),
           samples_row_fn<7, CB>(), samples_row_fn<8, CB>()}};
}
constexpr SamplesRows kSamplesRows[] = {{},
                                        samples_rows<1>(),
                                        samples_rows<2>(),
                                        samples_rows<3>(),
                                        samples_rows<4>(),
                                        samples_rows<5>(),
                                        samples_rows<6>(),
                                        samples_rows<7>(),
                                        samples_rows<8>(),
                                        samples_rows<9>(),
                                        samples_rows<10>(),
                                        samples_rows<11>(),
                                        samples_rows<12>(),
                                        samples_rows<13>(),
                                        samples_rows<14>(),
                                        samples_rows<15>(),
                                        samples_rows<16>(),
                                        samples_rows<17>(),
                                        samples_rows<18>(),
                                        samples_rows<19>(),
                                        samples_rows<20>(),
                                        samples_rows<21>(),
                                        samples_rows<22>(),
                                        samples_rows<23>(),
                                        samples_rows<24>(),
                                        samples_rows<25>(),
                                        samples_rows<26>(),
                                        samples_rows<27>(),
                                        samples_rows<28>()};

constexpr int widest_tile(int wb) {
  int cb = wb == 1 ? kWidestTile : kTileSide;
  while (cb > 1 && !samples_row_exists(wb, cb)) --cb;
  return cb;
}

// Small kParts would be wasteful to cut; sixteen parts (the scalar file) are cut like columns.
constexpr int kDenseColumns = kParts <= 4 ? kParts : 4;
constexpr int kDenseTile = widest_tile(kDenseColumns);

int32_t samples_tile(int32_t cols, int32_t outputs) {
  if (cols != 1) return planned_side(cols, outputs);
  const Cut cut(outputs, kDenseTile);
  return cut.larger > 0 ? cut.size + 1 : cut.size;
}

// All columns of one row for the outputs of one tile.
inline void samples_columns(SamplesRow row, int32_t columns, int32_t width) {
  const SamplesRowFn* fns = kSamplesRows[width].fn;
  int32_t most = width <= kTileSide ? kLongest.of[width] : 1;
  const Cut cut(columns, most);
  if (cut.larger > 0) {
    row.tiles = cut.larger;
    fns[cut.size + 1](row);
    row.x += row.tiles * (cut.size + 1) * row.x_col;
    row.y += row.tiles * (cut.size + 1) * row.y_col;
  }
  row.tiles = cut.tiles - cut.larger;
  if (row.tiles > 0) fns[cut.size](row);
}

void conv_samples(const ConvPass& pass, const float* x, const float* w, const float* bias,
                  float floor, float* y) {
  const bool dense = pass.cols == 1;
  const int32_t tile = samples_tile(pass.cols, pass.outputs);
  const int32_t columns = dense ? kParts : pass.cols, parts = dense ? 1 : kParts;
  SamplesRow row{};
  row.x_col = dense ? kWidth : pass.x_col * kLanes;
  row.y_col = dense ? kWidth : pass.y_col * kLanes;
  row.floor = floor;
  for (int32_t r = 0; r < pass.rows; ++r) {
    row.begin = pass.runs + pass.row_runs[2 * r];
    row.end = pass.runs + pass.row_runs[2 * r + 1];
    if (row.end < row.begin) row.end = row.begin;
    for (int32_t part = 0; part < parts; ++part) {
      row.x = x + r * pass.x_row * kLanes + part * kWidth;
      for (int32_t o = 0; o < pass.outputs; o += tile) {
        row.w = w + static_cast<int64_t>(o) * pass.depth;
        row.bias = bias ? bias + o : nullptr;
        row.y = y + (r * pass.y_row + o) * kLanes + part * kWidth;
        samples_columns(row, columns, static_cast<int32_t>(least(tile, pass.outputs - o)));
      }
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
