// float32 to pairs of bfloat16 (bfloat16.h).
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// A pixel's last words: fewer than a vector of them.
inline void pair_rest(int32_t channels, const float* x, float* words) {
  const int first = static_cast<int>(least(channels, kWidth));
  const int second = channels - first;
  const V a = load_tail(x, tail(first));
  const V b = second > 0 ? load_tail(x + kWidth, tail(second)) : zero();
  store_tail(words, pair_neighbours(a, b), tail((channels + 1) / 2));
}

void pair_channels(int64_t pixels, int32_t channels, const float* x, float* words) {
  if (channels % (2 * kWidth) == 0) {  // no pixel ends within a vector
    for (int64_t i = 0; i < pixels * channels; i += 2 * kWidth) {
      store(words + i / 2, pair_neighbours(load(x + i), load(x + i + kWidth)));
    }
    return;
  }
  for (int64_t p = 0; p < pixels; ++p, x += channels, words += (channels + 1) / 2) {
    int32_t c = 0;
    for (; c + 2 * kWidth <= channels; c += 2 * kWidth) {
      store(words + c / 2, pair_neighbours(load(x + c), load(x + c + kWidth)));
    }
    if (c < channels) pair_rest(channels - c, x + c, words + c / 2);
  }
}

// A pixel's numbers and those of the one below it, or zeros.
STRIATE_INLINE V pair_pixels(const float* p, int64_t step, bool last, Tail t) {
  return pair_up(load_tail(p, t), last ? zero() : load_tail(p + step, t));
}

void pair_rows(int64_t rows, int32_t width, const float* from, int64_t row_step, float* words,
               int64_t step) {
  for (int64_t r = 0; r < rows; r += 2, from += 2 * row_step, words += step) {
    int32_t i = 0;
    for (; r + 1 < rows && i + kWidth <= width; i += kWidth) {
      store(words + i, pair_up(load(from + i), load(from + row_step + i)));
    }
    for (; i < width; i += kWidth) {
      const Tail some = tail(static_cast<int>(least(kWidth, width - i)));
      store_tail(words + i, pair_pixels(from + i, row_step, r + 1 == rows, some), some);
    }
  }
}

void pairs_pack_dy(const float* dy, int64_t dy_col, int32_t pixels, int32_t outputs, float* to) {
  constexpr int32_t kPanel = kChannelVectors * kWidth;
  const int64_t pairs = (pixels + 1) / 2;
  for (int32_t p = 0; p < pixels; p += 2) {
    const float* const from = dy + p * dy_col;
    for (int32_t o = 0; o < outputs; o += kPanel) {
      const int32_t rest = outputs - o;
      const int32_t width = rest <= kWidth ? kWidth : kPanel;
      float* const panel = to + o * pairs + p / 2 * width;
      for (int32_t v = 0; v < width; v += kWidth) {
        const Tail some = tail(static_cast<int>(least(kWidth, rest - v)));
        store(panel + v, pair_pixels(from + o + v, dy_col, p + 1 == pixels, some));
      }
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
