// The kernels that merges and resizing stand on, at every length of tail.
#include "test_kernels.h"

namespace striate::testing {
namespace {

class KernelsMerge : public KernelTest {};
STRIATE_EVERY_ISA(KernelsMerge);

TEST_P(KernelsMerge, SubtractAndBlend) {
  for (int n = 0; n < 70; ++n) {
    Random random(static_cast<std::uint32_t>(n));
    Guarded a(n), b(n), difference(n), blended(n);
    random.fill(a);
    random.fill(b);
    kernels().subtract(n, a.data(), b.data(), difference.data());
    kernels().blend(n, 0.25f, a.data(), -3.0f, b.data(), blended.data());
    ASSERT_TRUE(difference.intact() && blended.intact());
    for (int i = 0; i < n; ++i) {
      ASSERT_EQ(difference[i], a[i] - b[i]);
      ASSERT_EQ(blended[i], 0.25f * a[i] - 3.0f * b[i]);
    }
    const std::vector<float> before(b.data(), b.data() + n);
    kernels().blend(n, 2.0f, a.data(), 1.0f, b.data(), b.data());  // a sum in place
    ASSERT_TRUE(b.intact());
    for (int i = 0; i < n; ++i) ASSERT_EQ(b[i], 2.0f * a[i] + before[static_cast<std::size_t>(i)]);
  }
}

TEST_P(KernelsMerge, KeepExtremeAndWhereIndex) {
  for (int n = 0; n < 70; ++n)
    for (bool smallest : {false, true}) {
      Random random(static_cast<std::uint32_t>(100 + n));
      Guarded x(n), y(n), alone(n), index(n), dy(n), dx(n);
      for (Guarded* buffer : {&x, &y}) {
        for (int i = 0; i < n; ++i) (*buffer)[i] = static_cast<float>(random.integer(-2, 2));
      }
      random.fill(dy);
      for (int i = 0; i < n; ++i) {
        alone[i] = y[i];
        index[i] = 7.0f;
      }
      const std::vector<float> best(y.data(), y.data() + n);
      kernels().keep_extreme(smallest, n, x.data(), 9.0f, y.data(), index.data());
      kernels().keep_extreme(smallest, n, x.data(), 9.0f, alone.data(), nullptr);
      kernels().where_index(n, index.data(), 9.0f, dy.data(), dx.data());
      ASSERT_TRUE(y.intact() && alone.intact() && index.intact() && dx.intact());
      for (int i = 0; i < n; ++i) {
        const float old = best[static_cast<std::size_t>(i)];
        const bool beaten = smallest ? x[i] < old : x[i] > old;  // equals stay
        ASSERT_EQ(y[i], beaten ? x[i] : old);
        ASSERT_EQ(alone[i], y[i]);
        ASSERT_EQ(index[i], beaten ? 9.0f : 7.0f);
        ASSERT_EQ(dx[i], beaten ? dy[i] : 0.0f);
      }
    }
}

}  // namespace
}  // namespace striate::testing
