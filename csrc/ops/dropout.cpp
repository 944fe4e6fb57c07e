// Inverted dropout (Srivastava et al. 2014), of features and of whole maps (Tompson et al. 2015).
// The mask is a function of (seed, node, sample's global number, feature or map), so it is the same
// for any number of threads and in either layout.
#include <cmath>

#include "core/checked.h"
#include "ops/op.h"
#include "striate/random.h"

namespace striate {
namespace {

// Draws the masks of a block: `width` factors a sample, each 0 with probability `rate`, else
// 1 / (1 - rate), laid out as a block of samples of `width` features is.
class Masks {
 public:
  Masks(float rate, std::int64_t width, bool lanes)
      : width_(width),
        lanes_(lanes),
        threshold_(static_cast<std::uint64_t>(std::ldexp(static_cast<double>(rate), 32))),
        scale_(1.0f / (1.0f - rate)) {}

  void draw(const StepArgs& a) const {
    const std::int64_t feature_step = lanes_ ? kLanes : 1, sample_step = lanes_ ? 1 : width_;
    for (std::int64_t n = 0; n < a.samples; ++n) {
      const RandomStream stream(a.random.seed, RandomPurpose::kDropout, a.random.node,
                                a.random.first_sample + static_cast<std::uint32_t>(n));
      float* mask = a.saved + n * sample_step;
      for (std::int64_t f = 0; f < width_; f += 4) {
        const auto bits = stream.bits4(static_cast<std::uint32_t>(f / 4));
        for (std::int64_t i = 0; i < 4 && f + i < width_; ++i)
          mask[(f + i) * feature_step] =
              bits[static_cast<std::size_t>(i)] < threshold_ ? 0.0f : scale_;
      }
    }
    if (lanes_)
      for (std::int64_t f = 0; f < width_; ++f)
        for (std::int64_t n = a.samples; n < kLanes; ++n) a.saved[f * kLanes + n] = 0.0f;
  }

 private:
  std::int64_t width_;
  bool lanes_;
  std::uint64_t threshold_;
  float scale_;
};

class DropoutStep final : public Step {
 public:
  DropoutStep(float rate, std::int64_t features, const StepOptions& o)
      : features_(features),
        lanes_(o.layout == Layout::kSamples),
        masks_(rate, features, lanes_),
        k_(*o.kernels) {
    saved_size = features * (lanes_ ? kLanes : o.block_samples);  // the mask
    forward_in_place = backward_in_place = true;
  }

  void forward(const ForwardArgs& a) const override {
    if (!a.training) {
      k_.scale(count(a), 1.0f, a.x[0], a.y);
      return;
    }
    masks_.draw(a);
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

  std::int64_t features_;
  bool lanes_;
  Masks masks_;
  const KernelTable& k_;
};

class SpatialDropoutStep final : public Step {
 public:
  SpatialDropoutStep(float rate, const Shape& s, const StepOptions& o)
      : pixels_(s[0] * s[1]),
        channels_(narrow<std::int32_t>(s[2])),
        lanes_(o.layout == Layout::kSamples),
        masks_(rate, channels_, lanes_),
        k_(*o.kernels) {
    saved_size = std::int64_t{channels_} * (lanes_ ? kLanes : o.block_samples);  // the mask
    forward_in_place = backward_in_place = true;
  }

  void forward(const ForwardArgs& a) const override {
    if (!a.training) {
      k_.scale(pixels_ * channels_ * (lanes_ ? kLanes : a.samples), 1.0f, a.x[0], a.y);
      return;
    }
    masks_.draw(a);
    apply(a, a.x[0], a.y);
  }

  void backward(const BackwardArgs& a) const override {
    if (!a.dx[0]) return;
    apply(a, a.dy, a.dx[0]);
    if (a.order == 2) apply(a, a.dx[0], a.dx[0]);
  }

 private:
  // A sample's mask scales its channels; with samples in lanes a pixel of all of them is one row.
  void apply(const StepArgs& a, const float* from, float* to) const {
    if (!lanes_) {
      const std::int64_t image = pixels_ * channels_;
      for (std::int64_t n = 0; n < a.samples; ++n)
        k_.channel_affine_channels(pixels_, channels_, a.saved + n * channels_, from + n * image,
                                   {}, to + n * image);
      return;
    }
    const std::int64_t row = std::int64_t{channels_} * kLanes;
    for (std::int64_t p = 0; p < pixels_; ++p)
      k_.multiply(row, from + p * row, a.saved, to + p * row);
  }

  std::int64_t pixels_;
  std::int32_t channels_;
  bool lanes_;
  Masks masks_;
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

class SpatialDropout2D final : public Op {
 public:
  explicit SpatialDropout2D(float rate) : rate_(rate) {}
  const char* kind() const override { return "spatial_dropout2d"; }
  Shape output_shape(const std::vector<Shape>& in) const override { return image_input(in); }
  bool supports(Layout) const override { return true; }
  bool is_dropout() const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<SpatialDropoutStep>(rate_, o.inputs[0], o);
  }

 private:
  float rate_;
};

float checked_rate(float rate) {
  if (!(rate >= 0.0f && rate < 1.0f))
    throw ValueError("dropout rate must be in [0, 1), got " + std::to_string(rate));
  return rate;
}

}  // namespace

OpPtr dropout(float rate) { return std::make_shared<Dropout>(checked_rate(rate)); }
OpPtr spatial_dropout2d(float rate) {
  return std::make_shared<SpatialDropout2D>(checked_rate(rate));
}

}  // namespace striate
