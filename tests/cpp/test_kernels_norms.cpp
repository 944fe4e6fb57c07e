// Local response normalisation's powers against double libm, and what no test of whole operations
// sees: statistics of numbers far from zero, pixels that must not touch each other.
#include <algorithm>

#include "test_kernels.h"

namespace striate::testing {
namespace {

class KernelsNorms : public KernelTest {
 protected:
  // s^-beta of s = x^2, by a window of one channel.
  std::vector<float> powers(float beta, const std::vector<float>& x) {
    const auto n = static_cast<std::int64_t>(x.size());
    const ResponseNorm pass = {1, 0, 0, 64, 1.0f, beta, std::numeric_limits<float>::min()};
    Guarded y(n), factor(n), scratch(64 + kLanes);
    kernels().response_norm(pass, n, x.data(), y.data(), factor.data(), scratch.data());
    EXPECT_TRUE(y.intact() && factor.intact() && scratch.intact());
    for (std::int64_t i = 0; i < n; ++i)
      EXPECT_EQ(y[i], x[static_cast<std::size_t>(i)] * factor[i]);
    return std::vector<float>(factor.data(), factor.data() + n);
  }
};
STRIATE_EVERY_ISA(KernelsNorms);

// The largest error in units of 2^-24 of the result, over x from 1e-15 to 1e15.
double worst_error(const std::vector<float>& x, const std::vector<float>& factor, float beta) {
  double worst = 0.0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double s = std::min(x[i] * x[i] + std::numeric_limits<float>::min(),
                              std::numeric_limits<float>::max());
    const double exact = std::pow(s, -static_cast<double>(beta));
    if (exact < std::numeric_limits<float>::min() || exact > std::numeric_limits<float>::max())
      continue;
    worst = std::max(worst, std::fabs(factor[i] - exact) / exact * 0x1p24);
  }
  return worst;
}

TEST_P(KernelsNorms, Powers) {
  std::vector<float> x;
  for (double v = 1e-15; v < 1e15; v *= 1.0007) x.push_back(static_cast<float>(v));
  for (float v = 0.5f; v < 2.0f; v += 0.0001f) x.push_back(v);
  EXPECT_LE(worst_error(x, powers(0.75f, x), 0.75f), 2.0);
  EXPECT_LE(worst_error(x, powers(0.5f, x), 0.5f), 1.5);
  EXPECT_LE(worst_error(x, powers(1.0f, x), 1.0f), 1.0);
  for (const float beta : {0.7f, 0.3f, 2.0f, -0.75f, 1.37f, 3.0f, 0.0f})
    EXPECT_LE(worst_error(x, powers(beta, x), beta), 3.0) << beta;
}

TEST_P(KernelsNorms, PowersAtTheEndsOfTheRange) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float beta : {0.75f, 0.5f, 1.0f, 0.6f}) {
    const std::vector<float> factor = powers(beta, {0.0f, 1e30f, 3e38f});
    EXPECT_TRUE(std::isfinite(factor[0])) << beta;
    EXPECT_GT(factor[0], 1e18f) << beta;
    // The sum of squares overflows; it counts as the largest float.
    for (std::size_t i = 1; i < 3; ++i) {
      EXPECT_GT(factor[i], 0.0f) << beta;
      EXPECT_LT(factor[i], 1e-18f) << beta;
    }
  }
  EXPECT_EQ(powers(30.0f, {1e15f})[0], 0.0f);
  EXPECT_EQ(powers(-30.0f, {1e15f})[0], infinity);
}

TEST_P(KernelsNorms, ResponseNormKeepsPixelsApart) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const int channels : {1, 3, 16, 21}) {
    const ResponseNorm pass = {channels, 2, 2, 4, 0.5f, 0.7f, 1.0f};
    const std::int64_t pixels = 7, n = pixels * channels;
    Random random(static_cast<std::uint32_t>(channels));
    Guarded x(n), dy(n), y(n), factor(n), dx(n), scratch(2 * (4 * (channels + 4) + kLanes));
    random.fill(x);
    random.fill(dy);
    const int broken = 2;
    for (int c = 0; c < channels; ++c) x[broken * channels + c] = nan;
    kernels().response_norm(pass, pixels, x.data(), y.data(), factor.data(), scratch.data());
    kernels().response_norm_backward(pass, pixels, x.data(), factor.data(), dy.data(), dx.data(),
                                     scratch.data());
    ASSERT_TRUE(y.intact() && factor.intact() && dx.intact() && scratch.intact());
    for (std::int64_t i = 0; i < n; ++i) {
      const bool own = i / channels == broken;
      ASSERT_EQ(std::isnan(y[i]), own) << channels << " " << i;
      ASSERT_EQ(std::isnan(dx[i]), own) << channels << " " << i;
    }
  }
}

// A mean of a million must cost no digit of what differs from it.
TEST_P(KernelsNorms, StatisticsFarFromZero) {
  for (const int cols : {1, 5, 16, 37, 64, 150, 4000}) {
    Random random(static_cast<std::uint32_t>(cols));
    Guarded x(cols), y(cols), statistics(3);
    double mean = 0.0, square = 0.0;
    for (int i = 0; i < cols; ++i) {
      x[i] = 1e6f + random.value() / 16.0f;  // exact
      mean += x[i];
    }
    mean /= cols;
    for (int i = 0; i < cols; ++i) square += (x[i] - mean) * (x[i] - mean);
    const double inverse = 1.0 / std::sqrt(square / cols + 1e-3);
    kernels().layer_norm(1, cols, 1e-3f, nullptr, nullptr, x.data(), y.data(), statistics.data());
    ASSERT_TRUE(y.intact() && statistics.intact());
    for (int i = 0; i < cols; ++i) ASSERT_NEAR(y[i], (x[i] - mean) * inverse, 2e-6) << cols;
  }
}

TEST_P(KernelsNorms, ChannelSumsAndMaps) {
  for (int seed = 0; seed < 60; ++seed) {
    Random random(static_cast<std::uint32_t>(seed));
    const int pixels = random.integer(1, 300), channels = random.integer(1, 90);
    const std::int64_t n = static_cast<std::int64_t>(pixels) * channels;
    Guarded x(n), dy(n), y(n), dx(n);
    Guarded shift(channels), a(channels), b(channels), d(channels);
    Guarded sum(channels), squares(channels), total(channels), dot(channels);
    for (Guarded* buffer : {&x, &dy, &shift, &a, &b, &d}) random.fill(*buffer);
    const KernelTable& k = kernels();
    k.channel_deviations(pixels, channels, shift.data(), x.data(), sum.data(), squares.data());
    k.channel_shifted_dots(pixels, channels, shift.data(), x.data(), dy.data(), total.data(),
                           dot.data());
    k.channel_shifted_affine(pixels, channels, shift.data(), a.data(), b.data(), x.data(),
                             y.data());
    k.channel_shifted_affine_backward(pixels, channels, shift.data(), a.data(), b.data(), d.data(),
                                      x.data(), dy.data(), dx.data());
    for (Guarded* buffer : {&y, &dx, &sum, &squares, &total, &dot}) ASSERT_TRUE(buffer->intact());
    std::vector<float> want(static_cast<std::size_t>(4 * channels), 0.0f);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto c = static_cast<std::size_t>(i % channels);
      const float deviation = x[i] - shift[i % channels];
      want[4 * c] += deviation;
      want[4 * c + 1] += deviation * deviation;
      want[4 * c + 2] += dy[i];
      want[4 * c + 3] += dy[i] * deviation;
      const auto at = static_cast<std::int64_t>(c);
      ASSERT_EQ(y[i], deviation * a[at] + b[at]) << seed;
      ASSERT_EQ(dx[i], dy[i] * a[at] + deviation * b[at] + d[at]) << seed;
    }
    for (int c = 0; c < channels; ++c) {
      ASSERT_EQ(sum[c], want[static_cast<std::size_t>(4 * c)]) << seed;
      ASSERT_EQ(squares[c], want[static_cast<std::size_t>(4 * c + 1)]) << seed;
      ASSERT_EQ(total[c], want[static_cast<std::size_t>(4 * c + 2)]) << seed;
      ASSERT_EQ(dot[c], want[static_cast<std::size_t>(4 * c + 3)]) << seed;
    }
  }
}

}  // namespace
}  // namespace striate::testing
