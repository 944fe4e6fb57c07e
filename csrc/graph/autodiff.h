#pragma once
// Reverse-mode differentiation of a program: which steps run backward, and what each is asked for.
// A step's backward is the op's own (ops/*.cpp, under its forward); this decides the order.
#include <vector>

#include "graph/lower.h"
#include "graph/parameters.h"

namespace striate {

struct BackwardStep {
  int step;                       // of Program::steps
  bool wants_parameters = false;  // some parameter is trainable
  // Another use of the same parameters has left its gradient before: this one adds.
  bool adds_parameters = false;
  std::vector<char> wants_input;  // by input: something before it needs the gradient
  std::vector<char> adds_input;   // by input: another reader's share is there already
  bool wants_any_input() const;
};

struct Differentiation {
  std::vector<BackwardStep> steps;  // in the order they run: last step first
  std::vector<char> loss_adds;      // by output: its gradient has another loss's share already
  std::vector<char> has_gradient;   // by value
};

struct DifferentiateOptions {
  bool parameters = false;      // gradients of the trainable parameters
  bool all_parameters = false;  // ... of the frozen ones too
  bool input_gradient = false;  // of the network's inputs
};

// Values that nothing trainable precedes, or that no loss follows, get no gradient.
Differentiation differentiate(const Program& program, const std::vector<OutputLoss>& losses,
                              const ParameterTable& parameters,
                              const DifferentiateOptions& options);

}  // namespace striate
