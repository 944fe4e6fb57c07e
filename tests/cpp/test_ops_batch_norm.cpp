// Batch normalisation's steps over the blocks of a batch, in both layouts and at every ISA, against
// their definitions in double.
#include "near_cases.h"
#include "striate/error.h"

namespace striate::testing {
namespace {

struct NormCase {
  BatchNormalizationOptions options;
  Shape input;
  std::int64_t samples;
  std::vector<float> x, dy;                // rows
  std::vector<std::vector<float>> params;  // as the op lists them

  std::int64_t channels() const { return input[input.rank() - 1]; }
  std::size_t mean() const { return params.size() - 2; }
  std::size_t variance() const { return params.size() - 1; }
};

struct NormResult {
  std::vector<float> y, dx;
  std::vector<std::vector<float>> dparams;  // as params
  std::vector<std::vector<float>> params;   // after commit
};

NormCase random_case(CaseRandom& r) {
  NormCase c;
  c.options.epsilon = r.between(0, 1) ? 1e-3 : 0.25;
  c.options.momentum = static_cast<double>(r.between(0, 16)) / 16.0;
  c.options.scale = r.between(0, 3) != 0;
  c.options.center = r.between(0, 3) != 0;
  const std::int64_t channels = r.between(1, 80);
  c.input = r.between(0, 3) ? Shape{r.between(1, 9), r.between(1, 9), channels} : Shape{channels};
  c.samples = r.between(2, 40);
  const std::int64_t n = c.samples * c.input.size();
  c.x = uniform(r, n, -1.0, 3.0);
  c.dy = uniform(r, n, -2.0, 2.0);
  if (c.options.scale) c.params.push_back(uniform(r, channels, -2.0, 2.0));
  if (c.options.center) c.params.push_back(uniform(r, channels, -2.0, 2.0));
  c.params.push_back(uniform(r, channels, -1.0, 2.0));
  c.params.push_back(uniform(r, channels, 0.1, 2.0));
  return c;
}

// Runs a step as the executor does: the blocks meet twice where the step wants it.
class NormRun {
 public:
  NormRun(const NormCase& c, const KernelTable& table, Layout layout, int block, bool training)
      : case_(c), layout_(layout), block_(layout == Layout::kSamples ? kLanes : block) {
    const OpPtr op = batch_normalization(c.options);
    StepOptions bind;
    bind.inputs = {c.input};
    bind.layout = layout;
    bind.block_samples = block_;
    bind.kernels = &table;
    bind.training = training;
    step_ = op->bind(bind);
    for (const auto& p : c.params) params_.push_back(p.data());
    for (std::int64_t first = 0; first < c.samples; first += block_)
      blocks_.emplace_back(*this, first, std::min<std::int64_t>(block_, c.samples - first));
  }

  NormResult run(bool accumulate, int order = 1) {
    GuardedBuffer packed(step_->packed_size), packed_back(step_->packed_backward_size);
    GuardedBuffer common(step_->common_size);
    const auto blocks = static_cast<std::int64_t>(blocks_.size());
    GuardedBuffer parts(step_->part_size * blocks), parts_back(step_->part_size_backward * blocks);
    step_->pack({params_.data(), false, 0, packed.data()});
    step_->pack({params_.data(), true, 0, packed_back.data()});
    MeetArgs meet;
    meet.parts = parts.data();
    meet.part_floats = step_->part_size;
    meet.blocks = blocks;
    meet.block_samples = block_;
    meet.samples = case_.samples;
    meet.params = params_.data();
    meet.common = common.data();
    StepArgs shared;
    shared.training = shared.keep = true;
    shared.params = params_.data();
    shared.common = common.data();
    shared.packed = packed.data();
    std::int64_t at = 0;
    for (Block& b : blocks_)
      if (step_->part_size)
        step_->gather(b.forward(shared), parts.data() + at++ * meet.part_floats);
    if (step_->part_size) step_->meet(meet);
    for (Block& b : blocks_) step_->forward(b.forward(shared));

    NormResult r;
    std::vector<float*> gradients;
    for (const auto& p : case_.params)
      r.dparams.emplace_back(p.size(), accumulate ? 1.0f : GuardedBuffer::nan());
    for (auto& d : r.dparams) gradients.push_back(d.data());
    std::vector<float*> none(gradients.size(), nullptr);
    shared.packed = packed_back.data();
    meet.parts = parts_back.data();
    meet.part_floats = step_->part_size_backward;
    meet.dparams = gradients.data();
    meet.accumulate = accumulate;
    at = 0;
    for (Block& b : blocks_)
      if (step_->part_size_backward)
        step_->gather_backward(b.backward(shared, none.data(), true, order),
                               parts_back.data() + at++ * meet.part_floats);
    if (step_->part_size_backward) step_->meet_backward(meet);
    bool later = accumulate;
    for (Block& b : blocks_) {
      float* const* own = step_->part_size_backward ? none.data() : gradients.data();
      step_->backward(b.backward(shared, own, later, order));
      later = true;
    }
    EXPECT_TRUE(parts.guards_intact() && parts_back.guards_intact() && common.guards_intact() &&
                packed.guards_intact() && packed_back.guards_intact());
    for (Block& b : blocks_) b.collect(&r);
    r.params = case_.params;
    std::vector<float*> states;
    for (auto& p : r.params) states.push_back(p.data());
    if (step_->has_state) step_->commit(common.data(), states.data());
    return r;
  }

 private:
  class Block {
   public:
    Block(const NormRun& run, std::int64_t first, std::int64_t samples)
        : run_(&run),
          samples_(samples),
          x_(block_floats(run.case_.input, run.layout_, run.block_)),
          dy_(x_.size()),
          y_(x_.size()),
          dx_(x_.size()),
          scratch_(run.step_->scratch_size) {
      const auto rows = [&](const std::vector<float>& all) {
        const auto from = all.begin() + static_cast<std::ptrdiff_t>(first * features());
        return std::vector<float>(from, from + static_cast<std::ptrdiff_t>(samples * features()));
      };
      to_block(rows(run.case_.x), features(), run.layout_, &x_);
      to_block(rows(run.case_.dy), features(), run.layout_, &dy_);
    }
    ForwardArgs forward(const StepArgs& shared) {
      ForwardArgs f;
      static_cast<StepArgs&>(f) = shared;
      fill(&f);
      f.y = y_.data();
      return f;
    }
    BackwardArgs backward(const StepArgs& shared, float* const* dparams, bool accumulate,
                          int order) {
      BackwardArgs b;
      static_cast<StepArgs&>(b) = shared;
      fill(&b);
      b.y = y_.data();
      b.dy = dy_.data();
      to_ = dx_.data();
      b.dx = &to_;
      b.dparams = dparams;
      b.accumulate = accumulate;
      b.order = order;
      return b;
    }
    void collect(NormResult* r) {
      EXPECT_TRUE(x_.guards_intact() && dy_.guards_intact() && y_.guards_intact() &&
                  dx_.guards_intact() && scratch_.guards_intact());
      const auto take = [&](GuardedBuffer& from, std::vector<float>* to) {
        const auto rows = from_block(from, features(), static_cast<int>(samples_), run_->layout_);
        to->insert(to->end(), rows.begin(), rows.end());
      };
      take(y_, &r->y);
      take(dx_, &r->dx);
      if (run_->layout_ != Layout::kSamples) return;
      for (std::int64_t f = 0; f < features(); ++f)
        for (std::int64_t n = samples_; n < kLanes; ++n)
          ASSERT_EQ(dx_.data()[f * kLanes + n], 0.0f) << "a lane without a sample has a gradient";
    }

   private:
    std::int64_t features() const { return run_->case_.input.size(); }
    void fill(StepArgs* a) {
      from_ = x_.data();
      a->samples = samples_;
      a->x = &from_;
      a->scratch = scratch_.data();
    }
    const NormRun* run_;
    std::int64_t samples_;
    GuardedBuffer x_, dy_, y_, dx_, scratch_;
    const float* from_ = nullptr;
    float* to_ = nullptr;
  };

  const NormCase& case_;
  Layout layout_;
  int block_;
  std::unique_ptr<Step> step_;
  std::vector<const float*> params_;
  std::vector<Block> blocks_;
};

struct NormWanted {
  Doubles y, dx, dgamma, dbeta, mean, variance;  // mean, variance: the moving ones afterwards
  // What cancels in sums: of dgamma and dbeta, of dx.
  double terms = 0.0, slope = 0.0;
};

NormWanted reference(const NormCase& c, bool training) {
  const auto channels = static_cast<std::size_t>(c.channels());
  const double count = static_cast<double>(c.x.size() / channels);
  Doubles mean(channels, 0.0), variance(channels, 0.0);
  for (std::size_t i = 0; i < c.x.size(); ++i) mean[i % channels] += c.x[i] / count;
  for (std::size_t i = 0; i < c.x.size(); ++i)
    variance[i % channels] += std::pow(c.x[i] - mean[i % channels], 2) / count;
  NormWanted w;
  for (std::size_t k = 0; k < channels; ++k) {
    const double keep = training ? c.options.momentum : 1.0;
    w.mean.push_back(keep * c.params[c.mean()][k] + (1.0 - keep) * mean[k]);
    w.variance.push_back(keep * c.params[c.variance()][k] + (1.0 - keep) * variance[k]);
    if (training) continue;
    mean[k] = c.params[c.mean()][k];
    variance[k] = c.params[c.variance()][k];
  }
  const auto gamma = [&](std::size_t k) { return c.options.scale ? double{c.params[0][k]} : 1.0; };
  const auto beta = [&](std::size_t k) {
    return c.options.center ? double{c.params[c.options.scale][k]} : 0.0;
  };
  const auto inverse = [&](std::size_t k) {
    return 1.0 / std::sqrt(variance[k] + c.options.epsilon);
  };
  w.dgamma.assign(channels, 0.0);
  w.dbeta.assign(channels, 0.0);
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    const std::size_t k = i % channels;
    const double z = (c.x[i] - mean[k]) * inverse(k);
    w.y.push_back(gamma(k) * z + beta(k));
    w.dgamma[k] += c.dy[i] * z;
    w.dbeta[k] += c.dy[i];
    w.terms += std::fabs(c.dy[i]) / static_cast<double>(channels);
  }
  for (std::size_t i = 0; i < c.x.size(); ++i) {
    const std::size_t k = i % channels;
    const double z = (c.x[i] - mean[k]) * inverse(k);
    const double through = training ? (w.dbeta[k] + z * w.dgamma[k]) / count : 0.0;
    w.dx.push_back(gamma(k) * inverse(k) * (c.dy[i] - through));
    w.slope = std::max(w.slope, std::fabs(gamma(k) * inverse(k) * c.dy[i]));
  }
  return w;
}

void check(const NormCase& c, bool training, bool accumulate, int block, const std::string& what) {
  NormWanted want = reference(c, training);
  if (accumulate)
    for (Doubles* d : {&want.dgamma, &want.dbeta})
      for (double& v : *d) v += 1.0;
  for (const KernelTable* t : available_tables())
    for (Layout layout : {Layout::kChannels, Layout::kSamples}) {
      const std::string where = what + " " + t->isa +
                                (layout == Layout::kSamples ? " samples" : " channels") + " n" +
                                std::to_string(c.samples) + " " + c.input.str();
      const NormResult got = NormRun(c, *t, layout, block, training).run(accumulate);
      expect_near(got.y, want.y, 40.0, "forward, " + where);
      expect_near(got.dx, want.dx, 40.0, "input gradient, " + where, want.slope);
      if (c.options.scale)
        expect_near(got.dparams[0], want.dgamma, 8.0, "gamma, " + where, want.terms);
      if (c.options.center)
        expect_near(got.dparams[c.options.scale], want.dbeta, 8.0, "beta, " + where, want.terms);
      expect_near(got.params[c.mean()], want.mean, 4.0, "moving mean, " + where);
      expect_near(got.params[c.variance()], want.variance, 8.0, "moving variance, " + where);
      for (std::size_t i : {c.mean(), c.variance()})
        for (float g : got.dparams[i]) ASSERT_EQ(g, accumulate ? 1.0f : 0.0f) << where;
      for (std::size_t i = 0; i < c.mean(); ++i) ASSERT_EQ(got.params[i], c.params[i]) << where;
    }
}

TEST(OpsBatchNorm, OnTheBatchsStatistics) {
  for (int seed = 0; seed < case_count(150) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(90000 + seed));
    const NormCase c = random_case(r);
    check(c, true, seed % 3 == 0, static_cast<int>(r.between(1, kLanes)),
          "seed " + std::to_string(seed));
  }
}

TEST(OpsBatchNorm, OnTheMovingStatistics) {
  for (int seed = 0; seed < case_count(100) && !::testing::Test::HasFailure(); ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(91000 + seed));
    NormCase c = random_case(r);
    c.options.inference = seed % 2 == 0;  // the layer's own choice, or that of a frozen network
    check(c, false, seed % 3 == 0, static_cast<int>(r.between(1, kLanes)),
          "seed " + std::to_string(seed));
  }
}

// However the batch is cut into blocks, the ragged one included: their moments are weighed.
TEST(OpsBatchNorm, BlocksOfAnySize) {
  CaseRandom r(92000);
  NormCase c = random_case(r);
  c.samples = 37;
  c.x = uniform(r, c.samples * c.input.size(), 10.0, 11.0);
  c.dy = uniform(r, c.samples * c.input.size(), -2.0, 2.0);
  for (int block = 1; block <= kLanes; ++block) {
    const NormWanted want = reference(c, true);
    for (const KernelTable* t : available_tables()) {
      const NormResult got = NormRun(c, *t, Layout::kChannels, block, true).run(false);
      expect_near(got.y, want.y, 400.0, t->isa);  // 10 of 11 digits' worth are the mean
      expect_near(got.params[c.mean()], want.mean, 4.0, t->isa);
    }
  }
}

// Variance 0: what is left is beta, and no gradient passes.
TEST(OpsBatchNorm, ConstantChannels) {
  for (const std::int64_t samples : {1, 5, 16, 19}) {
    NormCase c;
    c.input = {1, samples == 1 ? 1 : 3, 5};
    c.samples = samples;
    CaseRandom r(93000);
    const std::int64_t n = samples * c.input.size();
    for (std::int64_t i = 0; i < n; ++i) c.x.push_back(0.1f * static_cast<float>(i % 5 + 1));
    c.dy = uniform(r, n, -2.0, 2.0);
    c.params = {
        uniform(r, 5, 0.5, 2.0), uniform(r, 5, -2.0, 2.0), {0, 0, 0, 0, 0}, {1, 1, 1, 1, 1}};
    const NormWanted want = reference(c, true);
    for (const KernelTable* t : available_tables())
      for (Layout layout : {Layout::kChannels, Layout::kSamples}) {
        const NormResult got = NormRun(c, *t, layout, 4, true).run(false);
        for (std::size_t i = 0; i < got.y.size(); ++i)
          ASSERT_NEAR(got.y[i], c.params[1][i % 5], 3e-6) << t->isa;
        expect_near(got.params[c.variance()], want.variance, 1.0, t->isa);
        double sum[5] = {};
        for (std::size_t i = 0; i < got.dx.size(); ++i) {
          ASSERT_TRUE(std::isfinite(got.dx[i]));
          sum[i % 5] += got.dx[i];
        }
        for (double s : sum) EXPECT_NEAR(s, 0.0, 1e-3) << "a shift of a channel changes nothing";
      }
  }
}

TEST(OpsBatchNorm, NoCurvature) {
  CaseRandom r(94000);
  const NormCase c = random_case(r);
  for (const bool training : {true, false})
    EXPECT_THROW(NormRun(c, kernels(), Layout::kChannels, 3, training).run(false, 2), ValueError);
}

}  // namespace
}  // namespace striate::testing
