// Losses and their gradients, on rows of outputs. A block has few rows, so this is plain code: in
// double where a logarithm is taken, once a sample.
#include "ops/loss.h"

#include <algorithm>
#include <cmath>

#include "striate/error.h"

namespace striate {
namespace {

constexpr float kEpsilon = 1e-7f;  // Keras's clip of probabilities

float weight_of(const LossArgs& a, int n) { return a.weights ? a.weights[n] : 1.0f; }

// The first of equals wins, as numpy.argmax.
std::int64_t argmax(const float* row, std::int64_t k) {
  return std::max_element(row, row + k) - row;
}

}  // namespace

LossKind loss_kind(const std::string& name) {
  if (name == "sparse_categorical_crossentropy") return LossKind::kSparseCategoricalCrossentropy;
  if (name == "categorical_crossentropy") return LossKind::kCategoricalCrossentropy;
  if (name == "binary_crossentropy") return LossKind::kBinaryCrossentropy;
  if (name == "mean_squared_error") return LossKind::kMeanSquaredError;
  if (name == "map") return LossKind::kMap;
  throw ValueError("unknown loss \"" + name +
                   "\": sparse_categorical_crossentropy, categorical_crossentropy, "
                   "binary_crossentropy, mean_squared_error or map");
}

bool takes_labels(LossKind kind) {
  return kind == LossKind::kSparseCategoricalCrossentropy || kind == LossKind::kMap;
}

void Loss::run(LossArgs& a) const {
  a.loss = 0.0;
  a.correct = 0;
  switch (options_.kind) {
    case LossKind::kSparseCategoricalCrossentropy:
    case LossKind::kCategoricalCrossentropy:
      return categorical(a);
    case LossKind::kBinaryCrossentropy:
      return binary(a);
    case LossKind::kMeanSquaredError:
      return squared(a);
    case LossKind::kMap:
      return map(a);
  }
}

void Loss::categorical(LossArgs& a) const {
  const std::int64_t k = a.classes;
  const bool logits = fused_ || options_.from_logits;
  for (int n = 0; n < a.samples; ++n) {
    const float* z = a.outputs + n * k;
    CategoricalRow row{k, n, a.targets ? a.targets[n] : nullptr, 0, weight_of(a, n)};
    row.label = row.targets ? argmax(row.targets, k) : a.labels[n];
    a.correct += argmax(z, k) == row.label;
    if (logits)
      from_logits(a, row);
    else
      from_probabilities(a, row);
  }
}

// p = softmax(z), L = -sum t log p, dL/dz = p * sum(t) - t, d2L/dz2 ~ p (1 - p). The gradient's
// bits come from our own exp; libm's log enters the reported loss only.
void Loss::from_logits(LossArgs& a, const CategoricalRow& row) const {
  const std::int64_t k = row.classes;
  const float* z = a.outputs + row.sample * k;
  float* p = a.scratch + (fused_ ? row.sample * k : 0);
  const double peak = *std::max_element(z, z + k);
  double mass = 0.0, linear = 0.0;
  for (std::int64_t i = 0; i < k; ++i) {
    const double t = row.target(i);
    mass += t;
    if (t != 0.0) linear += t * (z[i] - peak);
  }
  kernels_.softmax(1, static_cast<std::int32_t>(k), z, p);
  // The largest p is exp(0) / total.
  const double log_total = -std::log(static_cast<double>(*std::max_element(p, p + k)));
  a.loss += row.weight * (mass * log_total - linear);
  if (!a.gradient) return;
  const float scale = row.weight * a.scale, m = static_cast<float>(mass);
  float* gradient = a.gradient + row.sample * k;
  for (std::int64_t i = 0; i < k; ++i)
    gradient[i] = scale * (a.order == 2 ? p[i] * (1.0f - p[i]) : p[i] * m - row.target(i));
}

// Probabilities that no softmax made: normalised and clipped as Keras does, so
// dL/dz_i = -t_i / z_i + sum(t) / sum(z), without the terms that the clip holds.
void Loss::from_probabilities(LossArgs& a, const CategoricalRow& row) const {
  const std::int64_t k = row.classes;
  const float* z = a.outputs + row.sample * k;
  double total = 0.0, mass = 0.0, loss = 0.0;
  for (std::int64_t i = 0; i < k; ++i) total += z[i];
  const auto clipped = [&](double p) { return !(p > kEpsilon && p < 1.0 - kEpsilon); };
  for (std::int64_t i = 0; i < k; ++i) {
    const double t = row.target(i), p = z[i] / total;
    if (t == 0.0) continue;
    loss -= t * std::log(std::clamp<double>(p, kEpsilon, 1.0 - kEpsilon));
    if (!clipped(p)) mass += t;
  }
  a.loss += row.weight * loss;
  if (!a.gradient) return;
  float* gradient = a.gradient + row.sample * k;
  for (std::int64_t i = 0; i < k; ++i) {
    const double t = row.target(i);
    const bool held = clipped(z[i] / total);
    double g;
    if (a.order == 2)
      g = held ? 0.0 : t / (static_cast<double>(z[i]) * z[i]);
    else
      g = mass / total - (held ? 0.0 : t / z[i]);
    gradient[i] = static_cast<float>(row.weight * a.scale * g);
  }
}

// L = mean_i -(t log p + (1 - t) log(1 - p)), p = sigmoid(z) from logits.
void Loss::binary(LossArgs& a) const {
  const std::int64_t k = a.classes;
  for (int n = 0; n < a.samples; ++n) {
    const float* z = a.outputs + n * k;
    const float* t = a.targets[n];
    const float w = weight_of(a, n);
    double loss = 0.0;
    bool right = true;
    for (std::int64_t i = 0; i < k; ++i) {
      const double x = z[i], y = t[i];
      right &= (x > (options_.from_logits ? 0.0 : 0.5)) == (y > 0.5);
      double g, p;
      if (options_.from_logits) {
        p = 1.0 / (1.0 + std::exp(-x));
        loss += std::max(x, 0.0) - x * y + std::log1p(std::exp(-std::abs(x)));
        g = a.order == 2 ? p * (1.0 - p) : p - y;
      } else {
        p = std::clamp<double>(x, kEpsilon, 1.0 - kEpsilon);
        loss -= y * std::log(p) + (1.0 - y) * std::log(1.0 - p);
        const bool clipped = x != p;
        g = clipped ? 0.0 : a.order == 2 ? 1.0 / (p * (1.0 - p)) : (p - y) / (p * (1.0 - p));
      }
      if (a.gradient)
        a.gradient[n * k + i] = static_cast<float>(w * a.scale * g / static_cast<double>(k));
    }
    a.loss += w * loss / static_cast<double>(k);
    a.correct += right;
  }
}

// L = mean_i (y - t)^2. Counted right where the largest output is the largest target.
void Loss::squared(LossArgs& a) const {
  const std::int64_t k = a.classes;
  const float scale = 2.0f * a.scale / static_cast<float>(k);
  for (int n = 0; n < a.samples; ++n) {
    const float* y = a.outputs + n * k;
    const float* t = a.targets[n];
    const float w = weight_of(a, n);
    double loss = 0.0;
    for (std::int64_t i = 0; i < k; ++i) {
      const float d = y[i] - t[i];
      loss += static_cast<double>(d) * d;
      if (a.gradient) a.gradient[n * k + i] = w * scale * (a.order == 2 ? 1.0f : d);
    }
    a.loss += w * loss / static_cast<double>(k);
    a.correct += argmax(y, k) == argmax(t, k);
  }
}

// Eq. 9. dL/dy_i = [i = D] - exp(-y_i) / (exp(-j) + sum exp(-y)). The second order starts, as the
// paper's Appendix C does, from the first term alone: d2/dx2 of y_D is the RBF's 2.
void Loss::map(LossArgs& a) const {
  const std::int64_t k = a.classes;
  for (int n = 0; n < a.samples; ++n) {
    const float* y = a.outputs + n * k;
    const float w = weight_of(a, n);
    const double least = std::min<double>(*std::min_element(y, y + k), options_.j);
    double total = std::exp(least - options_.j);
    for (std::int64_t i = 0; i < k; ++i) total += std::exp(least - y[i]);
    a.loss += w * (y[a.labels[n]] + std::log(total) - least);
    a.correct += std::min_element(y, y + k) - y == a.labels[n];
    if (!a.gradient) continue;
    for (std::int64_t i = 0; i < k; ++i) {
      const double own = i == a.labels[n] ? 1.0 : 0.0;
      const double g = a.order == 2 ? own : own - std::exp(least - y[i]) / total;
      a.gradient[n * k + i] = static_cast<float>(w * a.scale * g);
    }
  }
}

}  // namespace striate
