// Dense layers whose weights outweigh their activations: products that read each weight once, in
// place, for all samples of the batch.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// conv_channels' tile: samples are its pixels.
inline void product_outputs(int32_t samples, int32_t depth, int32_t outputs, const float* x,
                            int64_t x_step, const float* w, int64_t w_step, const float* start,
                            int64_t start_step, float* y, int64_t y_step) {
  const int32_t vectors = (outputs + kWidth - 1) / kWidth;
  const Run run = {0, depth, 0};
  ChannelsRow row{};
  row.begin = &run;
  row.end = &run + 1;
  row.x = x;
  row.x_col = x_step;
  row.w_step = w_step;
  row.w_group = kChannelVectors * kWidth;
  row.start_col = start_step;
  row.floor = -__builtin_inff();
  row.y_col = y_step;
  for (int32_t v = 0; v < vectors;) {
    const int group = channels_group(samples, vectors - v);
    const int32_t o = v * kWidth;
    row.last = static_cast<int32_t>(least(kWidth, outputs - o - (kGroups[group] - 1) * kWidth));
    row.w = w + o;
    row.start = start ? start + o : nullptr;
    row.y = y + o;
    channels_columns(row, samples, kMostPixels, group, row.last < kWidth);
    v += kGroups[group];
  }
}

void product(int32_t samples, int32_t depth, int32_t outputs, const float* x, int64_t x_step,
             const float* w, int64_t w_step, const float* start, int64_t start_step, float* y,
             int64_t y_step) {
  product_outputs(samples, depth, outputs, x, x_step, w, w_step, start, start_step, y, y_step);
}

// dx[n][i..i+4) for N samples: a vector of each of 4 weight rows and of each sample's dy at a time.
constexpr int kDotRows = 4;
constexpr int kDotSamples = (kTileRegisters - kDotRows - 1) / kDotRows;

template <int N>
STRIATE_INLINE void dot_tile(int32_t outputs, const float* w, int64_t w_step, const float* dy,
                             int64_t dy_step, float* dx, int64_t dx_step) {
  V sum[N][kDotRows];
#pragma GCC unroll 32
  for (int n = 0; n < N; ++n) {
#pragma GCC unroll 4
    for (int i = 0; i < kDotRows; ++i) sum[n][i] = zero();
  }
  const int32_t whole = outputs / kWidth * kWidth;
  for (int32_t o = 0; o < whole; o += kWidth) {
    V wv[kDotRows];
#pragma GCC unroll 4
    for (int i = 0; i < kDotRows; ++i) wv[i] = load(w + i * w_step + o);
#pragma GCC unroll 32
    for (int n = 0; n < N; ++n) {
      const V d = load(dy + n * dy_step + o);
#pragma GCC unroll 4
      for (int i = 0; i < kDotRows; ++i) sum[n][i] = fma(wv[i], d, sum[n][i]);
    }
  }
  if (whole < outputs) {
    const Tail t = tail(outputs - whole);
#pragma GCC unroll 4
    for (int i = 0; i < kDotRows; ++i) {
      const V wv = load_tail(w + i * w_step + whole, t);
#pragma GCC unroll 32
      for (int n = 0; n < N; ++n) {
        sum[n][i] = fma(wv, load_tail(dy + n * dy_step + whole, t), sum[n][i]);
      }
    }
  }
#pragma GCC unroll 32
  for (int n = 0; n < N; ++n) {
    hsum4(sum[n][0], sum[n][1], sum[n][2], sum[n][3], dx + n * dx_step);
  }
}

typedef void (*DotTileFn)(int32_t, const float*, int64_t, const float*, int64_t, float*, int64_t);
template <int N>
void dot_tile_fn(int32_t outputs, const float* w, int64_t w_step, const float* dy, int64_t dy_step,
                 float* dx, int64_t dx_step) {
  dot_tile<(N <= kDotSamples ? N : kDotSamples)>(outputs, w, w_step, dy, dy_step, dx, dx_step);
}
constexpr DotTileFn kDotTiles[] = {nullptr,        dot_tile_fn<1>, dot_tile_fn<2>, dot_tile_fn<3>,
                                   dot_tile_fn<4>, dot_tile_fn<5>, dot_tile_fn<6>};
static_assert(kDotSamples <= 6, "the table of tiles is too short");

void product_transposed(int32_t samples, int32_t inputs, int32_t outputs, const float* dy,
                        int64_t dy_step, const float* w, int64_t w_step, float* dx,
                        int64_t dx_step) {
  int32_t i = 0;
  for (; i + kDotRows <= inputs; i += kDotRows, w += kDotRows * w_step) {
    const Cut cut(samples, kDotSamples);
    int64_t n = 0;
    for (int32_t t = 0; t < cut.tiles; ++t) {
      const int32_t size = t < cut.larger ? cut.size + 1 : cut.size;
      kDotTiles[size](outputs, w, w_step, dy + n * dy_step, dy_step, dx + n * dx_step + i, dx_step);
      n += size;
    }
  }
  for (; i < inputs; ++i, w += w_step) {
    for (int64_t n = 0; n < samples; ++n) {
      dot_some_rows<1>(outputs, w, dy + n * dy_step, dx + n * dx_step + i);
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
