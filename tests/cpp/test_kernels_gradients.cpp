// What happens to gradients around the optimizer: exact on integer data, NaN where NaN came in.
#include "test_kernels.h"

namespace striate::testing {
namespace {

class KernelsGradients : public KernelTest {
 protected:
  // Below, at and above a vector of every ISA, and a chunk.
  static constexpr int kLengths[] = {1, 3, 4, 7, 8, 15, 16, 17, 53, 4096};
};
STRIATE_EVERY_ISA(KernelsGradients);

TEST_P(KernelsGradients, RegularizeAddsThePenaltysGradient) {
  for (const int n : kLengths) {
    Random random(n);
    Guarded w(n), g(n);
    random.fill(w);
    random.fill(g);
    if (n > 3) w[2] = 0.0f;
    if (n > 3) w[3] = -0.0f;
    double magnitudes = 0.0, squares = 0.0;
    std::vector<float> expected;
    for (int i = 0; i < n; ++i) {
      magnitudes += std::abs(w[i]);
      squares += static_cast<double>(w[i]) * w[i];
      const float sign = w[i] > 0 ? 1.0f : w[i] < 0 ? -1.0f : 0.0f;
      expected.push_back(g[i] + 3.0f * sign + 2.0f * 0.25f * w[i]);
    }
    const double penalty = 3.0 * magnitudes + 0.25 * squares;
    EXPECT_EQ(kernels().regularize(n, 3.0f, 0.25f, w.data(), nullptr), penalty) << n;
    EXPECT_EQ(kernels().regularize(n, 3.0f, 0.25f, w.data(), g.data()), penalty) << n;
    EXPECT_TRUE(w.intact() && g.intact()) << n;
    for (int i = 0; i < n; ++i) EXPECT_EQ(g[i], expected[static_cast<std::size_t>(i)]) << n;
  }
}

TEST_P(KernelsGradients, SumSquares) {
  for (const int n : kLengths) {
    Random random(n);
    Guarded g(n);
    random.fill(g);
    double sum = 0.0;
    for (int i = 0; i < n; ++i) sum += static_cast<double>(g[i]) * g[i];
    EXPECT_EQ(kernels().sum_squares(n, g.data()), sum) << n;
    g[n - 1] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_TRUE(std::isnan(kernels().sum_squares(n, g.data()))) << n;
  }
}

TEST_P(KernelsGradients, ClipKeepsNaN) {
  const float infinity = std::numeric_limits<float>::infinity();
  for (const int n : kLengths) {
    Random random(n);
    Guarded g(n);
    random.fill(g);
    g[0] = std::numeric_limits<float>::quiet_NaN();
    if (n > 2) g[1] = infinity;
    if (n > 2) g[2] = -infinity;
    std::vector<float> expected;
    for (int i = 0; i < n; ++i) expected.push_back(std::min(std::max(g[i], -10.0f), 10.0f));
    kernels().clip(n, 10.0f, g.data());
    EXPECT_TRUE(g.intact());
    EXPECT_TRUE(std::isnan(g[0]));
    for (int i = 1; i < n; ++i) EXPECT_EQ(g[i], expected[static_cast<std::size_t>(i)]) << n;
  }
}

TEST_P(KernelsGradients, MovingAverage) {
  for (const int n : kLengths) {
    Random random(n);
    Guarded w(n), average(n);
    random.fill(w);
    random.fill(average);
    std::vector<float> expected;
    for (int i = 0; i < n; ++i) expected.push_back(0.75f * average[i] + 0.25f * w[i]);
    kernels().moving_average(n, 0.75f, w.data(), average.data());
    EXPECT_TRUE(w.intact() && average.intact());
    for (int i = 0; i < n; ++i) EXPECT_EQ(average[i], expected[static_cast<std::size_t>(i)]) << n;
  }
}

}  // namespace
}  // namespace striate::testing
