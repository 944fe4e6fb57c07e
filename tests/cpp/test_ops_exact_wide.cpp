// Convolutions and dense layers as wide networks run them, and convolutions of images that are cut
// into bands, against the reference, to the bit, on integer data and every ISA at hand.
#include "exact_cases.h"
#include "ops/conv_step.h"
#include "ops/reference.h"
#include "wide_bench.h"

namespace striate::testing {
namespace {

struct WideCase {
  StepCase step;
  ConvGeometry g{};  // a dense layer's too
  bool bias = true;
};

std::vector<float> squares(std::vector<float> v) {
  for (float& f : v) f *= f;
  return v;
}

// Data for a step of this geometry: sums stay below 2^24, so that they are exact in any order.
// Second order multiplies squares, of up to 64.
void fill(CaseRandom& r, int order, WideCase* c) {
  const ConvGeometry& g = c->g;
  StepCase& s = c->step;
  const std::int64_t pixels = s.samples * g.oh * g.ow, area = g.kh * g.kw;
  const double room = order == 2 ? 4096.0 : 16384.0;  // terms of products up to 2^10 or 2^12
  const auto density = [=](std::int64_t terms) {
    return std::min(1.0, 0.5 * room / static_cast<double>(terms));
  };
  s.x = r.integers(s.samples * g.h * g.w * g.c);
  s.dy = r.integers(pixels * g.oc, std::min(density(pixels), density(area * g.group_out())));
  s.params = {r.integers(area * g.group_in() * g.oc, density(area * g.group_in()))};
  if (c->bias) s.params.push_back(r.integers(g.oc));
  if (order == 1) return;
  for (std::vector<float>* v : {&s.x, &s.params[0]})
    for (float& f : *v) f = std::fmod(f, 8.0f);
}

StepResult reference_of(const WideCase& c, int order) {
  const ConvGeometry& g = c.g;
  const StepCase& s = c.step;
  StepResult want;
  want.y.resize(s.dy.size());
  want.dx.resize(s.x.size());
  want.dparams.resize(s.params.size());
  want.dparams[0].resize(s.params[0].size());
  std::vector<float> db(static_cast<std::size_t>(g.oc));
  reference::conv2d(s.samples, g, s.x.data(), s.params[0].data(),
                    c.bias ? s.params[1].data() : nullptr, want.y.data());
  const std::vector<float> x = order == 2 ? squares(s.x) : s.x;
  reference::conv2d_backward(s.samples, g, x.data(), s.params[0].data(), s.dy.data(),
                             want.dx.data(), want.dparams[0].data(), db.data());
  if (c.bias) want.dparams[1] = db;
  return want;
}

std::string describe(const WideCase& c, const char* isa, int order) {
  const ConvGeometry& g = c.g;
  return std::string(isa) + " order " + std::to_string(order) + " n" +
         std::to_string(c.step.samples) + " input " + c.step.input.str() + " -> (" +
         std::to_string(g.oh) + ", " + std::to_string(g.ow) + ", " + std::to_string(g.oc) +
         ") kernel " + std::to_string(g.kh) + "x" + std::to_string(g.kw) + " strides " +
         std::to_string(g.strides.h) + "," + std::to_string(g.strides.w) + " dilation " +
         std::to_string(g.dilation.h) + "," + std::to_string(g.dilation.w) + " groups " +
         std::to_string(g.groups) + " pads " + std::to_string(g.pad_top) + "," +
         std::to_string(g.pad_left);
}

ConvGeometry geometry_of(const Conv2DOptions& o, const Shape& input) {
  const Window2D w = resolve_window(input, o.kernel, o.strides, o.dilation, o.padding);
  return {input[0],   input[1], input[2],  w.h.out,    w.w.out,    o.filters, o.kernel.h,
          o.kernel.w, o.groups, o.strides, o.dilation, w.h.before, w.w.before};
}

Conv2DOptions random_options(CaseRandom& r) {
  Conv2DOptions o;
  o.groups = r.between(0, 3) == 0 ? r.between(2, 3) : 1;
  o.kernel = {r.between(1, 5), r.between(1, 4)};
  o.strides = {r.between(1, 3), r.between(1, 3)};
  o.dilation = r.between(0, 3) == 0 ? Extent{r.between(1, 3), r.between(1, 3)} : Extent{1, 1};
  o.padding = random_padding(r, 4);
  o.bias = r.between(0, 3) != 0;
  return o;
}

// Small images of any number of channels: outputs cut into slices, runs into parts.
WideCase narrow_images(CaseRandom& r) {
  Conv2DOptions o = random_options(r);
  const std::int64_t by_group = r.between(0, 5) == 0 ? r.between(60, 200) : r.between(1, 40);
  o.filters = o.groups * by_group;
  const Shape input{(o.kernel.h - 1) * o.dilation.h + r.between(1, 6),
                    (o.kernel.w - 1) * o.dilation.w + r.between(1, 8), o.groups * r.between(1, 12)};
  return {{conv2d(o), input, static_cast<int>(r.between(1, 20)), {}, {}, {}},
          geometry_of(o, input),
          o.bias};
}

// Images whose padded copies are larger than a band: 2^15 positions, or 96 pixels.
WideCase large_images(CaseRandom& r) {
  Conv2DOptions o = random_options(r);
  o.filters = o.groups * r.between(1, 6);
  const std::int64_t channels =
      o.groups * (r.between(0, 1) ? r.between(8, 24) : r.between(80, 120));
  const std::int64_t width = (o.kernel.w - 1) * o.dilation.w + r.between(8, 30);
  const std::int64_t rows = r.between(40000, 120000) / (width * channels);
  const Shape input{(o.kernel.h - 1) * o.dilation.h + 1 + rows, width, channels};
  return {{conv2d(o), input, static_cast<int>(r.between(1, 3)), {}, {}, {}},
          geometry_of(o, input),
          o.bias};
}

void check(WideCase c, CaseRandom& r, int seed) {
  const int order = seed % 5 == 0 ? 2 : 1;
  fill(r, order, &c);
  StepResult want = reference_of(c, order);
  RunOptions options;
  options.order = order;
  options.accumulate = seed % 3 == 0;
  if (options.accumulate) add_one(&want);
  for (const KernelTable* t : available_tables()) {
    const int block = static_cast<int>(r.between(1, std::min(c.step.samples, kLanes)));
    expect_same(WideRun(c.step, *t, block, options).run(), want,
                describe(c, t->isa, order) + " block " + std::to_string(block));
  }
  if (order == 2 || !bfloat16_kernels()) return;
  // Integers up to 256 are bfloat16 numbers.
  options.bfloat16 = bfloat16_kernels();
  options.keeps_packs = false;
  const int block = static_cast<int>(r.between(1, std::min(c.step.samples, kLanes)));
  expect_same(WideRun(c.step, *kernel_table(Isa::kAvx512), block, options).run(), want,
              describe(c, "bfloat16", order) + " block " + std::to_string(block));
}

TEST(OpsExactWide, Conv2DBySlices) {
  for (int seed = 0; seed < case_count(200) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(40000 + seed));
    check(narrow_images(r), r, seed);
  }
}

// 512 outputs and more are cut into wider slices.
TEST(OpsExactWide, Conv2DByWideSlices) {
  for (int seed = 0; seed < case_count(6) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(41000 + seed));
    Conv2DOptions o;
    o.filters = 512 + r.between(0, 70);
    o.kernel = {3, r.between(1, 3)};
    o.padding = Padding::same();
    const Shape input{r.between(1, 4), r.between(1, 5), r.between(1, 9)};
    WideCase c{{conv2d(o), input, 3, {}, {}, {}}, geometry_of(o, input), true};
    check(std::move(c), r, seed);
  }
}

TEST(OpsExactWide, Conv2DByBands) {
  int several = 0;
  for (int seed = 0; seed < case_count(40) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(42000 + seed));
    WideCase c = large_images(r);
    const ColumnPadding padding = forward_padding(c.g);
    const ConvPassTables pass = forward_pass(c.g, padding);
    several += cut_bands(pass, padding, std::int64_t{1} << 15, 0, pass.pass.rows).size() > 2;
    check(std::move(c), r, seed);
  }
  EXPECT_GE(several, case_count(40) / 4) << "the images are too small to be cut";
}

// The same images in a network that is not wide: block by block, and bands all the same.
TEST(OpsExactWide, LargeImagesBlockByBlock) {
  for (int seed = 0; seed < case_count(25) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(43000 + seed));
    WideCase c = large_images(r);
    const int order = seed % 5 == 0 ? 2 : 1;
    fill(r, order, &c);
    StepResult want = reference_of(c, order);
    RunOptions options;
    options.order = order;
    options.accumulate = seed % 3 == 0;
    if (options.accumulate) add_one(&want);
    for (const KernelTable* t : available_tables())
      expect_same(run_step(c.step, *t, Layout::kChannels, options), want,
                  describe(c, t->isa, order));
  }
}

// A connection table leaves wide gradients to blocks.
TEST(OpsExactWide, ConnectionTable) {
  for (int seed = 0; seed < case_count(30) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(44000 + seed));
    Conv2DOptions o;
    o.filters = r.between(2, 20);
    o.kernel = {r.between(1, 3), r.between(1, 3)};
    o.padding = random_padding(r, 1);
    const Shape input{3 + r.between(0, 4), 3 + r.between(0, 4), r.between(2, 8)};
    if (seed % 3 == 0) {  // a covering kernel runs as a dense layer
      o.kernel = {input[0], input[1]};
      o.padding = Padding::valid();
    }
    for (std::int64_t i = 0; i < input[2]; ++i) {
      o.connections.emplace_back();
      for (std::int64_t j = 0; j < o.filters; ++j)
        o.connections.back().push_back(i == 0 || r.between(0, 1));
    }
    WideCase c{{conv2d(o), input, static_cast<int>(r.between(1, 20)), {}, {}, {}},
               geometry_of(o, input),
               true};
    const int order = seed % 2 ? 1 : 2;
    fill(r, order, &c);
    const auto present = [&](std::size_t w) {
      const auto outputs = static_cast<std::size_t>(o.filters);
      const std::size_t channel = w / outputs % static_cast<std::size_t>(input[2]);
      return static_cast<bool>(o.connections[channel][w % outputs]);
    };
    for (std::size_t w = 0; w < c.step.params[0].size(); ++w)
      if (!present(w)) c.step.params[0][w] = 0.0f;
    StepResult want = reference_of(c, order);
    for (std::size_t w = 0; w < want.dparams[0].size(); ++w)
      if (!present(w)) want.dparams[0][w] = 0.0f;
    for (const KernelTable* t : available_tables())
      expect_same(WideRun(c.step, *t, 3, {false, order, false}).run(), want,
                  describe(c, t->isa, order));
  }
}

TEST(OpsExactWide, Dense) {
  for (int seed = 0; seed < case_count(120) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(45000 + seed));
    const bool large = seed % 8 == 0;  // beyond one task of inputs, outputs and depth
    const std::int64_t inputs = large ? r.between(110, 500) : r.between(1, 130);
    const std::int64_t outputs = large ? r.between(500, 1100) : r.between(1, 150);
    DenseOptions o;
    o.units = outputs;
    o.bias = r.between(0, 3) != 0;
    WideCase c{{dense(o), {inputs}, 1 + seed % 40, {}, {}, {}},
               {1, 1, inputs, 1, 1, outputs, 1, 1, 1, {1, 1}, {1, 1}, 0, 0},
               o.bias};
    check(std::move(c), r, seed);
  }
}

// What folding a batch normalisation brings: a bias that the layer has not.
TEST(OpsExactWide, FoldedWeightsHaveABias) {
  for (int seed = 0; seed < case_count(40) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(46000 + seed));
    WideCase c = narrow_images(r);
    Conv2DOptions o;
    o.filters = c.g.oc;
    o.kernel = {c.g.kh, c.g.kw};
    o.strides = c.g.strides;
    o.dilation = c.g.dilation;
    o.groups = c.g.groups;
    o.bias = false;
    c.g = geometry_of(o, c.step.input);
    c.step.op = conv2d(o);
    c.step.samples = std::min(c.step.samples, kLanes);
    c.bias = true;
    fill(r, 1, &c);
    const StepResult want = reference_of(c, 1);
    for (const KernelTable* t : available_tables()) {
      const std::string what = describe(c, t->isa, 1);
      expect_same(WideRun(c.step, *t, 2, {false, 1, true}).run(), want, what);
      for (Layout layout : {Layout::kChannels, Layout::kSamples})
        expect_same(run_step(c.step, *t, layout, {false, 1, true}), want, what);
    }
  }
}

}  // namespace
}  // namespace striate::testing
