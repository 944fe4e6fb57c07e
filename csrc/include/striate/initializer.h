#pragma once
// How a parameter begins. Values come from Philox keyed by (seed, parameter), so they are the same
// on every machine, from Python and from C++.
#include <string>

namespace striate {

enum class InitializerKind {
  kConstant,         // first
  kUniform,          // [first, second)
  kNormal,           // mean first, standard deviation second
  kTruncatedNormal,  // the same, redrawn beyond two standard deviations
  kVarianceScaling,  // variance first / fan, fan per `fan`, distribution per `normal`, `truncated`
  kFanInUniform,     // +-first / fan_in: LeCun et al. 1998, Appendix A, with first = 2.4
  // Columns orthonormal times first, where all axes but the last count as rows; rows are, where
  // there are fewer (Saxe et al. 2014). Of weights of at least two axes.
  kOrthogonal,
};

struct Initializer {
  enum class Fan { kIn, kOut, kAverage };
  InitializerKind kind = InitializerKind::kConstant;
  double first = 0.0;
  double second = 0.0;
  Fan fan = Fan::kAverage;
  bool normal = false;
  bool truncated = true;  // normal numbers are redrawn beyond two standard deviations
  // Of kernels: output c of the first so many as there are inputs is input c, by a one at the
  // kernel's centre among zeros (Zagoruyko and Komodakis, "DiracNets", 2017); the others are drawn.
  bool dirac = false;

  static Initializer constant(double value);
  static Initializer uniform(double low, double high);
  static Initializer normal_distribution(double mean, double stddev);
  static Initializer truncated_normal(double mean, double stddev);
  static Initializer variance_scaling(double scale, Fan fan, bool normal, bool truncated = true,
                                      bool dirac = false);
  static Initializer fan_in_uniform(double limit);
  static Initializer orthogonal(double gain = 1.0);
  static Initializer glorot_uniform() { return variance_scaling(1.0, Fan::kAverage, false); }
  static Initializer he_uniform() { return variance_scaling(2.0, Fan::kIn, false); }
  static Initializer he_normal() { return variance_scaling(2.0, Fan::kIn, true); }
};

}  // namespace striate
