// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3).
#include <algorithm>
#include <cmath>
#include <limits>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/op.h"

namespace striate {
namespace {

constexpr std::int64_t kStageFloats = 1024;  // worked on at a time: 4 KiB, well inside L1

class ResponseNormStep final : public Step {
 public:
  ResponseNormStep(const ResponseNorm& pass, std::int64_t pixels, const StepOptions& o)
      : pass_(pass), pixels_(pixels), k_(*o.kernels) {
    backward_reads_x = true;
    forward_in_place = backward_in_place = true;
    saved_size = checked_mul(pixels_ * pass.channels, o.block_samples);
    const std::int64_t pixel = std::int64_t{pass.channels} + pass.before + pass.after;
    pass_.stage = narrow<std::int32_t>(
        std::clamp<std::int64_t>(kStageFloats / pixel, 1, pixels_ * o.block_samples));
    scratch_size = 2 * (pixel * pass_.stage + kLanes);
  }

  void forward(const ForwardArgs& a) const override {
    k_.response_norm(pass_, pixels_ * a.samples, a.x[0], a.y, a.keep ? a.saved : nullptr,
                     a.scratch);
  }

  void backward(const BackwardArgs& a) const override {
    if (a.order == 2)
      throw ValueError("the curvature pass does not go through local response normalization");
    if (a.dx[0])
      k_.response_norm_backward(pass_, pixels_ * a.samples, a.x[0], a.saved, a.dy, a.dx[0],
                                a.scratch);
  }

 private:
  ResponseNorm pass_;
  std::int64_t pixels_;
  const KernelTable& k_;
};

class LocalResponseNormalization final : public Op {
 public:
  explicit LocalResponseNormalization(const LocalResponseNormalizationOptions& o) : o_(o) {}
  const char* kind() const override { return "local_response_normalization"; }
  Shape output_shape(const std::vector<Shape>& in) const override { return image_input(in); }
  bool supports(Layout layout) const override { return layout == Layout::kChannels; }

  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    const Shape& s = options.inputs[0];
    const double size = static_cast<double>(o_.size);
    ResponseNorm pass{};
    pass.channels = narrow<std::int32_t>(s[2]);
    pass.before = narrow<std::int32_t>(std::min(o_.size / 2, s[2] - 1));
    pass.after = narrow<std::int32_t>(std::min((o_.size - 1) / 2, s[2] - 1));
    pass.alpha = static_cast<float>(o_.alpha_over_size ? o_.alpha / size : o_.alpha);
    pass.beta = static_cast<float>(o_.beta);
    pass.k = static_cast<float>(o_.k);
    return std::make_unique<ResponseNormStep>(pass, s[0] * s[1], options);
  }

 private:
  LocalResponseNormalizationOptions o_;
};

}  // namespace

OpPtr local_response_normalization(LocalResponseNormalizationOptions o) {
  if (o.size < 1) throw ValueError("size must be at least 1, got " + std::to_string(o.size));
  constexpr double kMost = std::numeric_limits<float>::max();
  if (!(o.alpha >= 0.0 && o.alpha <= kMost))
    throw ValueError("alpha must be a number of at least 0, got " + std::to_string(o.alpha));
  if (!(std::abs(o.beta) <= 1000.0))
    throw ValueError("beta must be a number from -1000 to 1000, got " + std::to_string(o.beta));
  // Below the least normal float a window of zeros would divide by zero.
  if (!(o.k >= std::numeric_limits<float>::min() && o.k <= kMost))
    throw ValueError("k must be a number above 0, got " + std::to_string(o.k));
  return std::make_shared<LocalResponseNormalization>(o);
}

}  // namespace striate
