// Depthwise and separable convolutions against the reference, to the bit, on integer data: both
// layouts, every ISA at hand.
#include "exact_cases.h"
#include "ops/reference.h"

namespace striate::testing {
namespace {

struct DepthwiseCase {
  DepthwiseConv2DOptions options;
  ConvGeometry g{};  // the same as a convolution in C groups
  Shape input;
};

DepthwiseCase random_depthwise(CaseRandom& r) {
  DepthwiseCase c;
  DepthwiseConv2DOptions& o = c.options;
  const std::int64_t channels = r.between(0, 2) == 0 ? r.between(17, 150) : r.between(1, 20);
  o.kernel = {r.between(1, 6), r.between(1, 6)};
  o.strides = {r.between(1, 3), r.between(1, 3)};
  o.dilation = r.between(0, 2) == 0 ? Extent{r.between(1, 3), r.between(1, 3)} : Extent{1, 1};
  o.padding = random_padding(r, 7);
  o.depth_multiplier = r.between(0, 2) == 0 ? r.between(2, 4) : 1;
  o.bias = r.between(0, 3) != 0;
  const bool same =
      o.padding.kind == Padding::Kind::kSame;  // the kernel may be wider than the image
  const std::int64_t reach_h = same ? 1 : (o.kernel.h - 1) * o.dilation.h + 1;
  const std::int64_t reach_w = same ? 1 : (o.kernel.w - 1) * o.dilation.w + 1;
  c.input = {reach_h + r.between(0, 9), reach_w + r.between(0, 19), channels};
  const Window2D w = resolve_window(c.input, o.kernel, o.strides, o.dilation, o.padding);
  c.g = {c.input[0], c.input[1], channels, w.h.out,   w.w.out,    channels * o.depth_multiplier,
         o.kernel.h, o.kernel.w, channels, o.strides, o.dilation, w.h.before,
         w.w.before};
  return c;
}

std::string describe(const DepthwiseCase& c, int samples, const char* isa, Layout layout) {
  const DepthwiseConv2DOptions& o = c.options;
  const auto pair = [](std::int64_t a, std::int64_t b) {
    return " " + std::to_string(a) + "," + std::to_string(b);
  };
  return std::string(isa) + (layout == Layout::kSamples ? " samples" : " channels") + " n" +
         std::to_string(samples) + " input " + c.input.str() + " kernel" +
         pair(o.kernel.h, o.kernel.w) + " strides" + pair(o.strides.h, o.strides.w) + " dilation" +
         pair(o.dilation.h, o.dilation.w) + " pads" + pair(c.g.pad_top, c.g.pad_left) +
         " multiplier " + std::to_string(o.depth_multiplier);
}

TEST(OpsExact, DepthwiseConv2D) {
  int compared = 0;
  for (int seed = 0; seed < case_count(400); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(30000 + seed));
    const DepthwiseCase c = random_depthwise(r);
    const ConvGeometry& g = c.g;
    StepCase s{
        depthwise_conv2d(c.options), c.input, static_cast<int>(r.between(1, kLanes)), {}, {}, {}};
    const double terms = static_cast<double>(s.samples * g.oh * g.ow);
    s.x = r.integers(s.samples * c.input.size());
    s.dy = r.integers(s.samples * g.oh * g.ow * g.oc, std::min(1.0, 8192.0 / terms));
    s.params.push_back(r.integers(g.kh * g.kw * g.oc));
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
  EXPECT_GE(compared, 2 * case_count(400));
}

// Small numbers: two convolutions multiply three of them, and their sums must stay below 2^24.
std::vector<float> small_integers(CaseRandom& r, std::int64_t n) {
  std::vector<float> v;
  for (std::int64_t i = 0; i < n; ++i) v.push_back(static_cast<float>(r.between(-3, 3)));
  return v;
}

TEST(OpsExact, SeparableConv2D) {
  for (int seed = 0; seed < case_count(150); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(40000 + seed));
    DepthwiseCase c = random_depthwise(r);
    const ConvGeometry& g = c.g;
    SeparableConv2DOptions o;
    o.filters = r.between(1, 40);
    o.depthwise = c.options;
    o.bias = r.between(0, 3) != 0;
    StepCase s{separable_conv2d(o), c.input, static_cast<int>(r.between(1, 5)), {}, {}, {}};
    const ConvGeometry point{g.oh, g.ow, g.oc,   g.oh,   g.ow, o.filters, 1,
                             1,    1,    {1, 1}, {1, 1}, 0,    0};
    const std::int64_t pixels = s.samples * g.oh * g.ow;
    s.x = small_integers(r, s.samples * c.input.size());
    s.dy = small_integers(r, pixels * o.filters);
    s.params = {small_integers(r, g.kh * g.kw * g.oc), small_integers(r, g.oc * o.filters)};
    if (o.bias) s.params.push_back(small_integers(r, o.filters));
    const float* const bias = o.bias ? s.params[2].data() : nullptr;
    std::vector<float> between(static_cast<std::size_t>(pixels * g.oc)), dbetween(between.size());
    std::vector<float> none(static_cast<std::size_t>(g.oc)),
        db(static_cast<std::size_t>(o.filters));
    StepResult want;
    want.y.resize(s.dy.size());
    want.dx.resize(s.x.size());
    want.dparams.resize(s.params.size());
    for (std::size_t i = 0; i < 2; ++i) want.dparams[i].resize(s.params[i].size());
    reference::conv2d<float>(s.samples, g, s.x.data(), s.params[0].data(), nullptr, between.data());
    reference::conv2d(s.samples, point, between.data(), s.params[1].data(), bias, want.y.data());
    reference::conv2d_backward(s.samples, point, between.data(), s.params[1].data(), s.dy.data(),
                               dbetween.data(), want.dparams[1].data(), db.data());
    reference::conv2d_backward(s.samples, g, s.x.data(), s.params[0].data(), dbetween.data(),
                               want.dx.data(), want.dparams[0].data(), none.data());
    if (o.bias) want.dparams[2] = db;
    const bool accumulate = seed % 3 == 0;
    if (accumulate) add_one(&want);
    for (const KernelTable* t : available_tables())
      for (Layout layout : {Layout::kChannels, Layout::kSamples})
        expect_same(run_step(s, *t, layout, accumulate), want,
                    "separable " + describe(c, s.samples, t->isa, layout));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace striate::testing
