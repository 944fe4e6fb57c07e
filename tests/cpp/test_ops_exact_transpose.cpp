// Transposed convolution against its definition in the reference, to the bit, on integer data: the
// forward pass is a convolution's input gradient, its input gradient that convolution itself.
#include "exact_cases.h"
#include "ops/reference.h"
#include "striate/error.h"

namespace striate::testing {
namespace {

struct TransposeCase {
  Conv2DTransposeOptions options;
  ConvGeometry g{};  // of the mirror convolution
  Shape input;
};

// What TensorFlow and PyTorch define: output pixels, and those cut off before the first.
void axis(std::int64_t in, std::int64_t reach, std::int64_t stride, Padding::Kind kind,
          std::int64_t before, std::int64_t after, const std::int64_t* more, std::int64_t* out,
          std::int64_t* cut) {
  const std::int64_t whole = (in - 1) * stride + reach;  // every product
  if (kind == Padding::Kind::kValid) {
    *out = whole + (more ? *more : std::max<std::int64_t>(stride - reach, 0));
    *cut = 0;
  } else if (kind == Padding::Kind::kSame) {
    *out = more ? (in - 1) * stride + reach % 2 + *more : in * stride;
    *cut = std::max<std::int64_t>(whole - *out, 0) / 2;
  } else {
    *out = whole - before - after + (more ? *more : 0);
    *cut = before;
  }
}

TransposeCase random_transpose(CaseRandom& r, bool large = false) {
  TransposeCase c;
  Conv2DTransposeOptions& o = c.options;
  const std::int64_t channels = r.between(0, 3) == 0 ? r.between(17, 40) : r.between(1, 8);
  o.filters = r.between(0, 3) == 0 ? r.between(17, 40) : r.between(1, 8);
  o.kernel = {r.between(1, 5), r.between(1, 5)};
  o.strides = {r.between(1, 3), r.between(1, 3)};
  o.dilation = r.between(0, 2) == 0 ? Extent{r.between(1, 3), r.between(1, 3)} : Extent{1, 1};
  o.padding = random_padding(r, 2);
  o.bias = r.between(0, 3) != 0;
  if (r.between(0, 1) == 0)
    o.output_padding = Extent{r.between(0, std::max(o.strides.h, o.dilation.h) - 1),
                              r.between(0, std::max(o.strides.w, o.dilation.w) - 1)};
  c.input = {r.between(1, 8), r.between(1, 12), channels};
  if (large) {  // x's padded copies, or dy's, are larger than a band of 2^15 positions
    o.filters = r.between(1, 5);
    c.input = {r.between(40000, 90000) / (16 * channels), r.between(12, 20), channels};
  }
  const std::int64_t reach_h = (o.kernel.h - 1) * o.dilation.h + 1;
  const std::int64_t reach_w = (o.kernel.w - 1) * o.dilation.w + 1;
  ConvGeometry& g = c.g;
  g = {0,          0, o.filters, c.input[0], c.input[1], channels, o.kernel.h,
       o.kernel.w, 1, o.strides, o.dilation, 0,          0};
  axis(g.oh, reach_h, o.strides.h, o.padding.kind, o.padding.top, o.padding.bottom,
       o.output_padding ? &o.output_padding->h : nullptr, &g.h, &g.pad_top);
  axis(g.ow, reach_w, o.strides.w, o.padding.kind, o.padding.left, o.padding.right,
       o.output_padding ? &o.output_padding->w : nullptr, &g.w, &g.pad_left);
  return c;
}

StepResult reference_of(const TransposeCase& c, const StepCase& s) {
  const ConvGeometry& g = c.g;
  StepResult want;
  want.y.resize(s.dy.size());
  want.dx.resize(s.x.size());
  want.dparams.resize(s.params.size());
  want.dparams[0].resize(s.params[0].size());
  std::vector<float> unused_db(static_cast<std::size_t>(g.oc));
  // Forward: the mirror's input gradient, with x for its dy. Its x is of no account there.
  reference::conv2d_backward(s.samples, g, s.dy.data(), s.params[0].data(), s.x.data(),
                             want.y.data(), want.dparams[0].data(), unused_db.data());
  reference::conv2d<float>(s.samples, g, s.dy.data(), s.params[0].data(), nullptr, want.dx.data());
  if (!c.options.bias) return want;
  std::vector<float>& db = want.dparams[1];
  db.assign(static_cast<std::size_t>(g.c), 0.0f);
  for (std::size_t i = 0; i < s.dy.size(); ++i) {
    db[i % db.size()] += s.dy[i];
    want.y[i] += s.params[1][i % db.size()];
  }
  return want;
}

// Forward and gradients, in both layouts at every ISA.
void check(CaseRandom& r, const TransposeCase& c, int samples, int seed) {
  const ConvGeometry& g = c.g;
  const Shape out{g.h, g.w, g.c};
  StepCase s{conv2d_transpose(c.options), c.input, samples, {}, {}, {}};
  ASSERT_EQ(s.op->output_shape({c.input}), out) << c.input.str();
  const std::int64_t terms = samples * out[0] * out[1];  // of a bias's gradient, the longest sum
  s.x = r.integers(samples * c.input.size());
  s.dy = r.integers(samples * out.size(), std::min(1.0, 8192.0 / static_cast<double>(terms)));
  s.params.push_back(r.integers(g.kh * g.kw * g.c * g.oc));
  if (c.options.bias) s.params.push_back(r.integers(g.c));
  StepResult want = reference_of(c, s);
  const bool accumulate = seed % 3 == 0;
  if (accumulate) add_one(&want);
  for (const KernelTable* t : available_tables())
    for (Layout layout : {Layout::kChannels, Layout::kSamples})
      expect_same(run_step(s, *t, layout, accumulate), want,
                  std::string(t->isa) + (layout == Layout::kSamples ? " samples " : " channels ") +
                      "seed " + std::to_string(seed) + " input " + c.input.str() + " -> " +
                      out.str());
}

TEST(OpsExact, Conv2DTranspose) {
  int compared = 0, refused = 0;
  for (int seed = 0; seed < case_count(400) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(50000 + seed));
    const TransposeCase c = random_transpose(r);
    const int samples = static_cast<int>(r.between(1, kLanes));
    if (c.g.h < 1 || c.g.w < 1) {
      EXPECT_THROW(conv2d_transpose(c.options)->output_shape({c.input}), ShapeError);
      ++refused;
      continue;
    }
    check(r, c, samples, seed);
    ++compared;
  }
  EXPECT_GE(compared, case_count(400) * 3 / 4);
  EXPECT_LE(refused, case_count(400) / 10);
}

TEST(OpsExact, Conv2DTransposeByBands) {
  int several = 0;
  for (int seed = 0; seed < case_count(30) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(51000 + seed));
    const TransposeCase c = random_transpose(r, true);
    const ColumnPadding x = input_gradient_padding(c.g), dy = forward_padding(c.g);
    const std::int64_t band = std::int64_t{1} << 15;
    several += (x.needed() && x.positions() > 2 * band) || (dy.needed() && dy.positions() > band);
    check(r, c, static_cast<int>(r.between(1, 2)), seed);
  }
  EXPECT_GE(several, case_count(30) / 3) << "the images are too small to be cut";
}

}  // namespace
}  // namespace striate::testing
