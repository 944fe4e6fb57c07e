#include "ops/normalization.h"

#include <limits>

#include "striate/error.h"

namespace striate {

void check_normalization(const NormalizationOptions& o) {
  if (!(o.epsilon >= std::numeric_limits<float>::min() &&
        o.epsilon <= std::numeric_limits<float>::max()))
    throw ValueError("epsilon must be a number above 0, got " + std::to_string(o.epsilon));
}

std::vector<ParameterSpec> normalization_parameters(const NormalizationOptions& o,
                                                    const Shape& shape) {
  std::vector<ParameterSpec> specs;
  const auto add = [&](const char* name, const Initializer& initializer) {
    ParameterSpec s;
    s.name = name;
    s.shape = shape;
    s.initializer = initializer;
    s.trainable = o.trainable;
    s.fan_in = s.fan_out = s.count = shape.size();
    specs.push_back(std::move(s));
  };
  if (o.scale) add("gamma", o.gamma_initializer);
  if (o.center) add("beta", o.beta_initializer);
  return specs;
}

}  // namespace striate
