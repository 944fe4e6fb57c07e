#include "graph/autodiff.h"

#include <algorithm>
#include <set>

namespace striate {
namespace {

class Differentiator {
 public:
  Differentiator(const Program& program, const ParameterTable& parameters,
                 const DifferentiateOptions& options)
      : program_(program), parameters_(parameters), options_(options) {}

  Differentiation run(const std::vector<OutputLoss>& losses) {
    find_needs();
    result_.has_gradient.assign(program_.values.size(), 0);
    for (std::size_t k = 0; k < program_.outputs.size(); ++k) {
      const auto v = static_cast<std::size_t>(program_.outputs[k].value);
      result_.loss_adds.push_back(!losses[k].none && result_.has_gradient[v]);
      if (!losses[k].none && needs_[v]) result_.has_gradient[v] = 1;
    }
    for (std::size_t i = program_.steps.size(); i-- > 0;) add(i);
    return std::move(result_);
  }

 private:
  bool wants_parameters(const ProgramStep& s) const {
    if (s.node < 0 || !options_.parameters) return false;
    for (int p = 0; p < parameters_.count(s.node); ++p) {
      const Parameter& parameter =
          parameters_.all()[static_cast<std::size_t>(parameters_.first(s.node) + p)];
      if (options_.all_parameters || parameter.spec.trainable) return true;
    }
    return false;
  }

  // Forward: what a gradient would be of use to.
  void find_needs() {
    needs_.assign(program_.values.size(), 0);
    if (options_.input_gradient)
      for (int v : program_.inputs)
        if (v >= 0) needs_[static_cast<std::size_t>(v)] = 1;
    for (const ProgramStep& s : program_.steps) {
      bool any = wants_parameters(s);
      for (int v : s.inputs) any |= needs_[static_cast<std::size_t>(v)] != 0;
      needs_[static_cast<std::size_t>(s.output)] = any;
    }
  }

  // Backward: the step's output has a gradient; each input that needs one gets the step's share.
  void add(std::size_t i) {
    const ProgramStep& s = program_.steps[i];
    if (!result_.has_gradient[static_cast<std::size_t>(s.output)]) return;
    BackwardStep b;
    b.step = static_cast<int>(i);
    b.wants_parameters = wants_parameters(s);
    if (b.wants_parameters) b.adds_parameters = !written_.insert(parameters_.first(s.node)).second;
    for (int v : s.inputs) {
      const auto at = static_cast<std::size_t>(v);
      b.wants_input.push_back(needs_[at]);
      b.adds_input.push_back(needs_[at] && result_.has_gradient[at]);
      if (needs_[at]) result_.has_gradient[at] = 1;
    }
    result_.steps.push_back(std::move(b));
  }

  const Program& program_;
  const ParameterTable& parameters_;
  const DifferentiateOptions& options_;
  std::vector<char> needs_;  // by value
  std::set<int> written_;    // first parameters of the layers seen
  Differentiation result_;
};

}  // namespace

bool BackwardStep::wants_any_input() const {
  return std::find(wants_input.begin(), wants_input.end(), 1) != wants_input.end();
}

Differentiation differentiate(const Program& program, const std::vector<OutputLoss>& losses,
                              const ParameterTable& parameters,
                              const DifferentiateOptions& options) {
  return Differentiator(program, parameters, options).run(losses);
}

}  // namespace striate
