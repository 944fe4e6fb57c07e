// Layer normalisation over the last axes of a sample (Ba, Kiros and Hinton 2016).
#include "core/checked.h"
#include "ops/normalization.h"

namespace striate {
namespace {

class LayerNormStep final : public Step {
 public:
  LayerNormStep(std::int64_t cols, float epsilon, const ScaleAndCenter& has, const StepOptions& o)
      : rows_(o.inputs[0].size() / cols),
        cols_(cols),
        epsilon_(epsilon),
        has_(has),
        k_(*o.kernels) {
    backward_reads_x = true;
    forward_in_place = backward_in_place = true;
    saved_size = 3 * rows_ * o.block_samples;
  }

  void forward(const ForwardArgs& a) const override {
    k_.layer_norm(rows_ * a.samples, cols_, epsilon_, has_.gamma(a.params), has_.beta(a.params),
                  a.x[0], a.y, a.keep ? a.saved : nullptr);
  }

  void backward(const BackwardArgs& a) const override {
    if (a.order == 2) throw ValueError("the curvature pass does not go through normalization");
    const std::int64_t rows = rows_ * a.samples;
    float *const dgamma = has_.dgamma(a.dparams), *const dbeta = has_.dbeta(a.dparams);
    if (dgamma || dbeta)
      k_.layer_norm_parameters(rows, cols_, a.x[0], a.saved, a.dy, dgamma, dbeta, a.accumulate);
    if (a.dx[0])
      k_.layer_norm_backward(rows, cols_, has_.gamma(a.params), a.x[0], a.saved, a.dy, a.dx[0]);
  }

 private:
  std::int64_t rows_, cols_;
  float epsilon_;
  ScaleAndCenter has_;
  const KernelTable& k_;
};

class LayerNormalization final : public Op {
 public:
  LayerNormalization(std::int64_t axes, const NormalizationOptions& o) : axes_(axes), o_(o) {}
  const char* kind() const override { return "layer_normalization"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    normalized(in);
    return in[0];
  }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    return normalization_parameters(o_, normalized(in));
  }
  bool supports(Layout layout) const override { return layout == Layout::kChannels; }
  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    return std::make_unique<LayerNormStep>(normalized(options.inputs).size(),
                                           static_cast<float>(o_.epsilon),
                                           ScaleAndCenter{o_.scale, o_.center}, options);
  }

 private:
  // The axes that are normalised over.
  Shape normalized(const std::vector<Shape>& in) const {
    const Shape& s = single_input(in);
    if (axes_ > s.rank())
      throw ShapeError("input is " + s.str() + ", of fewer than the " + std::to_string(axes_) +
                       " axes to normalize over");
    return Shape(std::vector<std::int64_t>(s.extents().end() - axes_, s.extents().end()));
  }

  std::int64_t axes_;
  NormalizationOptions o_;
};

}  // namespace

OpPtr layer_normalization(std::int64_t axes, NormalizationOptions options) {
  if (axes < 1)
    throw ValueError("normalization needs an axis, got " + std::to_string(axes) + " of them");
  check_normalization(options);
  return std::make_shared<LayerNormalization>(axes, options);
}

}  // namespace striate
