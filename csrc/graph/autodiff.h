#pragma once
// Reverse-mode differentiation of a program: which steps run backward, and what each is asked for.
// A step's backward is the op's own (ops/*.cpp, under its forward); this decides the order.
#include <vector>

#include "graph/lower.h"
#include "graph/parameters.h"

namespace striate {

struct BackwardStep {
  int step;                       // of Program::steps
  bool wants_parameters;          // some parameter is trainable
  std::vector<char> wants_input;  // by input: something before it needs the gradient
};

// In the order they run: last step first. Values that nothing trainable precedes get no gradient,
// unless the network's input gradient is asked for. Throws ValueError where a value that needs a
// gradient feeds two steps: gradients of shared values are not summed yet.
std::vector<BackwardStep> differentiate(const Program& program, const ParameterTable& parameters,
                                        bool all_parameters, bool input_gradient);

}  // namespace striate
