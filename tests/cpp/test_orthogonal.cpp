// Orthogonal matrices: orthonormal, and the same bits on every machine.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <vector>

#include "core/orthogonal.h"
#include "striate/network.h"
#include "striate/threads.h"

namespace striate {
namespace {

std::vector<float> orthogonal(std::int64_t rows, std::int64_t cols, double gain) {
  std::vector<float> q(static_cast<std::size_t>(rows * cols));
  fill_orthogonal(RandomStream(5, RandomPurpose::kInitialize, 2), rows, cols, gain, q.data());
  return q;
}

TEST(Orthogonal, ColumnsOrRowsAreOrthonormal) {
  const std::int64_t shapes[][2] = {{1, 1}, {5, 5}, {40, 7}, {7, 40}, {31, 33}, {70, 64}, {64, 70}};
  for (const auto& [rows, cols] : shapes) {
    const std::vector<float> q = orthogonal(rows, cols, 3.0);
    const bool tall = rows >= cols;
    const std::int64_t vectors = tall ? cols : rows, length = tall ? rows : cols;
    const std::int64_t along = tall ? cols : 1, between = tall ? 1 : cols;
    for (std::int64_t a = 0; a < vectors; ++a)
      for (std::int64_t b = 0; b <= a; ++b) {
        double dot = 0.0;
        for (std::int64_t i = 0; i < length; ++i)
          dot += static_cast<double>(q[static_cast<std::size_t>(a * between + i * along)]) *
                 q[static_cast<std::size_t>(b * between + i * along)];
        ASSERT_NEAR(dot, a == b ? 9.0 : 0.0, 2e-6) << rows << " x " << cols;
      }
  }
}

// The hash that tests/test_initializers.py has: a seed means the same weights everywhere.
TEST(Orthogonal, SameBitsAtAnyNumberOfThreadsAndOnEveryMachine) {
  DenseOptions o;
  o.units = 110;
  o.kernel_initializer = Initializer::orthogonal();
  for (const int threads : {1, 2, 3, 4}) {
    set_num_threads(threads);
    Graph graph;
    const ValueId x = graph.input({150});
    const ValueId y = graph.add(dense(o), x, "d");
    EXPECT_EQ(Network(graph, y, 3).weights_hash(), 0xa17dd1701929de49u) << threads << " threads";
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace striate
