// The products of wide dense layers against three nested loops: all tails of samples, depth and
// outputs, rows with gaps between them that may be neither read nor written.
#include "test_kernels.h"

namespace striate::testing {
namespace {

// Rows of `cols` numbers, `step` apart; NaN between them.
struct Rows {
  int rows, cols, step;
  Guarded data;
  Rows(Random& random, int rows_in, int cols_in)
      : rows(rows_in), cols(cols_in), step(cols + random.integer(0, 5)), data(size()) {}
  std::int64_t size() const { return static_cast<std::int64_t>(rows - 1) * step + cols; }
  float& at(int r, int c) { return data[static_cast<std::int64_t>(r) * step + c]; }
  void fill(Random& random) {
    for (int r = 0; r < rows; ++r)
      for (int c = 0; c < cols; ++c) at(r, c) = random.value();
  }
};

void expect_rows(const std::vector<float>& want, Rows& got, const std::string& what) {
  ASSERT_TRUE(got.data.intact()) << what << ": wrote outside";
  for (int r = 0; r < got.rows; ++r) {
    for (int c = 0; c < got.cols; ++c)
      ASSERT_EQ(got.at(r, c), want[static_cast<std::size_t>(r * got.cols + c)])
          << what << " at row " << r << ", column " << c;
    for (int c = got.cols; c < got.step && r + 1 < got.rows; ++c)
      ASSERT_TRUE(is_canary(got.at(r, c))) << what << ": wrote between rows";
  }
}

class KernelsDense : public KernelTest {};
STRIATE_EVERY_ISA(KernelsDense);

enum class Start { kZeros, kBias, kSums };

TEST_P(KernelsDense, Product) {
  for (int seed = 0; seed < 360; ++seed) {
    Random random(static_cast<std::uint32_t>(seed));
    const int samples = 1 + seed % 40, depth = random.integer(1, 150);
    const int outputs = random.coin() ? random.integer(1, 40) : random.integer(1, 300);
    const auto start = static_cast<Start>(random.integer(0, 2));
    Rows x(random, samples, depth), w(random, depth, outputs), y(random, samples, outputs);
    x.fill(random);
    w.fill(random);
    Guarded bias(outputs);
    random.fill(bias);
    if (start == Start::kSums) y.fill(random);
    std::vector<float> want;
    for (int n = 0; n < samples; ++n)
      for (int o = 0; o < outputs; ++o) {
        float sum = start == Start::kBias ? bias[o] : start == Start::kSums ? y.at(n, o) : 0.0f;
        for (int k = 0; k < depth; ++k) sum += x.at(n, k) * w.at(k, o);
        want.push_back(sum);
      }
    const float* from = start == Start::kBias   ? bias.data()
                        : start == Start::kSums ? y.data.data()
                                                : nullptr;
    kernels().product(samples, depth, outputs, x.data.data(), x.step, w.data.data(), w.step, from,
                      start == Start::kSums ? y.step : 0, y.data.data(), y.step);
    expect_rows(want, y,
                "seed " + std::to_string(seed) + ": " + std::to_string(samples) + " samples, " +
                    std::to_string(depth) + " -> " + std::to_string(outputs));
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelsDense, ProductTransposed) {
  for (int seed = 0; seed < 360; ++seed) {
    Random random(static_cast<std::uint32_t>(1000 + seed));
    const int samples = 1 + seed % 40, inputs = random.integer(1, 120);
    const int outputs = random.coin() ? random.integer(1, 40) : random.integer(1, 300);
    Rows dy(random, samples, outputs), w(random, inputs, outputs), dx(random, samples, inputs);
    dy.fill(random);
    w.fill(random);
    std::vector<float> want;
    for (int n = 0; n < samples; ++n)
      for (int i = 0; i < inputs; ++i) {
        float sum = 0.0f;
        for (int o = 0; o < outputs; ++o) sum += dy.at(n, o) * w.at(i, o);
        want.push_back(sum);
      }
    kernels().product_transposed(samples, inputs, outputs, dy.data.data(), dy.step, w.data.data(),
                                 w.step, dx.data.data(), dx.step);
    expect_rows(want, dx,
                "seed " + std::to_string(seed) + ": " + std::to_string(samples) + " samples, " +
                    std::to_string(inputs) + " <- " + std::to_string(outputs));
    if (HasFatalFailure()) return;
  }
}

// A sample's bits do not depend on which samples stand beside it, so that a batch may be cut into
// pieces; nor on how the sum over inputs is cut.
TEST_P(KernelsDense, ASamplesBitsAreItsOwn) {
  const int samples = 37, depth = 300, outputs = 75;
  Random random(7);
  Guarded x(samples * depth), w(depth * outputs), bias(outputs), dy(samples * outputs);
  for (Guarded* buffer : {&x, &w, &bias, &dy})
    for (std::int64_t i = 0; i < buffer->size(); ++i) (*buffer)[i] = random.uniform(-1, 1);
  Guarded together(samples * outputs), alone(outputs), cut(outputs);
  Guarded dx_together(samples * depth), dx_alone(depth);
  const KernelTable& k = kernels();
  k.product(samples, depth, outputs, x.data(), depth, w.data(), outputs, bias.data(), 0,
            together.data(), outputs);
  k.product_transposed(samples, depth, outputs, dy.data(), outputs, w.data(), outputs,
                       dx_together.data(), depth);
  for (int n = 0; n < samples; ++n) {
    const float* xn = x.data() + n * depth;
    k.product(1, depth, outputs, xn, depth, w.data(), outputs, bias.data(), 0, alone.data(),
              outputs);
    k.product(1, 128, outputs, xn, depth, w.data(), outputs, bias.data(), 0, cut.data(), outputs);
    k.product(1, depth - 128, outputs, xn + 128, depth, w.data() + 128 * outputs, outputs,
              cut.data(), outputs, cut.data(), outputs);
    const std::size_t bytes = sizeof(float) * outputs;
    ASSERT_EQ(std::memcmp(alone.data(), together.data() + n * outputs, bytes), 0) << n;
    ASSERT_EQ(std::memcmp(cut.data(), alone.data(), bytes), 0) << n;
    k.product_transposed(1, depth, outputs, dy.data() + n * outputs, outputs, w.data(), outputs,
                         dx_alone.data(), depth);
    ASSERT_EQ(std::memcmp(dx_alone.data(), dx_together.data() + n * depth, sizeof(float) * depth),
              0)
        << n;
  }
}

}  // namespace
}  // namespace striate::testing
