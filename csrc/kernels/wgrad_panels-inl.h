// Weight gradients with channels in lanes, some output pixels at a time, which are the depth of a
// product: its two sides stay in L1 and L2 until all have met. Without that, an image at a time,
// pixels are a power of two apart in most networks, share a few sets of L1, and come from L3 again
// for every tile (39 % of the limit on ResNet-50's 28x28 1x1 512-128).
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// Whole vectors: a pixel's stores are aligned, and nothing of its neighbours is written over.
constexpr int32_t kWgradColumn = (kMostByGroup[1] + kWidth - 1) / kWidth * kWidth;

inline void wgrad_pack_x(const float* x, int64_t x_col, int32_t pixels, const int32_t* rows,
                         int32_t tiles, float* to, int64_t tile_step) {
  for (int32_t t = 0; t < tiles; ++t, to += tile_step) {
    for (int32_t m = 0; m < rows[t]; m += kWidth) {
      const Tail some = tail(static_cast<int>(least(kWidth, rows[t] - m)));
      const float* from = x + m;
      float* column = to + m;
      for (int32_t p = 0; p < pixels; ++p, from += x_col, column += kWgradColumn) {
        store(column, load_tail(from, some));
      }
    }
    x += rows[t];
  }
}

inline void wgrad_pack_dy(const float* dy, int64_t dy_col, int32_t pixels, int32_t outputs,
                          float* to) {
  constexpr int32_t kPanel = kChannelVectors * kWidth;
  for (int32_t p = 0; p < pixels; ++p) {
    const float* const from = dy + p * dy_col;
    for (int32_t o = 0; o < outputs; o += kPanel) {
      const int32_t rest = outputs - o;
      const int32_t width = rest <= kWidth ? kWidth : kPanel;
      float* const panel = to + static_cast<int64_t>(o) * pixels + p * width;
      for (int32_t v = 0; v < width; v += kWidth) {
        const int32_t n = rest - v;
        store(panel + v, n >= kWidth ? load(from + o + v) : load_tail(from + o + v, tail(n)));
      }
    }
  }
}

struct WgradPanel {
  const PixelSpan* spans;
  int32_t span_count;
  int64_t x_offset, x_step;
  const float* dy;
  WgradSums sums;
  int32_t last;  // outputs in the last vector
};

// kWhole: the last vector is full.
template <int MB, int CV, bool kWhole>
STRIATE_INLINE void store_tile(const WgradSums& sums, Tail last, const V (&sum)[MB][CV]) {
  const float* from = sums.from;
  float* to = sums.to;
#pragma GCC unroll 32
  for (int m = 0; m < MB; ++m, to += sums.to_step) {
#pragma GCC unroll 32
    for (int v = 0; v < CV; ++v) {
      const bool whole = kWhole || v < CV - 1;
      V value = sum[m][v];
      if (from) {
        const float* const at = from + v * kWidth;
        value = value + (whole ? load(at) : load_tail(at, last));
      }
      whole ? store(to + v * kWidth, value) : store_tail(to + v * kWidth, value, last);
    }
    if (from) from += sums.from_step;
  }
}

// The block of pixels has sums of its own, which are then added to those of the blocks before: an
// error grows with a block's pixels and the number of blocks, not with all pixels of a batch.
template <int MB, int CV>
void wgrad_panel_tile(const WgradPanel& t) {
  V sum[MB][CV];
#pragma GCC unroll 32
  for (int i = 0; i < MB * CV; ++i) sum[i / CV][i % CV] = zero();
  const Tail last = tail(t.last);
  for (int32_t s = 0; s < t.span_count; ++s) {
    const PixelSpan& span = t.spans[s];
    channels_run<MB, CV, false>(span.x + t.x_offset, 1, t.x_step,
                                t.dy + static_cast<int64_t>(span.first) * CV * kWidth, CV * kWidth,
                                CV * kWidth, span.count, last, sum);
  }
  if (t.last == kWidth) {
    store_tile<MB, CV, true>(t.sums, last, sum);
  } else {
    store_tile<MB, CV, false>(t.sums, last, sum);
  }
}

typedef void (*WgradPanelFn)(const WgradPanel&);
template <int MB, int CV>
constexpr WgradPanelFn wgrad_panel_fn() {
  if constexpr (MB <= kMostByGroup[1]) {
    return &wgrad_panel_tile<MB, CV>;
  } else {
    return nullptr;
  }
}
struct WgradPanelFns {
  WgradPanelFn fn[15];
};
template <int CV>
constexpr WgradPanelFns wgrad_panel_fns() {
  return {{nullptr, wgrad_panel_fn<1, CV>(), wgrad_panel_fn<2, CV>(), wgrad_panel_fn<3, CV>(),
           wgrad_panel_fn<4, CV>(), wgrad_panel_fn<5, CV>(), wgrad_panel_fn<6, CV>(),
           wgrad_panel_fn<7, CV>(), wgrad_panel_fn<8, CV>(), wgrad_panel_fn<9, CV>(),
           wgrad_panel_fn<10, CV>(), wgrad_panel_fn<11, CV>(), wgrad_panel_fn<12, CV>(),
           wgrad_panel_fn<13, CV>(), wgrad_panel_fn<14, CV>()}};
}
constexpr WgradPanelFns kWgradPanels[2] = {wgrad_panel_fns<1>(), wgrad_panel_fns<2>()};

void wgrad_panel(int32_t rows, int32_t outputs, const PixelSpan* spans, int32_t span_count,
                 int64_t x_offset, int64_t x_step, const float* dy, const WgradSums& sums) {
  const bool two = outputs > kWidth;
  const int32_t last = two ? outputs - kWidth : outputs;
  kWgradPanels[two].fn[rows]({spans, span_count, x_offset, x_step, dy, sums, last});
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
