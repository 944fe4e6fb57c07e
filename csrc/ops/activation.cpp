// Activations. All but softmax are elementwise and run in place, in whichever layout they meet.
#include <cstring>
#include <utility>

#include "core/checked.h"
#include "ops/op.h"

namespace striate {
namespace {

constexpr std::pair<const char*, ActivationKind> kKinds[] = {
    {"linear", ActivationKind::kLinear},
    {"relu", ActivationKind::kRelu},
    {"leaky_relu", ActivationKind::kLeakyRelu},
    {"sigmoid", ActivationKind::kSigmoid},
    {"tanh", ActivationKind::kTanh},
    {"scaled_tanh", ActivationKind::kScaledTanh},
    {"elu", ActivationKind::kElu},
    {"gelu", ActivationKind::kGelu},
    {"silu", ActivationKind::kSilu}};

// Whether f' can be written in terms of y = f(x).
bool derivative_from_output(ActivationKind kind) {
  return kind != ActivationKind::kGelu && kind != ActivationKind::kSilu;
}

class ActivationStep final : public Step {
 public:
  ActivationStep(ActivationKind kind, float alpha, std::int64_t sample_floats, const StepOptions& o)
      : kind_(kind),
        alpha_(alpha),
        lanes_(o.layout == Layout::kSamples),
        applied_(o.applied),
        features_(sample_floats),
        k_(*o.kernels) {
    backward_reads_y = derivative_from_output(kind);
    backward_reads_x = !backward_reads_y;
    forward_in_place = backward_reads_y;
    backward_in_place = true;
  }
  void forward(const ForwardArgs& a) const override {
    if (applied_) {
      if (a.y != a.x[0])
        std::memcpy(a.y, a.x[0], static_cast<std::size_t>(count(a)) * sizeof(float));
      return;
    }
    k_.activation(kind_, alpha_, count(a), a.x[0], a.y);
  }
  void backward(const BackwardArgs& a) const override {
    if (a.dx[0])
      k_.activation_backward(kind_, alpha_, count(a), backward_reads_x ? a.x[0] : nullptr,
                             backward_reads_y ? a.y : nullptr, a.dy, a.dx[0], a.order);
  }

 private:
  std::int64_t count(const StepArgs& a) const { return features_ * (lanes_ ? kLanes : a.samples); }
  ActivationKind kind_;
  float alpha_;
  bool lanes_, applied_;
  std::int64_t features_;
  const KernelTable& k_;
};

class Activation final : public Op {
 public:
  Activation(ActivationKind kind, float alpha) : kind_(kind), alpha_(alpha) {}
  const char* kind() const override { return "activation"; }
  Shape output_shape(const std::vector<Shape>& in) const override { return single_input(in); }
  bool supports(Layout) const override { return true; }
  bool monotone_elementwise() const override { return derivative_from_output(kind_); }
  bool is_relu() const override { return kind_ == ActivationKind::kRelu; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<ActivationStep>(kind_, alpha_, o.inputs[0].size(), o);
  }

 private:
  ActivationKind kind_;
  float alpha_;
};

class SoftmaxStep final : public Step {
 public:
  SoftmaxStep(const Shape& s, const StepOptions& o)
      : cols_(narrow<std::int32_t>(s[s.rank() - 1])), rows_(s.size() / cols_), k_(*o.kernels) {
    backward_reads_y = true;
    forward_in_place = backward_in_place = true;
  }
  void forward(const ForwardArgs& a) const override {
    k_.softmax(rows_ * a.samples, cols_, a.x[0], a.y);
  }
  void backward(const BackwardArgs& a) const override {
    if (a.order == 2)
      throw ValueError(
          "the curvature pass does not go through a softmax layer: use a loss from "
          "logits or from probabilities directly behind it");
    if (a.dx[0]) k_.softmax_backward(rows_ * a.samples, cols_, a.y, a.dy, a.dx[0]);
  }

 private:
  std::int32_t cols_;
  std::int64_t rows_;
  const KernelTable& k_;
};

class Softmax final : public Op {
 public:
  const char* kind() const override { return "softmax"; }
  Shape output_shape(const std::vector<Shape>& in) const override { return single_input(in); }
  bool supports(Layout layout) const override { return layout == Layout::kChannels; }
  bool is_softmax() const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<SoftmaxStep>(o.inputs[0], o);
  }
};

}  // namespace

OpPtr activation(const std::string& kind, float alpha) {
  if (kind == "softmax") return std::make_shared<Softmax>();
  for (const auto& [name, k] : kKinds) {
    if (kind != name) continue;
    if ((k == ActivationKind::kLeakyRelu || k == ActivationKind::kElu) && !(alpha >= 0.0f))
      throw ValueError(kind + ": alpha must be at least 0, got " + std::to_string(alpha));
    return std::make_shared<Activation>(k, alpha);
  }
  throw ValueError("unknown activation \"" + kind +
                   "\": linear, relu, leaky_relu, sigmoid, tanh, scaled_tanh, elu, gelu, silu or "
                   "softmax");
}

}  // namespace striate
