// Rescaling: x * scale + offset, with one number for all channels or one for each.
#include <algorithm>
#include <cmath>

#include "core/checked.h"
#include "ops/op.h"

namespace striate {
namespace {

class RescalingStep final : public Step {
 public:
  RescalingStep(const std::vector<float>& scale, const std::vector<float>& offset,
                const StepOptions& o)
      : lanes_(o.layout == Layout::kSamples), k_(*o.kernels) {
    const Shape& s = o.inputs[0];
    // With channels in lanes a whole row counts as the channels, so that images of one or three of
    // them fill the vectors.
    const std::int64_t channels = s[s.rank() - 1];
    const std::int64_t row = lanes_ || s.rank() == 1 ? channels : channels * s[s.rank() - 2];
    for (std::int64_t i = 0; i < row; ++i) {
      const auto c = static_cast<std::size_t>(i % channels);
      scale_.push_back(scale[scale.size() == 1 ? 0 : c]);
      offset_.push_back(offset[offset.size() == 1 ? 0 : c]);
      curvature_.push_back(scale_.back() * scale_.back());
    }
    pixels_ = s.size() / row;
    narrow<std::int32_t>(row);
    forward_in_place = backward_in_place = true;
  }
  void forward(const ForwardArgs& a) const override { affine(a, scale_, &offset_, a.x[0], a.y); }
  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) affine(a, a.order == 2 ? curvature_ : scale_, nullptr, a.dy, a.dx[0]);
  }

 private:
  void affine(const StepArgs& a, const std::vector<float>& scale, const std::vector<float>* offset,
              const float* from, float* to) const {
    const auto kernel = lanes_ ? k_.channel_affine_samples : k_.channel_affine_channels;
    kernel(pixels_ * (lanes_ ? 1 : a.samples), static_cast<std::int32_t>(scale.size()),
           scale.data(), from, {offset ? offset->data() : nullptr}, to);
  }

  bool lanes_;
  std::int64_t pixels_;
  std::vector<float> scale_, offset_, curvature_;  // by channel, or by feature of a row
  const KernelTable& k_;
};

class Rescaling final : public Op {
 public:
  Rescaling(std::vector<float> scale, std::vector<float> offset)
      : scale_(std::move(scale)), offset_(std::move(offset)) {}
  const char* kind() const override { return "rescaling"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = single_input(in);
    for (const std::vector<float>* v : {&scale_, &offset_})
      if (v->size() != 1 && static_cast<std::int64_t>(v->size()) != s[s.rank() - 1])
        throw ShapeError("input " + s.str() + " has " + std::to_string(s[s.rank() - 1]) +
                         " channels, " + (v == &scale_ ? "scale" : "offset") + " is of " +
                         std::to_string(v->size()) + ": give one number, or one a channel");
    return s;
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<RescalingStep>(scale_, offset_, o);
  }

 private:
  std::vector<float> scale_, offset_;
};

}  // namespace

OpPtr rescaling(std::vector<float> scale, std::vector<float> offset) {
  for (const std::vector<float>* v : {&scale, &offset}) {
    const std::string name = v == &scale ? "scale" : "offset";
    if (v->empty()) throw ValueError("rescaling's " + name + " has no number");
    if (!std::all_of(v->begin(), v->end(), [](float f) { return std::isfinite(f); }))
      throw ValueError("rescaling's " + name + " must be finite");
  }
  return std::make_shared<Rescaling>(std::move(scale), std::move(offset));
}

}  // namespace striate
