// Flatten: NHWC features in memory order. In either layout that is the same memory.
#include <cstring>

#include "ops/op.h"

namespace striate {
namespace {

class FlattenStep final : public Step {
 public:
  explicit FlattenStep(const StepOptions& o)
      : floats_(block_floats(o.inputs[0], o.layout, o.block_samples)) {
    forward_in_place = backward_in_place = true;
  }
  void forward(const ForwardArgs& a) const override { copy(a.x[0], a.y); }
  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) copy(a.dy, a.dx[0]);
  }

 private:
  void copy(const float* from, float* to) const {
    if (from != to) std::memcpy(to, from, static_cast<std::size_t>(floats_) * sizeof(float));
  }
  std::int64_t floats_;
};

class Flatten final : public Op {
 public:
  const char* kind() const override { return "flatten"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    return {single_input(in).size()};
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<FlattenStep>(o);
  }
};

}  // namespace

OpPtr flatten() { return std::make_shared<Flatten>(); }

}  // namespace striate
