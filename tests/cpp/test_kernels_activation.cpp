// Accuracy of the activations over sweeps of bit patterns, against double libm; and their slopes.
#include <functional>

#include "test_kernels.h"

namespace striate::testing {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float from_bits(std::uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Every 1009th bit pattern, both signs, and the corners.
const std::vector<float>& sweep() {
  static const std::vector<float> floats = [] {
    std::vector<float> v = {0.0f,   -0.0f,   kInfinity, -kInfinity, 1.0f,   -1.0f,    0.5f,
                            88.7f,  -88.7f,  88.8f,     -88.8f,     0.625f, 0.6251f,  -0.625f,
                            104.0f, -104.0f, 1e-38f,    -1e-38f,    3e38f,  -3e38f,   0.9277f,
                            9.0f,   -9.0f,   17.0f,     -17.0f,     -87.0f, -0.3466f, 0.3466f};
    for (std::uint64_t bits = 0; bits < 0x7f800000u; bits += 1009) {
      v.push_back(from_bits(static_cast<std::uint32_t>(bits)));
      v.push_back(-v.back());
    }
    for (float x = -20; x < 20; x += 0.00137f) v.push_back(x);
    return v;
  }();
  return floats;
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

class KernelsActivation : public KernelTest {
 protected:
  std::vector<float> run(ActivationKind kind, float alpha, const std::vector<float>& x) {
    Guarded y(static_cast<std::int64_t>(x.size()));
    kernels().activation(kind, alpha, y.size(), x.data(), y.data());
    EXPECT_TRUE(y.intact());
    return std::vector<float>(y.data(), y.data() + y.size());
  }
  // Subnormal results are not counted: regions flush them.
  void expect_ulps(ActivationKind kind, float alpha, std::int64_t bound,
                   const std::function<double(double)>& exact) {
    const std::vector<float>& x = sweep();
    const std::vector<float> y = run(kind, alpha, x);
    std::int64_t worst = 0;
    float at = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float expected = static_cast<float>(exact(x[i]));
      if (std::fabs(expected) < std::numeric_limits<float>::min()) {
        ASSERT_LT(std::fabs(y[i]), 2 * std::numeric_limits<float>::min()) << x[i];
        continue;
      }
      const std::int64_t distance = ulps(y[i], expected);
      if (distance > worst) {
        worst = distance;
        at = x[i];
      }
    }
    EXPECT_LE(worst, bound) << "at " << at;
    RecordProperty("ulps", static_cast<int>(worst));
  }
};
STRIATE_EVERY_ISA(KernelsActivation);

TEST_P(KernelsActivation, Sigmoid) { expect_ulps(ActivationKind::kSigmoid, 0, 3, sigmoid); }
TEST_P(KernelsActivation, Tanh) {
  expect_ulps(ActivationKind::kTanh, 0, 3, [](double x) { return std::tanh(x); });
}
TEST_P(KernelsActivation, ScaledTanh) {
  const double a = 1.7159f, s = 2.0f / 3.0f;
  expect_ulps(ActivationKind::kScaledTanh, 0, 5, [=](double x) { return a * std::tanh(s * x); });
}
TEST_P(KernelsActivation, Elu) {
  expect_ulps(ActivationKind::kElu, 1, 2, [](double x) { return x > 0 ? x : std::expm1(x); });
}
TEST_P(KernelsActivation, PiecewiseLinearIsExact) {
  expect_ulps(ActivationKind::kLinear, 0, 0, [](double x) { return x; });
  expect_ulps(ActivationKind::kRelu, 0, 0, [](double x) { return x > 0 ? x : 0; });
  expect_ulps(ActivationKind::kLeakyRelu, 0.25f, 0, [](double x) { return x > 0 ? x : x / 4; });
}

// For x below -17, 1 + exp(x) is 1 and the sigmoid is exp itself.
TEST_P(KernelsActivation, ExpIsWithinTwoUlps) {
  std::vector<float> x;
  for (float v = -87.3f; v < -17.5f; v = std::nextafter(v, 0.0f) + 1e-5f) x.push_back(v);
  const std::vector<float> y = run(ActivationKind::kSigmoid, 0, x);
  std::int64_t worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::int64_t d = ulps(y[i], static_cast<float>(std::exp(static_cast<double>(x[i]))));
    worst = d > worst ? d : worst;
  }
  EXPECT_LE(worst, 2);
  EXPECT_GT(x.size(), 100000u);
}

// 1 + erf cancels for negative x, so gelu is good to a share of |x|, not of itself.
TEST_P(KernelsActivation, GeluAndSilu) {
  const std::vector<float>& x = sweep();
  const std::vector<float> gelu = run(ActivationKind::kGelu, 0, x);
  const std::vector<float> silu = run(ActivationKind::kSilu, 0, x);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double t = x[i];
    if (std::isinf(t)) continue;
    ASSERT_NEAR(gelu[i], t * normal_cdf(t), 3e-7 * std::fabs(t) + 1e-40) << t;
    ASSERT_NEAR(silu[i], t * sigmoid(t), 5e-7 * std::fabs(t * sigmoid(t)) + 2e-38) << t;
    if (t > 0 && t < 1e30) {
      ASSERT_LE(ulps(gelu[i], static_cast<float>(t * normal_cdf(t))), 5) << t;
    }
  }
}

TEST_P(KernelsActivation, CornersAreThoseOfTheFunctions) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> x = {nan, kInfinity, -kInfinity, 0.0f, -0.0f};
  const struct {
    ActivationKind kind;
    float at_infinity, at_minus_infinity, at_zero;
  } cases[] = {{ActivationKind::kLinear, kInfinity, -kInfinity, 0},
               {ActivationKind::kRelu, kInfinity, 0, 0},
               {ActivationKind::kLeakyRelu, kInfinity, -kInfinity, 0},
               {ActivationKind::kSigmoid, 1, 0, 0.5f},
               {ActivationKind::kTanh, 1, -1, 0},
               {ActivationKind::kScaledTanh, 1.7159f, -1.7159f, 0},
               {ActivationKind::kElu, kInfinity, -0.5f, 0},
               {ActivationKind::kGelu, kInfinity, 0, 0},
               {ActivationKind::kSilu, kInfinity, 0, 0}};
  for (const auto& c : cases) {
    const std::vector<float> y = run(c.kind, 0.5f, x);
    EXPECT_TRUE(std::isnan(y[0])) << static_cast<int>(c.kind);
    EXPECT_EQ(y[1], c.at_infinity) << static_cast<int>(c.kind);
    EXPECT_EQ(y[2], c.at_minus_infinity) << static_cast<int>(c.kind);
    EXPECT_EQ(y[3], c.at_zero) << static_cast<int>(c.kind);
    EXPECT_EQ(y[4], c.at_zero) << static_cast<int>(c.kind);
  }
}

// The tail of a vector gives the bits that its body would.
TEST_P(KernelsActivation, TailsAreLikeBodies) {
  for (int kind = 0; kind <= static_cast<int>(ActivationKind::kSilu); ++kind) {
    Random random(kind);
    std::vector<float> x(64);
    for (float& v : x) v = random.uniform(-6, 6);
    const auto k = static_cast<ActivationKind>(kind);
    const std::vector<float> whole = run(k, 0.3f, x);
    for (int n = 1; n < 40; ++n) {
      const std::vector<float> part = run(k, 0.3f, std::vector<float>(x.begin(), x.begin() + n));
      ASSERT_EQ(std::memcmp(part.data(), whole.data(), sizeof(float) * n), 0) << kind << " " << n;
    }
  }
}

double slope(ActivationKind kind, double alpha, double x) {
  const double a = 1.7159f, s = 2.0f / 3.0f,
               t = std::tanh(kind == ActivationKind::kTanh ? x : s * x);
  const double g = sigmoid(x);
  switch (kind) {
    case ActivationKind::kLinear:
      return 1;
    case ActivationKind::kRelu:
      return x > 0 ? 1 : 0;
    case ActivationKind::kLeakyRelu:
      return x > 0 ? 1 : alpha;
    case ActivationKind::kSigmoid:
      return g * (1 - g);
    case ActivationKind::kTanh:
      return 1 - t * t;
    case ActivationKind::kScaledTanh:
      return a * s * (1 - t * t);
    case ActivationKind::kElu:
      return x > 0 ? 1 : alpha * std::exp(x);
    case ActivationKind::kGelu:
      return normal_cdf(x) + x * std::exp(-0.5 * x * x) / std::sqrt(2 * std::acos(-1.0));
    case ActivationKind::kSilu:
      return g * (1 + x * (1 - g));
  }
  return 0;
}

TEST_P(KernelsActivation, BackwardMultipliesByTheSlope) {
  std::vector<float> x = {200.0f, -200.0f, 1000.0f, -1000.0f};
  for (float v = -9; v < 9; v += 0.0173f) x.push_back(v);
  const auto n = static_cast<std::int64_t>(x.size());
  std::vector<float> dy(x.size());
  Random random(5);
  for (float& d : dy) d = random.uniform(-2, 2);
  for (int i = 0; i <= static_cast<int>(ActivationKind::kSilu); ++i) {
    const auto kind = static_cast<ActivationKind>(i);
    const bool of_x = kind == ActivationKind::kGelu || kind == ActivationKind::kSilu;
    for (const float alpha : {0.4f, -0.4f}) {
      for (const int order : {1, 2}) {
        const bool from_x =
            of_x ||
            (alpha < 0 && (kind == ActivationKind::kElu || kind == ActivationKind::kLeakyRelu));
        const std::vector<float> y = run(kind, alpha, x);
        Guarded dx(n);
        kernels().activation_backward(kind, alpha, n, from_x ? x.data() : nullptr,
                                      from_x ? nullptr : y.data(), dy.data(), dx.data(), order);
        ASSERT_TRUE(dx.intact());
        for (std::int64_t j = 0; j < n; ++j) {
          const double f = slope(kind, alpha, x[j]);
          ASSERT_NEAR(dx[j], dy[j] * (order == 2 ? f * f : f), 2e-6)
              << "kind " << i << " alpha " << alpha << " order " << order << " x " << x[j];
        }
      }
    }
  }
}

}  // namespace
}  // namespace striate::testing
