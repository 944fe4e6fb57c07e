#include "graph/autodiff.h"

#include <algorithm>

#include "striate/error.h"

namespace striate {

std::vector<BackwardStep> differentiate(const Program& program, const ParameterTable& parameters,
                                        bool all_parameters, bool input_gradient) {
  std::vector<bool> needs(program.values.size(), false);
  needs[0] = input_gradient;
  std::vector<int> uses(program.values.size(), 0);
  std::vector<BackwardStep> backward;
  for (std::size_t i = 0; i < program.steps.size(); ++i) {
    const ProgramStep& s = program.steps[i];
    BackwardStep b{static_cast<int>(i), false, {}};
    if (s.node >= 0)
      for (int p = 0; p < parameters.count(s.node); ++p) {
        const auto at = static_cast<std::size_t>(parameters.first(s.node) + p);
        b.wants_parameters |= all_parameters || parameters.all()[at].spec.trainable;
      }
    bool any = b.wants_parameters;
    for (int v : s.inputs) {
      const bool need = needs[static_cast<std::size_t>(v)];
      b.wants_input.push_back(need);
      any |= need;
      if (need && ++uses[static_cast<std::size_t>(v)] > 1)
        throw ValueError("a value feeds two layers: gradients of shared values are not summed yet");
    }
    needs[static_cast<std::size_t>(s.output)] = any;
    if (any) backward.push_back(std::move(b));
  }
  std::reverse(backward.begin(), backward.end());
  return backward;
}

}  // namespace striate
