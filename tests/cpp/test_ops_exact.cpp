// Forward, input gradient and weight gradient of convolution, pooling and dense layers against the
// reference, to the bit, on integer data: 1,040 seeded shapes, both layouts, every ISA at hand.
#include "exact_cases.h"
#include "ops/reference.h"

namespace striate::testing {
namespace {

struct ConvCase {
  Conv2DOptions options;
  ConvGeometry g{};
  Shape input;
};

ConvCase random_conv(CaseRandom& r) {
  ConvCase c;
  Conv2DOptions& o = c.options;
  o.groups = r.between(0, 3) == 0 ? r.between(2, 4) : 1;
  const std::int64_t channels =
      o.groups * (r.between(0, 4) == 0 ? r.between(5, 40) : r.between(1, 6));
  o.filters = o.groups * (r.between(0, 4) == 0 ? r.between(17, 70) : r.between(1, 20));
  o.kernel = {r.between(1, 5), r.between(1, 5)};
  o.strides = {r.between(1, 3), r.between(1, 3)};
  o.dilation = r.between(0, 2) == 0 ? Extent{r.between(1, 3), r.between(1, 3)} : Extent{1, 1};
  o.padding = random_padding(r, 4);
  o.bias = r.between(0, 3) != 0;
  const std::int64_t reach_h = (o.kernel.h - 1) * o.dilation.h + 1;
  const std::int64_t reach_w = (o.kernel.w - 1) * o.dilation.w + 1;
  c.input = {reach_h + r.between(0, 9), reach_w + r.between(0, 17), channels};
  if (r.between(0, 7) == 0) {  // a kernel that covers its input
    o.padding = Padding::valid();
    c.input = {reach_h, reach_w, channels};
  }
  const Window2D w = resolve_window(c.input, o.kernel, o.strides, o.dilation, o.padding);
  c.g = {c.input[0], c.input[1], channels,  w.h.out,    w.w.out,    o.filters, o.kernel.h,
         o.kernel.w, o.groups,   o.strides, o.dilation, w.h.before, w.w.before};
  return c;
}

std::string describe(const ConvCase& c, int samples, const char* isa, Layout layout) {
  const ConvGeometry& g = c.g;
  std::string s = std::string(isa) + (layout == Layout::kSamples ? " samples" : " channels");
  s += " n" + std::to_string(samples) + " input " + c.input.str() + " -> (" + std::to_string(g.oh) +
       ", " + std::to_string(g.ow) + ", " + std::to_string(g.oc) + ") kernel " +
       std::to_string(g.kh) + "x" + std::to_string(g.kw) + " strides " +
       std::to_string(g.strides.h) + "," + std::to_string(g.strides.w) + " dilation " +
       std::to_string(g.dilation.h) + "," + std::to_string(g.dilation.w) + " groups " +
       std::to_string(g.groups) + " pads " + std::to_string(g.pad_top) + "," +
       std::to_string(g.pad_left);
  return s;
}

TEST(OpsExact, Conv2D) {
  int compared = 0;
  for (int seed = 0; seed < case_count(700); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(seed));
    const ConvCase c = random_conv(r);
    const ConvGeometry& g = c.g;
    StepCase s{conv2d(c.options), c.input, static_cast<int>(r.between(1, kLanes)), {}, {}, {}};
    const std::int64_t terms = s.samples * g.oh * g.ow;  // of a weight gradient, the longest sum
    const double density = std::min(1.0, 8192.0 / static_cast<double>(terms));
    s.x = r.integers(s.samples * c.input.size());
    s.dy = r.integers(s.samples * g.oh * g.ow * g.oc, density);
    s.params.push_back(r.integers(g.kh * g.kw * g.group_in() * g.oc));
    if (c.options.bias) s.params.push_back(r.integers(g.oc));
    StepResult want;
    want.y.resize(s.dy.size());
    want.dx.resize(s.x.size());
    want.dparams.resize(s.params.size());
    want.dparams[0].resize(s.params[0].size());
    std::vector<float> db(static_cast<std::size_t>(g.oc));
    reference::conv2d(s.samples, g, s.x.data(), s.params[0].data(),
                      c.options.bias ? s.params[1].data() : nullptr, want.y.data());
    reference::conv2d_backward(s.samples, g, s.x.data(), s.params[0].data(), s.dy.data(),
                               want.dx.data(), want.dparams[0].data(), db.data());
    if (c.options.bias) want.dparams[1] = db;
    const bool accumulate = seed % 3 == 0;
    if (accumulate) add_one(&want);
    for (const KernelTable* t : available_tables())
      for (Layout layout : {Layout::kChannels, Layout::kSamples}) {
        expect_same(run_step(s, *t, layout, accumulate), want,
                    describe(c, s.samples, t->isa, layout));
        ++compared;
      }
    if (HasFailure()) return;
  }
  EXPECT_GE(compared, 2 * case_count(700));
}

TEST(OpsExact, Dense) {
  for (int seed = 0; seed < case_count(140); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(10000 + seed));
    const std::int64_t inputs = r.between(1, 300), outputs = r.between(1, 150);
    DenseOptions o;
    o.units = outputs;
    o.bias = r.between(0, 3) != 0;
    StepCase s{dense(o), {inputs}, static_cast<int>(r.between(1, kLanes)), {}, {}, {}};
    s.x = r.integers(s.samples * inputs);
    s.dy = r.integers(s.samples * outputs);
    s.params.push_back(r.integers(inputs * outputs));
    if (o.bias) s.params.push_back(r.integers(outputs));
    StepResult want;
    want.y.resize(s.dy.size());
    want.dx.resize(s.x.size());
    want.dparams.resize(s.params.size());
    want.dparams[0].resize(s.params[0].size());
    std::vector<float> db(static_cast<std::size_t>(outputs));
    reference::dense(s.samples, inputs, outputs, s.x.data(), s.params[0].data(),
                     o.bias ? s.params[1].data() : nullptr, want.y.data());
    reference::dense_backward(s.samples, inputs, outputs, s.x.data(), s.params[0].data(),
                              s.dy.data(), want.dx.data(), want.dparams[0].data(), db.data());
    if (o.bias) want.dparams[1] = db;
    for (const KernelTable* t : available_tables())
      for (Layout layout : {Layout::kChannels, Layout::kSamples})
        expect_same(run_step(s, *t, layout), want,
                    std::string(t->isa) + " dense " + std::to_string(inputs) + " -> " +
                        std::to_string(outputs) + " n" + std::to_string(s.samples));
    if (HasFailure()) return;
  }
}

// Averages divide by powers of two or not at all exactly: windows whose pixel count is not a power
// of two are compared after the same division, which rounds alike for equal integer sums.
TEST(OpsExact, Pool2D) {
  for (int seed = 0; seed < case_count(200); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(20000 + seed));
    const bool max = seed % 2 == 0;
    Pool2DOptions o;
    o.window = {r.between(1, 4), r.between(1, 4)};
    o.strides = {r.between(1, 4), r.between(1, 4)};
    const std::int64_t most = std::min(o.window.h, o.window.w) - 1;
    o.padding = random_padding(r, std::max<std::int64_t>(most, 0));
    const Shape input{o.window.h + r.between(0, 9), o.window.w + r.between(0, 9), r.between(1, 40)};
    const Window2D w = resolve_window(input, o.window, o.strides, {1, 1}, o.padding);
    StepCase s{max ? max_pool2d(o) : avg_pool2d(o),
               input,
               static_cast<int>(r.between(1, kLanes)),
               {},
               {},
               {}};
    const auto i32 = [](std::int64_t v) { return static_cast<std::int32_t>(v); };
    const PoolPass p{i32(s.samples),
                     i32(input[2]),
                     i32(input[0]),
                     i32(input[1]),
                     i32(w.h.out),
                     i32(w.w.out),
                     i32(o.window.h),
                     i32(o.window.w),
                     i32(o.strides.h),
                     i32(o.strides.w),
                     i32(w.h.before),
                     i32(w.w.before),
                     0};
    s.x = r.integers(s.samples * input.size());
    s.dy = r.integers(s.samples * w.h.out * w.w.out * input[2]);
    // An average's gradient sums quotients: multiples of every possible count keep it exact.
    if (!max)
      for (float& v : s.dy) v *= 144.0f;  // 12 * 12: divisible by every window area up to 4x4
    StepResult want;
    want.y.resize(s.dy.size());
    want.dx.resize(s.x.size());
    if (max) {
      reference::max_pool(p, s.x.data(), want.y.data());
      reference::max_pool_backward(p, s.x.data(), s.dy.data(), want.dx.data());
    } else {
      reference::avg_pool(p, s.x.data(), want.y.data());
      reference::avg_pool_backward(p, s.dy.data(), want.dx.data());
    }
    for (const KernelTable* t : available_tables())
      for (Layout layout : {Layout::kChannels, Layout::kSamples})
        expect_same(run_step(s, *t, layout), want,
                    std::string(t->isa) + (max ? " max pool " : " avg pool ") + input.str());
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace striate::testing
