#pragma once
// What layer and group normalisation share.
#include <vector>

#include "ops/op.h"

namespace striate {

// ValueError unless epsilon is a positive number.
void check_normalization(const NormalizationOptions& options);

// gamma and beta, as far as the options ask for them, each of this shape.
std::vector<ParameterSpec> normalization_parameters(const NormalizationOptions& options,
                                                    const Shape& shape);

// Where gamma and beta stand among the parameters.
struct ScaleAndCenter {
  bool scale, center;

  const float* gamma(const float* const* params) const { return scale ? params[0] : nullptr; }
  const float* beta(const float* const* params) const { return center ? params[scale] : nullptr; }
  float* dgamma(float* const* dparams) const { return scale ? dparams[0] : nullptr; }
  float* dbeta(float* const* dparams) const { return center ? dparams[scale] : nullptr; }
};

}  // namespace striate
