#include "striate/initializer.h"

namespace striate {

Initializer Initializer::constant(double value) {
  Initializer i;
  i.first = value;
  return i;
}

Initializer Initializer::uniform(double low, double high) {
  return {InitializerKind::kUniform, low, high, Fan::kAverage, false, true};
}

Initializer Initializer::normal_distribution(double mean, double stddev) {
  return {InitializerKind::kNormal, mean, stddev, Fan::kAverage, true, false};
}

Initializer Initializer::truncated_normal(double mean, double stddev) {
  return {InitializerKind::kTruncatedNormal, mean, stddev, Fan::kAverage, true, true};
}

Initializer Initializer::variance_scaling(double scale, Fan fan, bool normal, bool truncated,
                                          bool dirac) {
  return {InitializerKind::kVarianceScaling, scale, 0.0, fan, normal, truncated, dirac};
}

Initializer Initializer::fan_in_uniform(double limit) {
  return {InitializerKind::kFanInUniform, limit, 0.0, Fan::kIn, false, true};
}

Initializer Initializer::orthogonal(double gain) {
  return {InitializerKind::kOrthogonal, gain, 0.0, Fan::kAverage, true, false};
}

}  // namespace striate
