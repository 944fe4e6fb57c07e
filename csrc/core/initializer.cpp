#include "striate/initializer.h"

namespace striate {

Initializer Initializer::constant(double value) {
  Initializer i;
  i.first = value;
  return i;
}

Initializer Initializer::uniform(double low, double high) {
  return {InitializerKind::kUniform, low, high, Fan::kAverage, false};
}

Initializer Initializer::normal_distribution(double mean, double stddev) {
  return {InitializerKind::kNormal, mean, stddev, Fan::kAverage, true};
}

Initializer Initializer::truncated_normal(double mean, double stddev) {
  return {InitializerKind::kTruncatedNormal, mean, stddev, Fan::kAverage, true};
}

Initializer Initializer::variance_scaling(double scale, Fan fan, bool normal) {
  return {InitializerKind::kVarianceScaling, scale, 0.0, fan, normal};
}

Initializer Initializer::fan_in_uniform(double limit) {
  return {InitializerKind::kFanInUniform, limit, 0.0, Fan::kIn, false};
}

}  // namespace striate
