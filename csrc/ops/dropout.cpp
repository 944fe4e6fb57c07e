// Inverted dropout (Srivastava et al. 2014). The mask is a function of (seed, node, sample's
// global number, feature), so it is the same for any number of threads and in either layout.
#include <cmath>

#include "ops/op.h"
#include "striate/error.h"
#include "striate/random.h"

namespace striate {
namespace {

class DropoutStep final : public Step {
 public:
  DropoutStep(float rate, std::int64_t features, const StepOptions& o)
      : features_(features),
        lanes_(o.layout == Layout::kSamples),
        threshold_(static_cast<std::uint64_t>(std::ldexp(static_cast<double>(rate), 32))),
        scale_(1.0f / (1.0f - rate)),
        k_(*o.kernels) {
    saved_size = features * (lanes_ ? kLanes : o.block_samples);  // the mask
    forward_in_place = backward_in_place = true;
  }

  void forward(const ForwardArgs& a) const override {
    if (!a.training) {
      k_.scale(count(a), 1.0f, a.x[0], a.y);
      return;
    }
    draw(a);
    k_.multiply(count(a), a.x[0], a.saved, a.y);
  }

  void backward(const BackwardArgs& a) const override {
    if (!a.dx[0]) return;
    const float* dy = a.dy;
    for (int i = 0; i < a.order; ++i) {
      k_.multiply(count(a), dy, a.saved, a.dx[0]);
      dy = a.dx[0];
    }
  }

 private:
  std::int64_t count(const StepArgs& a) const { return features_ * (lanes_ ? kLanes : a.samples); }

  void draw(const StepArgs& a) const {
    const std::int64_t feature_step = lanes_ ? kLanes : 1, sample_step = lanes_ ? 1 : features_;
    for (int n = 0; n < a.samples; ++n) {
      const RandomStream stream(a.random.seed, RandomPurpose::kDropout, a.random.node,
                                a.random.first_sample + static_cast<std::uint32_t>(n));
      float* mask = a.saved + n * sample_step;
      for (std::int64_t f = 0; f < features_; f += 4) {
        const auto bits = stream.bits4(static_cast<std::uint32_t>(f / 4));
        for (std::int64_t i = 0; i < 4 && f + i < features_; ++i)
          mask[(f + i) * feature_step] =
              bits[static_cast<std::size_t>(i)] < threshold_ ? 0.0f : scale_;
      }
    }
    if (lanes_)
      for (std::int64_t f = 0; f < features_; ++f)
        for (int n = a.samples; n < kLanes; ++n) a.saved[f * kLanes + n] = 0.0f;
  }

  std::int64_t features_;
  bool lanes_;
  std::uint64_t threshold_;
  float scale_;
  const KernelTable& k_;
};

class Dropout final : public Op {
 public:
  explicit Dropout(float rate) : rate_(rate) {}
  const char* kind() const override { return "dropout"; }
  Shape output_shape(const std::vector<Shape>& in) const override { return single_input(in); }
  bool supports(Layout) const override { return true; }
  bool is_dropout() const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<DropoutStep>(rate_, o.inputs[0].size(), o);
  }

 private:
  float rate_;
};

}  // namespace

OpPtr dropout(float rate) {
  if (!(rate >= 0.0f && rate < 1.0f))
    throw ValueError("dropout rate must be in [0, 1), got " + std::to_string(rate));
  return std::make_shared<Dropout>(rate);
}

}  // namespace striate
