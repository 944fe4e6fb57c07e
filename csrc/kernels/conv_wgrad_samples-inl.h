// Weight gradients with samples in lanes: sums over output pixels and lanes of x * dy, a tile of
// MB weight rows by CB outputs.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

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
    for (int m = 0; m < MB; ++m) {
      xv[m] = once(load(x + m % 3 * x_step));
      if (m % 3 == 2 && m + 1 < MB) x = opaque(x + 3 * x_step);
    }
#pragma GCC unroll 32
    for (int o = 0; o < CB; ++o) {
      const V d = MB > 1 ? once(load(dy + o * kLanes)) : load(dy + o * kLanes);
#pragma GCC unroll 32
      for (int m = 0; m < MB; ++m) sum[m][o] = fma(xv[m], d, sum[m][o]);
    }
  } else {
    V d[CB];
#pragma GCC unroll 32
    for (int o = 0; o < CB; ++o) d[o] = once(load(dy + o * kLanes));
#pragma GCC unroll 32
    for (int m = 0; m < MB; ++m) {
      const V xv = CB > 1 ? once(load(x + m % 3 * x_step)) : load(x + m % 3 * x_step);
#pragma GCC unroll 32
      for (int o = 0; o < CB; ++o) sum[m][o] = fma(xv, d[o], sum[m][o]);
      if (m % 3 == 2 && m + 1 < MB) x = opaque(x + 3 * x_step);
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
#pragma GCC unroll 1
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
      const Cut cut(count, kLongest.of[width]);
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

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
