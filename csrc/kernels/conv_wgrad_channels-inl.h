// Weight gradients with channels in lanes: sums over output pixels of x * dy, a tile of MB weight
// rows by CV vectors of outputs; conv_channels' tile turned round.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

struct WgradRows {
  const ConvPass* pass;
  int32_t first_run, end_run;  // of the pass
  int32_t run, images;
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
    for (int32_t r = 0; r < pass.rows; ++r) {
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

inline void wgrad_channels_outputs(WgradRows rows, const float* x, const float* dy, float* dw) {
  const ConvPass& pass = *rows.pass;
  const int32_t vectors = (pass.outputs + kWidth - 1) / kWidth;
  for (int32_t q = rows.first_run; q < rows.end_run; ++q) {
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

void conv_wgrad_channels(const ConvPass& pass, int32_t first_run, int32_t end_run, int32_t images,
                         const float* x, int64_t x_image, const float* dy, int64_t dy_image,
                         float* dw, int64_t dw_step, bool accumulate) {
  ConvPass wide = pass;
  wide.outputs = wide_outputs(pass.outputs, pass.depth);
  WgradRows rows{};
  rows.pass = &wide;
  rows.first_run = first_run;
  rows.end_run = end_run;
  rows.images = images;
  rows.x_image = x_image;
  rows.dy_image = dy_image;
  rows.dw_step = dw_step;
  rows.accumulate = accumulate;
  wgrad_channels_outputs(rows, x, dy, dw);
#ifdef STRIATE_NARROW_NAMESPACE
  if (wide.outputs < pass.outputs) {
    ConvPass narrow = pass;
    narrow.outputs = pass.outputs - wide.outputs;
    STRIATE_NARROW_NAMESPACE::conv_wgrad_channels(narrow, first_run, end_run, images, x, x_image,
                                                  dy + wide.outputs, dy_image, dw + wide.outputs,
                                                  dw_step, accumulate);
  }
#endif
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
