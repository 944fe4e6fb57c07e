// Flatten and Reshape: the features in NHWC order under another shape. In either layout that is the
// same memory.
#include <cstring>

#include "core/checked.h"
#include "ops/op.h"

namespace striate {
namespace {

class ReshapeStep final : public Step {
 public:
  explicit ReshapeStep(const StepOptions& o)
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
    return std::make_unique<ReshapeStep>(o);
  }
};

std::string text(const std::vector<std::int64_t>& target) {
  std::string s = "(";
  for (std::size_t i = 0; i < target.size(); ++i) s += (i ? ", " : "") + std::to_string(target[i]);
  return s + (target.size() == 1 ? ",)" : ")");
}

class Reshape final : public Op {
 public:
  explicit Reshape(std::vector<std::int64_t> target) : target_(std::move(target)) {}
  const char* kind() const override { return "reshape"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = single_input(in);
    std::int64_t known = 1;
    for (std::int64_t e : target_)
      if (e != -1) known = checked_mul(known, e);
    std::vector<std::int64_t> out = target_;
    bool open = false;
    for (std::int64_t& e : out)
      if (e == -1) {
        open = true;
        e = s.size() / known;
      }
    if (open ? s.size() % known != 0 : s.size() != known)
      throw ShapeError("input " + s.str() + " has " + std::to_string(s.size()) +
                       " values a sample, target_shape " + text(target_) +
                       (open ? " wants a multiple of " : " wants ") + std::to_string(known));
    return Shape(std::move(out));
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<ReshapeStep>(o);
  }

 private:
  std::vector<std::int64_t> target_;
};

}  // namespace

OpPtr flatten() { return std::make_shared<Flatten>(); }

OpPtr reshape(std::vector<std::int64_t> target) {
  int open = 0;
  for (std::int64_t e : target) {
    if (e < 1 && e != -1)
      throw ValueError("target_shape is of positive numbers and at most one -1, got " +
                       text(target));
    open += e == -1;
  }
  if (open > 1) throw ValueError("target_shape leaves two sizes open: " + text(target));
  if (target.empty()) throw ValueError("target_shape is empty: a sample has at least one axis");
  return std::make_shared<Reshape>(std::move(target));
}

}  // namespace striate
