// Elementwise, per-channel, softmax and layout kernels, at every length of tail.
#include "test_kernels.h"

namespace striate::testing {
namespace {

class KernelsMaps : public KernelTest {};
STRIATE_EVERY_ISA(KernelsMaps);

TEST_P(KernelsMaps, AddMultiplyScale) {
  for (int n = 0; n < 70; ++n) {
    Random random(n);
    Guarded a(n), b(n), sum(n), product(n), scaled(n);
    random.fill(a);
    random.fill(b);
    kernels().add(n, a.data(), b.data(), sum.data());
    kernels().multiply(n, a.data(), b.data(), product.data());
    kernels().scale(n, -3.0f, a.data(), scaled.data());
    ASSERT_TRUE(sum.intact() && product.intact() && scaled.intact());
    for (int i = 0; i < n; ++i) {
      ASSERT_EQ(sum[i], a[i] + b[i]);
      ASSERT_EQ(product[i], a[i] * b[i]);
      ASSERT_EQ(scaled[i], -3.0f * a[i]);
    }
    const std::vector<float> before(a.data(), a.data() + n);
    kernels().add(n, a.data(), b.data(), a.data());  // in place
    for (int i = 0; i < n; ++i) ASSERT_EQ(a[i], before[i] + b[i]);
  }
}

TEST_P(KernelsMaps, BytesToFloats) {
  std::vector<std::uint8_t> bytes(300);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 7);
  for (int n = 0; n < 280; ++n) {
    Guarded y(n);
    kernels().bytes_to_floats(n, bytes.data() + 3, y.data());
    ASSERT_TRUE(y.intact());
    for (int i = 0; i < n; ++i) ASSERT_EQ(y[i], static_cast<float>(bytes[3 + i]));
  }
}

struct Channels {
  int pixels, channels, lanes;
  Guarded a, b, x, dy, y, da;
  Channels(Random& random, int lanes_in)
      : pixels(random.integer(1, 20)),
        channels(random.integer(1, 40)),
        lanes(lanes_in),
        a(channels),
        b(channels),
        x(pixels * channels * lanes),
        dy(x.size()),
        y(x.size()),
        da(channels) {
    for (Guarded* buffer : {&a, &b, &x, &dy, &da}) random.fill(*buffer);
  }
  int channel(std::int64_t i) const { return static_cast<int>(i / lanes % channels); }
};

TEST_P(KernelsMaps, ChannelAffine) {
  for (int seed = 0; seed < 200; ++seed) {
    Random random(seed);
    Channels c(random, seed % 2 ? kLanes : 1);
    const auto affine =
        c.lanes == 1 ? kernels().channel_affine_channels : kernels().channel_affine_samples;
    const bool shift = random.coin(), add = random.coin(), relu = random.coin();
    Epilogue e{shift ? c.b.data() : nullptr, add ? c.dy.data() : nullptr};
    if (relu) e.floor = 0.0f;
    affine(c.pixels, c.channels, c.a.data(), c.x.data(), e, c.y.data());
    ASSERT_TRUE(c.y.intact()) << seed;
    for (std::int64_t i = 0; i < c.x.size(); ++i) {
      const int k = c.channel(i);
      const float y = c.x[i] * c.a[k] + (shift ? c.b[k] : 0) + (add ? c.dy[i] : 0);
      ASSERT_EQ(c.y[i], relu ? std::max(y, 0.0f) : y) << seed;
    }
  }
}

TEST_P(KernelsMaps, ChannelSums) {
  for (int seed = 0; seed < 300; ++seed) {
    Random random(seed);
    Channels c(random, seed % 2 ? kLanes : 1);
    const bool accumulate = random.coin(), dot = random.coin(), samples = c.lanes > 1;
    std::vector<float> expected(c.da.data(), c.da.data() + c.channels);
    if (!accumulate) expected.assign(c.channels, 0.0f);
    for (std::int64_t i = 0; i < c.x.size(); ++i) {
      expected[c.channel(i)] += c.dy[i] * (dot ? c.x[i] : 1);
    }
    if (dot) {
      (samples ? kernels().channel_dot_samples : kernels().channel_dot_channels)(
          c.pixels, c.channels, c.dy.data(), c.x.data(), c.da.data(), accumulate);
    } else {
      (samples ? kernels().bias_grad_samples : kernels().bias_grad_channels)(
          c.pixels, c.channels, c.dy.data(), c.da.data(), accumulate);
    }
    ASSERT_TRUE(c.da.intact()) << seed;
    for (int k = 0; k < c.channels; ++k) ASSERT_EQ(c.da[k], expected[k]) << seed;
  }
}

// A million terms of one sign: one after the other, 1 / 3 would lose its last digits to the sum.
TEST_P(KernelsMaps, LongSumsKeepTheirDigits) {
  const int channels = 3;
  const std::int64_t pixels = 1000003;
  std::vector<float> ones(static_cast<std::size_t>(pixels * channels), 1.0f / 3.0f);
  Guarded sum(channels), dot(channels);
  kernels().bias_grad_channels(pixels, channels, ones.data(), sum.data(), false);
  kernels().channel_dot_channels(pixels, channels, ones.data(), ones.data(), dot.data(), false);
  ASSERT_TRUE(sum.intact() && dot.intact());
  const double third = static_cast<double>(1.0f / 3.0f), count = static_cast<double>(pixels);
  for (int c = 0; c < channels; ++c) {
    EXPECT_NEAR(sum[c] / (count * third), 1.0, 5e-5);
    EXPECT_NEAR(dot[c] / (count * third * third), 1.0, 5e-5);
  }
}

TEST_P(KernelsMaps, SoftmaxAndItsGradient) {
  for (int cols = 1; cols < 50; ++cols) {
    Random random(cols);
    const int rows = 3;
    Guarded x(rows * cols), y(rows * cols), dy(rows * cols), dx(rows * cols);
    for (std::int64_t i = 0; i < x.size(); ++i) {
      x[i] = random.uniform(-8, 8) + (i < cols ? 0.0f : 3e4f);  // exp(3e4) would overflow
      dy[i] = random.uniform(-1, 1);
    }
    kernels().softmax(rows, cols, x.data(), y.data());
    kernels().softmax_backward(rows, cols, y.data(), dy.data(), dx.data());
    ASSERT_TRUE(y.intact() && dx.intact()) << cols;
    for (int r = 0; r < rows; ++r) {
      double most = x[r * cols], sum = 0, dot = 0;
      for (int c = 0; c < cols; ++c) most = std::fmax(most, x[r * cols + c]);
      for (int c = 0; c < cols; ++c) sum += std::exp(x[r * cols + c] - most);
      for (int c = 0; c < cols; ++c) {
        const int i = r * cols + c;
        const double p = std::exp(x[i] - most) / sum;
        ASSERT_NEAR(y[i], p, 1e-6 * p + 1e-37) << cols;
        dot += static_cast<double>(dy[i]) * y[i];
      }
      for (int c = 0; c < cols; ++c) {
        const int i = r * cols + c;
        ASSERT_NEAR(dx[i], y[i] * (dy[i] - dot), 1e-6) << cols;
      }
    }
    const std::vector<float> apart(y.data(), y.data() + y.size());
    kernels().softmax(rows, cols, x.data(), x.data());  // in place
    ASSERT_EQ(std::memcmp(apart.data(), x.data(), sizeof(float) * apart.size()), 0);
  }
}

TEST_P(KernelsMaps, RowsToSamplesAndBack) {
  for (int seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const int features = random.integer(1, 70), samples = random.integer(1, kLanes);
    const int step = features + random.integer(0, 3);
    Guarded rows(step * (samples - 1) + features), back(rows.size());
    std::vector<std::vector<std::uint8_t>> bytes(samples);
    std::vector<const float*> row;
    std::vector<const std::uint8_t*> byte_row;
    for (int n = 0; n < samples; ++n) {
      for (int f = 0; f < features; ++f) {
        rows[n * step + f] = random.value();
        bytes[n].push_back(static_cast<std::uint8_t>(random.integer(0, 255)));
      }
      row.push_back(rows.data() + n * step);
      byte_row.push_back(bytes[n].data());
    }
    Guarded x(features * kLanes), from_bytes(features * kLanes);
    kernels().rows_to_samples(features, samples, row.data(), x.data());
    kernels().bytes_to_samples(features, samples, byte_row.data(), from_bytes.data());
    ASSERT_TRUE(x.intact() && from_bytes.intact()) << seed;
    for (int f = 0; f < features; ++f) {
      for (int n = 0; n < kLanes; ++n) {
        const bool used = n < samples;
        ASSERT_EQ(x[f * kLanes + n], used ? rows[n * step + f] : 0.0f) << seed;
        ASSERT_EQ(from_bytes[f * kLanes + n], used ? bytes[n][f] : 0.0f) << seed;
      }
    }
    kernels().samples_to_rows(features, samples, x.data(), step, back.data());
    ASSERT_TRUE(back.intact()) << seed;
    ASSERT_EQ(std::memcmp(back.data(), rows.data(), sizeof(float) * rows.size()), 0) << seed;
  }
}

}  // namespace
}  // namespace striate::testing
