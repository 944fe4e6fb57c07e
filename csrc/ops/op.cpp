#include "ops/op.h"

#include "core/checked.h"

namespace striate {

void Step::pack(const PackArgs&) const {}
void Step::gather(const ForwardArgs&, float*) const {}
void Step::meet(const MeetArgs&) const {}
void Step::gather_backward(const BackwardArgs&, float*) const {}
void Step::meet_backward(const MeetArgs&) const {}
void Step::commit(const float*, float* const*) const {}
void Step::forward_task(const ForwardArgs&, int) const {}
void Step::backward_task(const BackwardArgs&, int) const {}
void Step::gradient_task(const BackwardArgs&, int) const {}
void Step::gradient_sum(const BackwardArgs&, int) const {}

std::vector<ParameterSpec> Op::parameters(const std::vector<Shape>&) const { return {}; }
Cost Op::cost(const std::vector<Shape>&) const { return {}; }
bool Op::takes_add(const std::vector<Shape>&) const { return false; }
void Op::fold(std::int64_t, const float* const*, float*, float*) const {}

const Shape& single_input(const std::vector<Shape>& inputs) {
  if (inputs.size() != 1) throw ShapeError("takes one input, got " + std::to_string(inputs.size()));
  return inputs[0];
}

const Shape& image_input(const std::vector<Shape>& inputs) {
  const Shape& s = single_input(inputs);
  if (s.rank() != 3)
    throw ShapeError("input is " + s.str() + ", expected an image (height, width, channels)" +
                     (s.rank() == 1 ? ": does it come after Flatten?" : ""));
  return s;
}

}  // namespace striate
