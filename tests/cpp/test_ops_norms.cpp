// Normalisations within a sample, forward and backward, against their definitions in double: every
// ISA at hand, shapes with every length of tail.
#include <functional>

#include "near_cases.h"

namespace striate::testing {
namespace {

struct Wanted {
  Doubles y, dx;
  std::vector<Doubles> dparams;
};

void expect_all_near(const StepResult& got, const Wanted& want, double units,
                     const std::string& what) {
  expect_near(got.y, want.y, units, "forward, " + what);
  expect_near(got.dx, want.dx, units, "input gradient, " + what);
  ASSERT_EQ(got.dparams.size(), want.dparams.size());
  for (std::size_t i = 0; i < want.dparams.size(); ++i)
    expect_near(got.dparams[i], want.dparams[i], units,
                "gradient of parameter " + std::to_string(i) + ", " + what);
}

// y[c] = x[c] s[c]^-beta; dx[j] = dy[j] s[j]^-beta - 2 a beta x[j] sum_c dy[c] x[c] s[c]^(-beta-1).
Wanted response(const StepCase& c, const LocalResponseNormalizationOptions& o) {
  const std::int64_t channels = c.input[2];
  const double a = o.alpha_over_size ? o.alpha / static_cast<double>(o.size) : o.alpha;
  Wanted w;
  for (std::size_t at = 0; at < c.x.size(); at += static_cast<std::size_t>(channels)) {
    const float *x = &c.x[at], *dy = &c.dy[at];
    Doubles s(static_cast<std::size_t>(channels), o.k), sums(s.size(), 0.0);
    const auto each = [&](std::int64_t j, auto f) {
      for (std::int64_t i = j - o.size / 2; i <= j + (o.size - 1) / 2; ++i)
        if (i >= 0 && i < channels) f(static_cast<std::size_t>(i));
    };
    for (std::size_t j = 0; j < s.size(); ++j)
      each(static_cast<std::int64_t>(j), [&](std::size_t i) { s[j] += a * x[i] * x[i]; });
    for (std::size_t j = 0; j < s.size(); ++j) {
      w.y.push_back(x[j] * std::pow(s[j], -o.beta));
      const double share = dy[j] * x[j] * std::pow(s[j], -o.beta - 1.0);
      each(static_cast<std::int64_t>(j), [&](std::size_t i) { sums[i] += share; });
    }
    for (std::size_t j = 0; j < s.size(); ++j)
      w.dx.push_back(dy[j] * std::pow(s[j], -o.beta) - 2.0 * a * o.beta * x[j] * sums[j]);
  }
  return w;
}

TEST(OpsNorms, LocalResponse) {
  const double betas[] = {0.75, 0.5, 1.0, 0.6, 2.0};
  for (int seed = 0; seed < case_count(150); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(60000 + seed));
    LocalResponseNormalizationOptions o;
    o.size = seed % 2 == 0 ? 5 : r.between(1, 20);
    o.alpha = static_cast<double>(r.between(1, 50)) / 64.0;
    o.beta = betas[seed % 5];
    o.k = static_cast<double>(r.between(1, 8)) / 4.0;
    o.alpha_over_size = r.between(0, 1) == 0;
    const Shape input{r.between(1, 4), r.between(1, 5), r.between(1, 100)};
    StepCase c{
        local_response_normalization(o), input, static_cast<int>(r.between(1, 5)), {}, {}, {}};
    c.x = uniform(r, c.samples * input.size(), -2.0, 2.0);
    c.dy = uniform(r, c.samples * input.size(), -2.0, 2.0);
    const Wanted want = response(c, o);
    for (const KernelTable* t : available_tables())
      expect_all_near(run_step(c, *t, Layout::kChannels), want, 24.0,
                      std::string(t->isa) + " seed " + std::to_string(seed) + " " + input.str());
    if (HasFailure()) return;
  }
}

// Which statistics, and which gamma and beta, number i of a sample has.
struct Normalized {
  std::int64_t groups, params;
  std::function<std::size_t(std::size_t)> group, param;
};

Wanted normalize(const StepCase& c, const Normalized& by, const NormalizationOptions& o) {
  const auto size = static_cast<std::size_t>(c.input.size());
  const auto params = static_cast<std::size_t>(by.params);
  const double count = static_cast<double>(c.input.size() / by.groups);
  Doubles dgamma(params, 0.0), dbeta(params, 0.0);
  Wanted w;
  for (std::size_t at = 0; at < c.x.size(); at += size) {
    const float *x = &c.x[at], *dy = &c.dy[at];
    const auto means = [&](auto term) {
      Doubles mean(static_cast<std::size_t>(by.groups), 0.0);
      for (std::size_t i = 0; i < size; ++i) mean[by.group(i)] += term(i) / count;
      return mean;
    };
    const Doubles mean = means([&](std::size_t i) { return double{x[i]}; });
    const auto from_mean = [&](std::size_t i) { return x[i] - mean[by.group(i)]; };
    const Doubles variance = means([&](std::size_t i) { return from_mean(i) * from_mean(i); });
    const auto inverse = [&](std::size_t i) {
      return 1.0 / std::sqrt(variance[by.group(i)] + o.epsilon);
    };
    const auto z = [&](std::size_t i) { return from_mean(i) * inverse(i); };
    const auto gamma = [&](std::size_t i) {
      return o.scale ? double{c.params[0][by.param(i)]} : 1.0;
    };
    const Doubles g = means([&](std::size_t i) { return dy[i] * gamma(i); });
    const Doubles gz = means([&](std::size_t i) { return dy[i] * gamma(i) * z(i); });
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t p = by.param(i);
      w.y.push_back(z(i) * gamma(i) + (o.center ? double{c.params[o.scale][p]} : 0.0));
      w.dx.push_back(inverse(i) * (dy[i] * gamma(i) - g[by.group(i)] - z(i) * gz[by.group(i)]));
      dgamma[p] += dy[i] * z(i);
      dbeta[p] += dy[i];
    }
  }
  if (o.scale) w.dparams.push_back(dgamma);
  if (o.center) w.dparams.push_back(dbeta);
  return w;
}

void check_normalization(CaseRandom& r, const OpPtr& op, const Shape& input, const Normalized& by,
                         const NormalizationOptions& o, const std::string& what) {
  StepCase c{op, input, static_cast<int>(r.between(1, 5)), {}, {}, {}};
  c.x = uniform(r, c.samples * input.size(), 1.0, 5.0);
  c.dy = uniform(r, c.samples * input.size(), -2.0, 2.0);
  for (int i = 0; i < o.scale + o.center; ++i) c.params.push_back(uniform(r, by.params, -2.0, 2.0));
  const bool accumulate = r.between(0, 1) == 0;
  Wanted want = normalize(c, by, o);
  if (accumulate)
    for (Doubles& d : want.dparams)
      for (double& v : d) v += 1.0;
  for (const KernelTable* t : available_tables())
    expect_all_near(run_step(c, *t, Layout::kChannels, accumulate), want, 40.0,
                    what + " " + t->isa + " " + input.str());
}

NormalizationOptions random_options(CaseRandom& r) {
  NormalizationOptions o;
  o.epsilon = r.between(0, 1) == 0 ? 1e-3 : 0.5;
  o.center = r.between(0, 3) != 0;
  o.scale = r.between(0, 3) != 0;
  return o;
}

TEST(OpsNorms, Layer) {
  for (int seed = 0; seed < case_count(100); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(70000 + seed));
    const NormalizationOptions o = random_options(r);
    const Shape input{r.between(1, 6), r.between(1, 5), r.between(2, 150)};
    const std::int64_t axes = r.between(1, 3);
    std::int64_t cols = 1;
    for (int a = 0; a < axes; ++a) cols *= input[2 - a];
    const auto n = static_cast<std::size_t>(cols);
    const Normalized by{input.size() / cols, cols, [=](std::size_t i) { return i / n; },
                        [=](std::size_t i) { return i % n; }};
    check_normalization(r, layer_normalization(axes, o), input, by, o,
                        "seed " + std::to_string(seed));
    if (HasFailure()) return;
  }
}

TEST(OpsNorms, Group) {
  for (int seed = 0; seed < case_count(100); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(80000 + seed));
    const NormalizationOptions o = random_options(r);
    const std::int64_t groups = r.between(1, 12), per = r.between(1, 12);
    const Shape input{r.between(2, 20), r.between(1, 20), groups * per};
    const auto c = static_cast<std::size_t>(input[2]), width = static_cast<std::size_t>(per);
    const Normalized by{groups, input[2], [=](std::size_t i) { return i % c / width; },
                        [=](std::size_t i) { return i % c; }};
    const bool instance = per == 1 && seed % 2 == 0;
    check_normalization(r, group_normalization(instance ? -1 : groups, o), input, by, o,
                        "seed " + std::to_string(seed));
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace striate::testing
