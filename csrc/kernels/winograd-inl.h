// Winograd's minimal filtering F(4x4, 3x3) with channels in lanes (Lavin and Gray 2016, section 4):
// tiles of 6x6 inputs and 3x3 kernels go to 36 points, where a convolution is a product a point,
// and come back as tiles of 4x4 outputs: 36 multiplications where the sum over taps needs 144. The
// interpolation points are 0, 1, -1, 2, -2 and infinity.
//
// Denominators are taken out of the kernel's transform and divided by once, kDenominator[i] *
// kDenominator[j] at point (i, j): the reciprocals are such that integers which they divide come
// through without rounding.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

constexpr int kPoints = 6, kTaps = 3, kOutputs = 4;  // along one axis
constexpr float kDenominator[kPoints] = {4.0f, 6.0f, 6.0f, 24.0f, 24.0f, 1.0f};

// One axis of each transform; `from` and `to` step through its elements.

STRIATE_INLINE void input_axis(const V* from, int from_step, V* to, int to_step) {
  const V d0 = from[0], d1 = from[from_step], d2 = from[2 * from_step], d3 = from[3 * from_step];
  const V d4 = from[4 * from_step], d5 = from[5 * from_step];
  const V four = splat(4.0f), five = splat(5.0f), two = splat(2.0f);
  const V even = fnma(four, d2, d4), odd = fnma(four, d1, d3);
  const V across = d4 - d2, along = two * (d3 - d1);
  to[0] = fma(four, d0, fnma(five, d2, d4));
  to[to_step] = even + odd;
  to[2 * to_step] = even - odd;
  to[3 * to_step] = across + along;
  to[4 * to_step] = across - along;
  to[5 * to_step] = fma(four, d1, fnma(five, d3, d5));
}

STRIATE_INLINE void output_axis(const V* from, int from_step, V* to, int to_step) {
  const V m1 = from[from_step], m2 = from[2 * from_step];
  const V m3 = from[3 * from_step], m4 = from[4 * from_step];
  const V a = m1 + m2, b = m1 - m2, c = m3 + m4, d = m3 - m4;
  to[0] = from[0] + a + c;
  to[to_step] = fma(splat(2.0f), d, b);
  to[2 * to_step] = fma(splat(4.0f), c, a);
  to[3 * to_step] = fma(splat(8.0f), d, b) + from[5 * from_step];
}

STRIATE_INLINE void filter_axis(const V* from, int from_step, V* to, int to_step) {
  const V g0 = from[0], g1 = from[from_step], g2 = from[2 * from_step];
  const V ends = g0 + g2, far = fma(splat(4.0f), g2, g0), middle = g1 + g1;
  to[0] = g0;
  to[to_step] = zero() - (ends + g1);
  to[2 * to_step] = g1 - ends;
  to[3 * to_step] = far + middle;
  to[4 * to_step] = far - middle;
  to[5 * to_step] = g2;
}

// Transposes of the last two: gradients of outputs to the points, of points to the kernel.

STRIATE_INLINE void gradient_axis(const V* from, int from_step, V* to, int to_step) {
  const V d0 = from[0], d1 = from[from_step], d2 = from[2 * from_step], d3 = from[3 * from_step];
  const V even = d0 + d2, odd = d1 + d3;
  const V far_even = fma(splat(4.0f), d2, d0), far_odd = fma(splat(8.0f), d3, d1 + d1);
  to[0] = d0;
  to[to_step] = even + odd;
  to[2 * to_step] = even - odd;
  to[3 * to_step] = far_even + far_odd;
  to[4 * to_step] = far_even - far_odd;
  to[5 * to_step] = d3;
}

STRIATE_INLINE void filter_gradient_axis(const V* from, int from_step, V* to, int to_step) {
  const V m1 = from[from_step], m2 = from[2 * from_step];
  const V m3 = from[3 * from_step], m4 = from[4 * from_step];
  const V near = m1 + m2, far = m3 + m4, turn = m3 - m4;
  to[0] = from[0] - near + far;
  to[to_step] = (m2 - m1) + (turn + turn);
  to[2 * to_step] = fma(splat(4.0f), far, from[5 * from_step] - near);
}

STRIATE_INLINE V load_first(const float* p, int n) {
  return n >= kWidth ? load(p) : load_tail(p, tail(n));
}

// Both transforms of 6x6 or 4x4 pixels to the points. The last vector's lanes beyond `channels` are
// zero and stored with it.
template <int kSide, void (*kAxis)(const V*, int, V*, int)>
STRIATE_INLINE void to_points(const float* const* window, int32_t first, int32_t channels,
                              float* to, int64_t step) {
  for (int32_t c = 0; c < channels; c += kWidth) {
    V columns[kPoints * kSide];
#pragma GCC unroll 6
    for (int j = 0; j < kSide; ++j) {
      V column[kSide];
#pragma GCC unroll 6
      for (int i = 0; i < kSide; ++i) {
        column[i] = load_first(window[i * kSide + j] + first + c, channels - c);
      }
      kAxis(column, 1, columns + j, kSide);
    }
#pragma GCC unroll 6
    for (int i = 0; i < kPoints; ++i) {
      V points[kPoints];
      kAxis(columns + i * kSide, 1, points, 1);
#pragma GCC unroll 6
      for (int j = 0; j < kPoints; ++j) store(to + (i * kPoints + j) * step + c, points[j]);
    }
  }
}

void winograd_input(const float* const* window, int32_t first, int32_t channels, float* to,
                    int64_t step) {
  to_points<kPoints, input_axis>(window, first, channels, to, step);
}

void winograd_gradient(const float* const* window, int32_t first, int32_t channels, float* to,
                       int64_t step) {
  to_points<kOutputs, gradient_axis>(window, first, channels, to, step);
}

void winograd_output(const float* from, int64_t step, int32_t rows, int32_t cols, int32_t channels,
                     const Epilogue& epilogue, float* y, int64_t y_row, int64_t y_col) {
  const V floor = splat(epilogue.floor);
  for (int32_t c = 0; c < channels; c += kWidth) {
    const int n = static_cast<int>(least(kWidth, channels - c));
    const Tail some = tail(n);
    const V bias = epilogue.bias ? load_first(epilogue.bias + c, n) : zero();
    V columns[kOutputs * kPoints];
#pragma GCC unroll 6
    for (int j = 0; j < kPoints; ++j) {
      V column[kPoints];
#pragma GCC unroll 6
      for (int i = 0; i < kPoints; ++i) column[i] = load(from + (i * kPoints + j) * step + c);
      output_axis(column, 1, columns + j, kPoints);
    }
#pragma GCC unroll 4
    for (int i = 0; i < kOutputs; ++i) {
      if (i >= rows) break;
      V out[kOutputs];
      output_axis(columns + i * kPoints, 1, out, 1);
#pragma GCC unroll 4
      for (int j = 0; j < kOutputs; ++j) {
        if (j >= cols) break;
        const int64_t at = i * y_row + j * y_col + c;
        V value = out[j] + bias;
        if (epilogue.add) value = value + load_first(epilogue.add + at, n);
        value = max(floor, value);
        n == kWidth ? store(y + at, value) : store_tail(y + at, value, some);
      }
    }
  }
}

void winograd_filter(int64_t n, const float* taps, int64_t tap_step, float* points, int64_t step) {
  for (int64_t e = 0; e < n; e += kWidth) {
    V columns[kPoints * kTaps];
#pragma GCC unroll 3
    for (int j = 0; j < kTaps; ++j) {
      V column[kTaps];
#pragma GCC unroll 3
      for (int i = 0; i < kTaps; ++i) column[i] = load(taps + (i * kTaps + j) * tap_step + e);
      filter_axis(column, 1, columns + j, kTaps);
    }
#pragma GCC unroll 6
    for (int i = 0; i < kPoints; ++i) {
      V row[kPoints];
      filter_axis(columns + i * kTaps, 1, row, 1);
#pragma GCC unroll 6
      for (int j = 0; j < kPoints; ++j) {
        store(points + (i * kPoints + j) * step + e,
              row[j] * splat(1.0f / (kDenominator[i] * kDenominator[j])));
      }
    }
  }
}

void winograd_filter_gradient(int32_t n, const float* points, int64_t step, float* taps,
                              int64_t tap_step, bool accumulate) {
  for (int32_t e = 0; e < n; e += kWidth) {
    const Tail some = tail(static_cast<int>(least(kWidth, n - e)));
    V columns[kTaps * kPoints];
#pragma GCC unroll 6
    for (int j = 0; j < kPoints; ++j) {
      V column[kPoints];
#pragma GCC unroll 6
      for (int i = 0; i < kPoints; ++i) {
        column[i] = load_tail(points + (i * kPoints + j) * step + e, some) *
                    splat(1.0f / (kDenominator[i] * kDenominator[j]));
      }
      filter_gradient_axis(column, 1, columns + j, kPoints);
    }
#pragma GCC unroll 3
    for (int i = 0; i < kTaps; ++i) {
      V row[kTaps];
      filter_gradient_axis(columns + i * kPoints, 1, row, 1);
#pragma GCC unroll 3
      for (int j = 0; j < kTaps; ++j) {
        float* const to = taps + (i * kTaps + j) * tap_step + e;
        store_tail(to, accumulate ? row[j] + load_tail(to, some) : row[j], some);
      }
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
