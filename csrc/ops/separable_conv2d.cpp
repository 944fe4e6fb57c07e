// Depthwise separable convolution: a depthwise convolution without bias, then a 1x1 convolution.
// The two operations do the work; what lies between them is this step's own.
#include <algorithm>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/op.h"

namespace striate {
namespace {

class SeparableStep final : public Step {
 public:
  SeparableStep(const Op& depthwise, const Op& pointwise, const StepOptions& o) {
    const Shape between = depthwise.output_shape(o.inputs);
    StepOptions part = o;
    part.wide = false;  // the two run as one step, block by block
    depthwise_ = depthwise.bind(part);
    part.inputs = {between};
    pointwise_ = pointwise.bind(part);
    between_ = align_up(block_floats(between, o.layout, o.block_samples));
    backward_reads_x = depthwise_->backward_reads_x;
    backward_reads_y = pointwise_->backward_reads_y;
    packed_first_ = align_up(depthwise_->packed_size);
    saved_first_ = align_up(depthwise_->saved_size);
    packed_size = checked_add(packed_first_, pointwise_->packed_size);
    packed_backward_first_ = align_up(depthwise_->packed_backward_size);
    packed_backward_size = checked_add(packed_backward_first_, pointwise_->packed_backward_size);
    saved_size = checked_add(between_ + saved_first_, pointwise_->saved_size);
    scratch_size =
        checked_add(between_, std::max(depthwise_->scratch_size, pointwise_->scratch_size));
  }

  void pack(const PackArgs& a) const override {
    PackArgs part = a;
    for (part.task = 0; part.task < depthwise_->pack_tasks; ++part.task) depthwise_->pack(part);
    ++part.params;
    part.packed += a.backward ? packed_backward_first_ : packed_first_;
    for (part.task = 0; part.task < pointwise_->pack_tasks; ++part.task) pointwise_->pack(part);
  }

  void forward(const ForwardArgs& a) const override {
    float* const between = a.keep ? a.saved : a.scratch;
    ForwardArgs first = a;
    first.saved = a.saved + between_;
    first.scratch = a.scratch + between_;
    first.y = between;
    depthwise_->forward(first);
    const float* x[] = {between};
    ForwardArgs second = a;
    static_cast<StepArgs&>(second) = pointwise_args(a, x, packed_first_);
    pointwise_->forward(second);
  }

  void backward(const BackwardArgs& a) const override {
    float* const dbetween = a.scratch;
    const bool needed = a.dparams[0] || a.dx[0];
    const float* x[] = {a.saved};
    float* dx[] = {needed ? dbetween : nullptr};
    BackwardArgs second = a;
    static_cast<StepArgs&>(second) = pointwise_args(a, x, packed_backward_first_);
    second.dx = dx;
    second.dparams = a.dparams + 1;
    pointwise_->backward(second);
    if (!needed) return;
    BackwardArgs first = a;
    first.saved = a.saved + between_;
    first.scratch = a.scratch + between_;
    first.y = a.saved;
    first.dy = dbetween;
    depthwise_->backward(first);
  }

 private:
  StepArgs pointwise_args(const StepArgs& a, const float* const* x, std::int64_t packed) const {
    StepArgs p = a;
    p.x = x;
    p.params = a.params + 1;
    p.packed = a.packed + packed;
    p.saved = a.saved + between_ + saved_first_;
    p.scratch = a.scratch + between_;
    return p;
  }

  std::unique_ptr<Step> depthwise_, pointwise_;
  std::int64_t between_ = 0;  // floats of a block of the values between the two
  std::int64_t packed_first_ = 0, packed_backward_first_ = 0, saved_first_ = 0;
};

class SeparableConv2D final : public Op {
 public:
  SeparableConv2D(OpPtr depthwise, OpPtr pointwise)
      : depthwise_(std::move(depthwise)), pointwise_(std::move(pointwise)) {}
  const char* kind() const override { return "separable_conv2d"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    return pointwise_->output_shape({depthwise_->output_shape(in)});
  }

  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    std::vector<ParameterSpec> specs = depthwise_->parameters(in);
    specs[0].name = "depthwise_kernel";
    for (ParameterSpec& s : pointwise_->parameters({depthwise_->output_shape(in)})) {
      if (s.name == "kernel") s.name = "pointwise_kernel";
      specs.push_back(std::move(s));
    }
    return specs;
  }

  Cost cost(const std::vector<Shape>& in) const override {
    const Cost first = depthwise_->cost(in);
    Cost c = pointwise_->cost({depthwise_->output_shape(in)});
    c.macs = checked_add(c.macs, first.macs);
    c.connections = checked_add(c.connections, first.connections);
    return c;
  }

  bool supports(Layout layout) const override {
    return depthwise_->supports(layout) && pointwise_->supports(layout);
  }
  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    return std::make_unique<SeparableStep>(*depthwise_, *pointwise_, options);
  }

 private:
  OpPtr depthwise_, pointwise_;
};

}  // namespace

OpPtr separable_conv2d(SeparableConv2DOptions o) {
  o.depthwise.bias = false;
  o.depthwise.trainable = o.trainable;
  Conv2DOptions pointwise;
  pointwise.filters = o.filters;
  pointwise.bias = o.bias;
  pointwise.kernel_initializer = o.pointwise_initializer;
  pointwise.bias_initializer = o.bias_initializer;
  pointwise.trainable = o.trainable;
  return std::make_shared<SeparableConv2D>(depthwise_conv2d(std::move(o.depthwise)),
                                           conv2d(std::move(pointwise)));
}

}  // namespace striate
