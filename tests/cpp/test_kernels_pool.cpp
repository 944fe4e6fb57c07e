// Pooling kernels against nested loops: windows over edges, overlapping and gapped strides, both
// layouts (`inner`), ties.
#include "test_kernels.h"

namespace striate::testing {
namespace {

struct Pool {
  PoolPass p{};
  std::int64_t x_size, y_size;
  explicit Pool(Random& random) {
    p.images = random.integer(1, 3);
    p.inner = random.coin() ? 16 * random.integer(1, 3) : random.integer(1, 40);
    p.height = random.integer(1, 9);
    p.width = random.integer(1, 9);
    const bool plain = random.coin();  // 2x2 with stride 2, as LeNet-5's
    p.window_h = plain ? 2 : random.integer(1, 4);
    p.window_w = plain ? 2 : random.integer(1, 4);
    p.stride_h = plain ? 2 : random.integer(1, 4);
    p.stride_w = plain ? 2 : random.integer(1, 4);
    p.pad_top = plain ? 0 : random.integer(0, p.window_h - 1);
    p.pad_left = plain ? 0 : random.integer(0, p.window_w - 1);
    // Every window keeps a pixel of the image.
    p.out_height = random.integer(1, (p.height + p.pad_top - 1) / p.stride_h + 1);
    p.out_width = random.integer(1, (p.width + p.pad_left - 1) / p.stride_w + 1);
    p.divisor = random.coin() ? 0 : p.window_h * p.window_w;
    x_size = static_cast<std::int64_t>(p.images) * p.height * p.width * p.inner;
    y_size = static_cast<std::int64_t>(p.images) * p.out_height * p.out_width * p.inner;
  }
  // visit(output, input, place in the window), windows in order and pixels in order within them.
  template <class Visit>
  void each(Visit visit) const {
    for (int n = 0; n < p.images; ++n) {
      for (int r = 0; r < p.out_height; ++r) {
        for (int c = 0; c < p.out_width; ++c) {
          for (int a = 0; a < p.window_h; ++a) {
            for (int b = 0; b < p.window_w; ++b) {
              const int h = r * p.stride_h - p.pad_top + a, w = c * p.stride_w - p.pad_left + b;
              if (h < 0 || h >= p.height || w < 0 || w >= p.width) continue;
              const std::int64_t to = ((n * p.out_height + r) * p.out_width + c) * p.inner;
              const std::int64_t from = ((n * p.height + h) * p.width + w) * p.inner;
              for (int i = 0; i < p.inner; ++i) visit(to + i, from + i, a * p.window_w + b);
            }
          }
        }
      }
    }
  }
};

class KernelsPooling : public KernelTest {};
STRIATE_EVERY_ISA(KernelsPooling);

TEST_P(KernelsPooling, MaxAndItsGradient) {
  for (int seed = 0; seed < 300; ++seed) {
    Random random(seed);
    const Pool pool(random);
    Guarded x(pool.x_size), y(pool.y_size), index(pool.y_size), alone(pool.y_size);
    for (std::int64_t i = 0; i < pool.x_size; ++i) {
      x[i] = static_cast<float>(random.integer(-3, 3));  // many ties
    }
    std::vector<float> best(pool.y_size, canary()), place(pool.y_size, -1.0f);
    pool.each([&](std::int64_t to, std::int64_t from, int at) {
      if (place[to] >= 0 && !(x[from] > best[to])) return;
      best[to] = x[from];
      place[to] = static_cast<float>(at);
    });
    kernels().max_pool(pool.p, x.data(), y.data(), index.data());
    kernels().max_pool(pool.p, x.data(), alone.data(), nullptr);
    ASSERT_TRUE(y.intact() && index.intact() && alone.intact()) << seed;
    for (std::int64_t i = 0; i < pool.y_size; ++i) {
      ASSERT_EQ(y[i], best[i]) << seed;
      ASSERT_EQ(alone[i], best[i]) << seed;
      ASSERT_EQ(index[i], place[i]) << seed;
    }
    Guarded dy(pool.y_size), dx(pool.x_size);
    random.fill(dy);
    std::vector<float> expected(pool.x_size, 0.0f);
    pool.each([&](std::int64_t to, std::int64_t from, int at) {
      if (place[to] == static_cast<float>(at)) expected[from] += dy[to];
    });
    kernels().max_pool_backward(pool.p, dy.data(), index.data(), dx.data());
    ASSERT_TRUE(dx.intact()) << seed;
    for (std::int64_t i = 0; i < pool.x_size; ++i) ASSERT_EQ(dx[i], expected[i]) << seed;
  }
}

TEST_P(KernelsPooling, AverageAndItsGradient) {
  for (int seed = 0; seed < 300; ++seed) {
    Random random(1000 + seed);
    const Pool pool(random);
    Guarded x(pool.x_size), y(pool.y_size), dy(pool.y_size), dx(pool.x_size);
    random.fill(x);
    random.fill(dy);
    std::vector<double> sum(pool.y_size, 0), count(pool.y_size, 0);
    pool.each([&](std::int64_t to, std::int64_t from, int) {
      sum[to] += x[from];
      count[to] += 1;
    });
    kernels().avg_pool(pool.p, x.data(), y.data());
    ASSERT_TRUE(y.intact()) << seed;
    for (std::int64_t i = 0; i < pool.y_size; ++i) {
      if (pool.p.divisor != 0) count[i] = pool.p.divisor;
      ASSERT_EQ(y[i], static_cast<float>(sum[i]) / static_cast<float>(count[i])) << seed;
    }
    for (const int order : {1, 2}) {
      std::vector<double> expected(pool.x_size, 0);
      pool.each([&](std::int64_t to, std::int64_t from, int) {
        expected[from] += dy[to] / std::pow(count[to], order);
      });
      kernels().avg_pool_backward(pool.p, dy.data(), dx.data(), order);
      ASSERT_TRUE(dx.intact()) << seed;
      for (std::int64_t i = 0; i < pool.x_size; ++i) {
        ASSERT_NEAR(dx[i], expected[i], 1e-4) << seed << " order " << order;
      }
    }
  }
}

}  // namespace
}  // namespace striate::testing
