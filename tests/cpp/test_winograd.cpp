// Convolutions on Winograd's points: to the bit on integers that its denominators divide, near the
// sum in doubles on real numbers; as wide networks run them and block by block, on every ISA.
#include "near_cases.h"
#include "ops/reference.h"
#include "ops/winograd_step.h"
#include "wide_bench.h"

namespace striate::testing {
namespace {

constexpr float kDenominator = 576.0f;  // 24 * 24: of all points

struct WinogradCase {
  StepCase step;
  ConvGeometry g{};
  int block = 1;
};

WinogradCase make_case(const Conv2DOptions& o, const Shape& input, int samples, int block) {
  const Window2D w = resolve_window(input, o.kernel, o.strides, o.dilation, o.padding);
  const ConvGeometry g{input[0], input[1], input[2],  w.h.out,    w.w.out,    o.filters, 3,
                       3,        1,        o.strides, o.dilation, w.h.before, w.w.before};
  return {{conv2d(o), input, samples, {}, {}, {}}, g, block};
}

// Sizes that leave parts of tiles, panels and vectors empty.
WinogradCase random_case(CaseRandom& r) {
  Conv2DOptions o;
  o.kernel = {3, 3};
  o.filters = r.between(16, r.between(0, 3) == 0 ? 150 : 70);
  o.padding = random_padding(r, 4);
  o.bias = r.between(0, 2) != 0;
  const Shape input{r.between(6, 14), r.between(6, 21),
                    r.between(16, r.between(0, 3) == 0 ? 150 : 50)};
  const int samples = static_cast<int>(r.between(1, 5));
  return make_case(o, input, samples, static_cast<int>(r.between(1, 3)));
}

std::string describe(const WinogradCase& c, const char* isa) {
  const ConvGeometry& g = c.g;
  return std::string(isa) + " n" + std::to_string(c.step.samples) + " in blocks of " +
         std::to_string(c.block) + ", input " + c.step.input.str() + " -> (" +
         std::to_string(g.oh) + ", " + std::to_string(g.ow) + ", " + std::to_string(g.oc) +
         "), pads " + std::to_string(g.pad_top) + "," + std::to_string(g.pad_left);
}

// -1, 0 or 1 times `scale`.
std::vector<float> signs(CaseRandom& r, std::int64_t n, float scale) {
  std::vector<float> v;
  for (std::int64_t i = 0; i < n; ++i) v.push_back(scale * static_cast<float>(r.between(-1, 1)));
  return v;
}

void fill(CaseRandom& r, float weight_scale, float gradient_scale, WinogradCase* c) {
  const ConvGeometry& g = c->g;
  StepCase& s = c->step;
  s.x = signs(r, s.samples * g.h * g.w * g.c, 1.0f);
  s.dy = signs(r, s.samples * g.oh * g.ow * g.oc, gradient_scale);
  s.params = {signs(r, 9 * g.c * g.oc, weight_scale)};
  if (s.op->parameters({s.input}).size() > 1) s.params.push_back(signs(r, g.oc, 3.0f));
}

StepResult reference_of(const WinogradCase& c) {
  const ConvGeometry& g = c.g;
  const StepCase& s = c.step;
  StepResult want;
  want.y.resize(s.dy.size());
  want.dx.resize(s.x.size());
  want.dparams = s.params;
  std::vector<float> db(static_cast<std::size_t>(g.oc));
  reference::conv2d(s.samples, g, s.x.data(), s.params[0].data(),
                    s.params.size() > 1 ? s.params[1].data() : nullptr, want.y.data());
  reference::conv2d_backward(s.samples, g, s.x.data(), s.params[0].data(), s.dy.data(),
                             want.dx.data(), want.dparams[0].data(), db.data());
  if (s.params.size() > 1) want.dparams[1] = db;
  return want;
}

// Both ways of running; body(result, what).
template <typename Body>
void each_run(const WinogradCase& c, bool accumulate, Body body) {
  RunOptions options;
  options.winograd = true;
  options.accumulate = accumulate;
  for (const KernelTable* t : available_tables()) {
    WideRun wide(c.step, *t, c.block, options);
    body(wide.run(), "wide " + describe(c, t->isa));
    body(run_step(c.step, *t, Layout::kChannels, options), "a block " + describe(c, t->isa));
  }
}

TEST(Winograd, ForwardAndInputGradientAreExactOnIntegers) {
  int compared = 0;
  for (int seed = 0; seed < case_count(60); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(seed) + 40000);
    WinogradCase c = random_case(r);
    fill(r, kDenominator, 1.0f, &c);
    const StepResult want = reference_of(c);
    each_run(c, false, [&](const StepResult& got, const std::string& what) {
      EXPECT_EQ(first_difference(got.y, want.y), "") << "forward, " << what;
      EXPECT_EQ(first_difference(got.dx, want.dx), "") << "input gradient, " << what;
      ++compared;
    });
    if (HasFailure()) return;
  }
  EXPECT_GT(compared, 0);
}

TEST(Winograd, LargeWeightsOnFewTilesAreCutByOutputs) {
  CaseRandom r(70000);
  Conv2DOptions o;
  o.kernel = {3, 3};
  o.filters = 150;
  o.padding = Padding::same();
  WinogradCase c = make_case(o, {4, 4, 160}, 3, 1);
  fill(r, kDenominator, 1.0f, &c);
  const StepResult want = reference_of(c);
  RunOptions options;
  options.winograd = true;
  for (const KernelTable* t : available_tables()) {
    WideRun wide(c.step, *t, c.block, options);
    EXPECT_GT(wide.step().forward_tasks, 1);
    EXPECT_GT(wide.step().backward_tasks, 1);
    const StepResult got = wide.run();
    EXPECT_EQ(first_difference(got.y, want.y), "") << t->isa;
    EXPECT_EQ(first_difference(got.dx, want.dx), "") << t->isa;
  }
}

TEST(Winograd, WeightGradientIsExactOnIntegers) {
  for (int seed = 0; seed < case_count(60); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(seed) + 50000);
    WinogradCase c = random_case(r);
    fill(r, 0.0f, kDenominator, &c);
    const bool accumulate = seed % 3 == 0;
    StepResult want = reference_of(c);
    if (accumulate) add_one(&want);
    each_run(c, accumulate, [&](const StepResult& got, const std::string& what) {
      ASSERT_EQ(got.dparams.size(), want.dparams.size());
      for (std::size_t i = 0; i < want.dparams.size(); ++i)
        EXPECT_EQ(first_difference(got.dparams[i], want.dparams[i]), "")
            << "gradient of parameter " << i << ", " << what;
    });
    if (HasFailure()) return;
  }
}

double rms(const Doubles& v) {
  double sum = 0.0;
  for (double e : v) sum += e * e;
  return std::sqrt(sum / static_cast<double>(v.size()));
}

// The root mean square of the difference as a share of the result's, against a sum in doubles.
double relative_error(const std::vector<float>& got, const Doubles& want) {
  EXPECT_EQ(got.size(), want.size());
  Doubles difference;
  for (std::size_t i = 0; i < want.size(); ++i) difference.push_back(got[i] - want[i]);
  return rms(difference) / rms(want);
}

// Sums over taps in doubles, in the order of reference::conv2d.
void in_doubles(const WinogradCase& c, Doubles* y, Doubles* dx, Doubles* dw) {
  const ConvGeometry& g = c.g;
  const StepCase& s = c.step;
  y->assign(s.dy.size(), 0.0);
  dx->assign(s.x.size(), 0.0);
  dw->assign(s.params[0].size(), 0.0);
  const auto at = [](std::int64_t i) { return static_cast<std::size_t>(i); };
  for (std::int64_t n = 0; n < s.samples; ++n)
    for (std::int64_t i = 0; i < g.oh * g.ow; ++i)
      for (std::int64_t tap = 0; tap < 9; ++tap) {
        const std::int64_t h = i / g.ow + tap / 3 - g.pad_top, w = i % g.ow + tap % 3 - g.pad_left;
        if (h < 0 || h >= g.h || w < 0 || w >= g.w) continue;
        const std::int64_t x0 = ((n * g.h + h) * g.w + w) * g.c, y0 = (n * g.oh * g.ow + i) * g.oc;
        for (std::int64_t k = 0; k < g.c; ++k)
          for (std::int64_t o = 0; o < g.oc; ++o) {
            const std::int64_t weight = (tap * g.c + k) * g.oc + o;
            const double wv = s.params[0][at(weight)], xv = s.x[at(x0 + k)], d = s.dy[at(y0 + o)];
            (*y)[at(y0 + o)] += xv * wv;
            (*dx)[at(x0 + k)] += d * wv;
            (*dw)[at(weight)] += xv * d;
          }
      }
}

TEST(Winograd, RoundingStaysWithinItsBound) {
  // Measured, all tables, the first case: 0.66 to 1.04e-6.
  constexpr double kBound = 5e-6;
  for (int seed = 0; seed < case_count(12); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(seed) + 60000);
    WinogradCase c = random_case(r);
    c.step.op = conv2d([&] {
      Conv2DOptions o;
      o.kernel = {3, 3};
      o.filters = c.g.oc;
      o.padding = {Padding::Kind::kExplicit, c.g.pad_top, c.g.oh - c.g.h + 2 - c.g.pad_top,
                   c.g.pad_left, c.g.ow - c.g.w + 2 - c.g.pad_left};
      o.bias = false;
      return o;
    }());
    const ConvGeometry& g = c.g;
    c.step.x = uniform(r, c.step.samples * g.h * g.w * g.c, -1.0, 1.0);
    c.step.dy = uniform(r, c.step.samples * g.oh * g.ow * g.oc, -1.0, 1.0);
    c.step.params = {uniform(r, 9 * g.c * g.oc, -1.0, 1.0)};
    Doubles y, dx, dw;
    in_doubles(c, &y, &dx, &dw);
    each_run(c, false, [&](const StepResult& got, const std::string& what) {
      EXPECT_LT(relative_error(got.y, y), kBound) << "forward, " << what;
      EXPECT_LT(relative_error(got.dx, dx), kBound) << "input gradient, " << what;
      EXPECT_LT(relative_error(got.dparams[0], dw), kBound) << "weight gradient, " << what;
    });
    if (HasFailure()) return;
  }
}

TEST(Winograd, IsChosenWhereItMultipliesLess) {
  const auto chosen = [](std::int64_t side, std::int64_t c, std::int64_t oc, std::int64_t stride,
                         bool winograd) {
    StepOptions o;
    o.winograd = winograd;
    o.kernels = available_tables().back();
    const std::int64_t out = (side - 1) / stride + 1;
    return winograd_is_faster(
        {side, side, c, out, out, oc, 3, 3, 1, {stride, stride}, {1, 1}, 1, 1}, o);
  };
  EXPECT_TRUE(chosen(56, 64, 64, 1, true));
  EXPECT_TRUE(chosen(7, 512, 512, 1, true));
  EXPECT_FALSE(chosen(56, 64, 64, 1, false));
  EXPECT_FALSE(chosen(56, 64, 64, 2, true));
  EXPECT_FALSE(chosen(224, 3, 64, 1, true));
  EXPECT_FALSE(chosen(2, 512, 512, 1, true));  // 36 multiplications for 4 outputs of 9 taps
}

}  // namespace
}  // namespace striate::testing
