#include "ops/op.h"

#include "core/checked.h"

namespace striate {

void Step::pack(const float* const*, float*, bool) const {}

std::vector<ParameterSpec> Op::parameters(const std::vector<Shape>&) const { return {}; }
Cost Op::cost(const std::vector<Shape>&) const { return {}; }

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
