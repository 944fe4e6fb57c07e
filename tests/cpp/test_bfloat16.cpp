// Pairs of bfloat16: how they are made, and what steps do with them. To the bit on integers, which
// test_ops_exact_wide.cpp compares over many more convolutions; near sums in doubles on others.
#include "near_cases.h"
#include "ops/reference.h"
#include "wide_bench.h"

namespace striate::testing {
namespace {

// Rounded to nearest, ties to even.
std::uint32_t rounded(float f) {
  std::uint32_t bits;
  std::memcpy(&bits, &f, sizeof bits);
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}

class Bfloat16 : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!bfloat16_kernels()) GTEST_SKIP() << "no AVX512-BF16 here";
  }
  const KernelTable& table() const { return *kernel_table(Isa::kAvx512); }
  static void expect_pair(float word, float low, float high, const std::string& what) {
    std::uint32_t bits;
    std::memcpy(&bits, &word, sizeof bits);
    EXPECT_EQ(bits, rounded(low) | rounded(high) << 16) << what << ": " << low << ", " << high;
  }
};

TEST_F(Bfloat16, PairsOfChannelsAreRoundedAndFilledUp) {
  CaseRandom r(1);
  for (const int channels : {1, 2, 3, 5, 16, 17, 30, 31, 32, 33, 47, 64, 95, 96, 130}) {
    const int words = (channels + 1) / 2, pixels = 3;
    const std::vector<float> x = uniform(r, pixels * channels, -3.0, 3.0);
    GuardedBuffer to(pixels * words);
    bfloat16_kernels()->pair_channels(pixels, channels, x.data(), to.data());
    EXPECT_TRUE(to.guards_intact()) << channels;
    for (int p = 0; p < pixels; ++p)
      for (int j = 0; j < words; ++j) {
        const std::size_t at = static_cast<std::size_t>(p * channels + 2 * j);
        expect_pair(to.data()[p * words + j], x[at], 2 * j + 1 < channels ? x[at + 1] : 0.0f,
                    std::to_string(channels) + " channels");
      }
  }
}

TEST_F(Bfloat16, PairsOfRowsMayTakeTheirPlace) {
  CaseRandom r(2);
  for (const int width : {1, 7, 16, 19, 32, 45})
    for (const int count : {1, 2, 9, 10}) {
      const int step = width + static_cast<int>(r.between(0, 2));
      const std::vector<float> rows = uniform(r, count * step, -3.0, 3.0);
      GuardedBuffer both(count * step);
      std::copy(rows.begin(), rows.end(), both.data());
      bfloat16_kernels()->pair_rows(count, width, both.data(), step, both.data(), step);
      EXPECT_TRUE(both.guards_intact());
      for (int p = 0; 2 * p < count; ++p)
        for (int i = 0; i < width; ++i) {
          const auto at = static_cast<std::size_t>(2 * p * step + i);
          const float below = 2 * p + 1 < count ? rows[at + static_cast<std::size_t>(step)] : 0.0f;
          expect_pair(both.data()[p * step + i], rows[at], below, "rows");
        }
    }
}

// As inference runs it: weights packed once, outputs cut into tasks.
TEST_F(Bfloat16, DenseLayersOfInferenceAreExactOnIntegers) {
  for (int seed = 0; seed < case_count(40); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(seed) + 80000);
    const std::int64_t inputs = r.between(1, 90), outputs = r.between(1, 300);
    DenseOptions o;
    o.units = outputs;
    StepCase c{dense(o), {inputs}, static_cast<int>(r.between(1, 70)), {}, {}, {}};
    c.x = r.integers(c.samples * inputs);
    c.dy.resize(static_cast<std::size_t>(c.samples * outputs));
    c.params = {r.integers(inputs * outputs), r.integers(outputs)};
    RunOptions options;
    options.bfloat16 = bfloat16_kernels();
    WideRun wide(c, table(), 1, options);
    EXPECT_STREQ(wide.step().method(), "product, pairs of bfloat16");
    std::vector<float> want(c.dy.size());
    const ConvGeometry g{1, 1, inputs, 1, 1, outputs, 1, 1, 1, {1, 1}, {1, 1}, 0, 0};
    reference::conv2d(c.samples, g, c.x.data(), c.params[0].data(), c.params[1].data(),
                      want.data());
    EXPECT_EQ(first_difference(wide.run().y, want), "") << inputs << " to " << outputs;
    if (HasFailure()) return;
  }
}

double relative_rms(const std::vector<float>& got, const std::vector<float>& want) {
  double error = 0.0, size = 0.0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{got[i]} - double{want[i]}, 2);
    size += std::pow(double{want[i]}, 2);
  }
  return std::sqrt(error / size);
}

// A number of [1, 2) is off by up to 2^-8, its mean square is 7/3: of numbers spread evenly the
// root mean square of the error is 2^-8 / sqrt(7) of theirs, of products sqrt(2) times
// that, 2.09e-3, and so it is of sums of products of random signs.
TEST_F(Bfloat16, RoundingIsOfTheFactorsAlone) {
  CaseRandom r(3);
  Conv2DOptions o;
  o.kernel = {5, 5};
  o.strides = {2, 2};
  o.filters = 40;
  o.padding = Padding::same();
  o.bias = false;
  StepCase c{conv2d(o), {17, 15, 24}, 4, {}, {}, {}};
  const Shape out = c.op->output_shape({c.input});
  c.x = uniform(r, c.samples * c.input.size(), -1.0, 1.0);
  c.dy = uniform(r, c.samples * out.size(), -1.0, 1.0);
  c.params = {uniform(r, 25 * 24 * 40, -1.0, 1.0)};
  RunOptions options;
  options.keeps_packs = false;
  const StepResult exact = WideRun(c, table(), 2, options).run();
  options.bfloat16 = bfloat16_kernels();
  const StepResult got = WideRun(c, table(), 2, options).run();
  for (const double error : {relative_rms(got.y, exact.y), relative_rms(got.dx, exact.dx),
                             relative_rms(got.dparams[0], exact.dparams[0])}) {
    EXPECT_NEAR(error, std::sqrt(2.0 / 7.0) / 256.0, 1e-4);
  }
}

TEST_F(Bfloat16, OddNumbersOfOutputsStayInFloat32) {
  Conv2DOptions o;
  o.kernel = {1, 1};
  for (const std::int64_t filters : {6, 7}) {
    o.filters = filters;
    StepOptions bind;
    bind.inputs = {{4, 4, 3}};
    bind.kernels = &table();
    bind.bfloat16 = bfloat16_kernels();
    EXPECT_STREQ(conv2d(o)->bind(bind)->method(),
                 filters % 2 ? "direct, channels in lanes" : "direct, pairs of bfloat16");
  }
}

}  // namespace
}  // namespace striate::testing
