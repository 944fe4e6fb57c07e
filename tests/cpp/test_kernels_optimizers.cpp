// Optimizers against their formulas in double, and the order of sum_tree.
#include "test_kernels.h"

namespace striate::testing {
namespace {

class KernelsOptimizers : public KernelTest {
 protected:
  static constexpr int kSize = 53;
  // Guarded copies of one set of parameters, gradients and slots.
  struct State {
    Guarded g{kSize}, w{kSize}, a{kSize}, b{kSize}, c{kSize};
    explicit State(int seed) {
      Random random(seed);
      for (Guarded* buffer : {&g, &w, &a, &b, &c}) {
        for (int i = 0; i < kSize; ++i) (*buffer)[i] = random.uniform(0.1f, 2);
      }
      for (int i = 0; i < kSize; i += 2) g[i] = -g[i];
      // rmsprop, centered: a variance is not below its mean's square.
      for (int i = 0; i < kSize; ++i) b[i] = 0.3f * std::sqrt(a[i]);
    }
    bool intact() const {
      return g.intact() && w.intact() && a.intact() && b.intact() && c.intact();
    }
  };
};
STRIATE_EVERY_ISA(KernelsOptimizers);

TEST_P(KernelsOptimizers, Sgd) {
  const float lr = 0.1f, decay = 0.01f;
  for (const float momentum : {0.0f, 0.9f}) {
    for (const bool nesterov : {false, true}) {
      State s(1), old(1);
      kernels().sgd(kSize, lr, momentum, nesterov, decay, s.g.data(), s.w.data(),
                    momentum == 0 ? nullptr : s.a.data());
      ASSERT_TRUE(s.intact());
      for (int i = 0; i < kSize; ++i) {
        const double step = static_cast<double>(lr) * old.g[i];
        const double v = momentum == 0 ? -step : static_cast<double>(momentum) * old.a[i] - step;
        const double move = nesterov && momentum != 0 ? momentum * v - step : v;
        ASSERT_NEAR(s.w[i], old.w[i] * (1.0 - decay) + move, 1e-6);
        if (momentum != 0) {
          ASSERT_NEAR(s.a[i], v, 1e-6);
        }
      }
    }
  }
}

TEST_P(KernelsOptimizers, Adam) {
  State s(2), old(2);
  kernels().adam(kSize, 0.01f, 0.9f, 0.999f, 1e-7f, 0.02f, s.g.data(), s.w.data(), s.a.data(),
                 s.c.data());
  ASSERT_TRUE(s.intact());
  for (int i = 0; i < kSize; ++i) {
    const double g = old.g[i], m = old.a[i] + (g - old.a[i]) * (1 - 0.9);
    const double v = old.c[i] + (g * g - old.c[i]) * (1 - 0.999);
    ASSERT_NEAR(s.a[i], m, 1e-6);
    ASSERT_NEAR(s.c[i], v, 1e-6);
    ASSERT_NEAR(s.w[i], old.w[i] * (1 - 0.02) - 0.01 * m / (std::sqrt(v) + 1e-7), 1e-6);
  }
}

TEST_P(KernelsOptimizers, RmsProp) {
  const double lr = 0.01, rho = 0.9, epsilon = 1e-3, decay = 0.02, momentum = 0.5;
  for (const bool centered : {false, true}) {
    for (const bool with_momentum : {false, true}) {
      State s(3), old(3);
      kernels().rmsprop(kSize, static_cast<float>(lr), static_cast<float>(rho),
                        with_momentum ? static_cast<float>(momentum) : 0.0f,
                        static_cast<float>(epsilon), static_cast<float>(decay), s.g.data(),
                        s.w.data(), s.a.data(), centered ? s.b.data() : nullptr,
                        with_momentum ? s.c.data() : nullptr);
      ASSERT_TRUE(s.intact());
      for (int i = 0; i < kSize; ++i) {
        const double g = old.g[i], v = rho * old.a[i] + (1 - rho) * g * g;
        const double mean = rho * old.b[i] + (1 - rho) * g;
        double step = lr * g / std::sqrt((centered ? v - mean * mean : v) + epsilon);
        if (with_momentum) step += momentum * old.c[i];
        ASSERT_NEAR(s.a[i], v, 1e-5);
        if (centered) {
          ASSERT_NEAR(s.b[i], mean, 1e-6);
        }
        if (with_momentum) {
          ASSERT_NEAR(s.c[i], step, 1e-5);
        }
        ASSERT_NEAR(s.w[i], old.w[i] * (1 - decay) - step, 1e-5);
      }
    }
  }
}

TEST_P(KernelsOptimizers, Sdlm) {
  State s(4), old(4);
  kernels().sdlm(kSize, 0.05f, 0.02f, s.a.data(), 0.01f, s.g.data(), s.w.data());
  ASSERT_TRUE(s.intact());
  for (int i = 0; i < kSize; ++i) {
    ASSERT_NEAR(s.w[i], old.w[i] * (1 - 0.01) - 0.05 / (0.02 + old.a[i]) * old.g[i], 1e-6);
  }
}

// Real data, so a different order would show in the bits.
TEST_P(KernelsOptimizers, SumTreeAddsInItsOrder) {
  const int lengths[] = {1, 15, 16, 17, 255, 256, 257, 1000};
  for (int count = 1; count <= 64; ++count) {
    for (const int n : lengths) {
      Random random(count);
      std::vector<Guarded> parts;
      std::vector<const float*> pointers;
      for (int p = 0; p < count; ++p) {
        parts.emplace_back(n);
        for (int i = 0; i < n; ++i) parts.back()[i] = random.uniform(-1, 1);
      }
      for (Guarded& part : parts) pointers.push_back(part.data());
      std::vector<float> expected;
      for (int i = 0; i < n; ++i) {
        std::vector<float> level;
        for (Guarded& part : parts) level.push_back(part[i]);
        while (level.size() > 1) {
          std::vector<float> next;
          for (std::size_t j = 0; j + 1 < level.size(); j += 2) {
            next.push_back(level[j] + level[j + 1]);
          }
          if (level.size() % 2 == 1) next.push_back(level.back());
          level = next;
        }
        expected.push_back(level[0]);
      }
      Guarded out(n);
      kernels().sum_tree(n, count, pointers.data(), out.data());
      ASSERT_TRUE(out.intact());
      ASSERT_EQ(std::memcmp(out.data(), expected.data(), sizeof(float) * n), 0) << count;
      kernels().sum_tree(n, count, pointers.data(), parts[0].data());  // into parts[0]
      ASSERT_EQ(std::memcmp(parts[0].data(), expected.data(), sizeof(float) * n), 0) << count;
    }
  }
}

}  // namespace
}  // namespace striate::testing
