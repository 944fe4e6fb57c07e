// Losses and their gradients, on rows of outputs. A block has few rows, so this is plain code: in
// double where a logarithm is taken, once a sample.
#include "ops/loss.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "striate/error.h"

namespace striate {
namespace {

constexpr float kEpsilon = 1e-7f;  // Keras's clip of probabilities

float weight_of(const LossArgs& a, int n) { return a.weights ? a.weights[n] : 1.0f; }
std::int64_t outputs_of(const LossArgs& a) { return a.positions * a.classes; }

// The first of equals wins, as numpy.argmax.
std::int64_t argmax(const float* row, std::int64_t k) {
  return std::max_element(row, row + k) - row;
}

constexpr std::pair<const char*, LossKind> kNames[] = {
    {"sparse_categorical_crossentropy", LossKind::kSparseCategoricalCrossentropy},
    {"categorical_crossentropy", LossKind::kCategoricalCrossentropy},
    {"binary_crossentropy", LossKind::kBinaryCrossentropy},
    {"mean_squared_error", LossKind::kMeanSquaredError},
    {"mean_absolute_error", LossKind::kMeanAbsoluteError},
    {"huber", LossKind::kHuber},
    {"hinge", LossKind::kHinge},
    {"kl_divergence", LossKind::kKlDivergence},
    {"map", LossKind::kMap},
};

// What one output y with target t adds to a sample's mean: its loss, and the first or second
// derivative (of the Gauss-Newton kind: of the loss's own curvature).
struct Term {
  double loss;
  float slope;
};

Term squared(float y, float t, int order) {
  const float d = y - t;
  return {static_cast<double>(d) * d, order == 2 ? 2.0f : 2.0f * d};
}

Term absolute(float y, float t, int order) {
  const float d = y - t;
  return {std::abs(d), order == 2 || d == 0.0f ? 0.0f : std::copysign(1.0f, d)};
}

Term huber(float y, float t, int order, float delta) {
  const float d = y - t;
  if (std::abs(d) <= delta) return {0.5 * d * d, order == 2 ? 1.0f : d};
  return {delta * (static_cast<double>(std::abs(d)) - 0.5 * delta),
          order == 2 ? 0.0f : std::copysign(delta, d)};
}

Term hinge(float y, float t, int order) {
  const double room = 1.0 - static_cast<double>(t) * y;
  if (room <= 0.0) return {0.0, 0.0f};
  return {room, order == 2 ? 0.0f : -t};
}

}  // namespace

LossKind loss_kind(const std::string& name) {
  std::string known;
  for (const auto& [kind_name, kind] : kNames) {
    if (name == kind_name) return kind;
    known += (known.empty() ? "" : ", ") + std::string(kind_name);
  }
  throw ValueError("unknown loss \"" + name + "\": there are " + known);
}

bool takes_labels(LossKind kind) {
  return kind == LossKind::kSparseCategoricalCrossentropy || kind == LossKind::kMap;
}

void check_loss(const LossOptions& o, const Shape& output) {
  const auto require = [](bool ok, const char* rule, double value) {
    if (!ok) throw ValueError(std::string("loss: ") + rule + ", got " + std::to_string(value));
  };
  require(o.label_smoothing >= 0.0 && o.label_smoothing <= 1.0, "label_smoothing must be in [0, 1]",
          o.label_smoothing);
  require(std::isfinite(o.delta) && o.delta > 0.0, "delta must be finite and positive", o.delta);
  require(std::isfinite(o.j), "j must be finite", o.j);
  if (o.kind == LossKind::kMap && output.rank() != 1)
    throw ShapeError("the output is " + output.str() +
                     ", this loss takes a vector of distances: is a Flatten missing?");
}

void Loss::run(LossArgs& a) const {
  a.loss = 0.0;
  a.correct = 0;
  const auto delta = static_cast<float>(options_.delta);
  switch (options_.kind) {
    case LossKind::kSparseCategoricalCrossentropy:
    case LossKind::kCategoricalCrossentropy:
      return categorical(a);
    case LossKind::kBinaryCrossentropy:
      return binary(a);
    case LossKind::kMeanSquaredError:
      return elementwise(a, squared);
    case LossKind::kMeanAbsoluteError:
      return elementwise(a, absolute);
    case LossKind::kHuber:
      return elementwise(a, [=](float y, float t, int order) { return huber(y, t, order, delta); });
    case LossKind::kHinge:
      return elementwise(a, hinge);
    case LossKind::kKlDivergence:
      return divergence(a);
    case LossKind::kMap:
      return map(a);
  }
}

template <typename Each>
void Loss::rows(LossArgs& a, Each each) const {
  const auto smoothing = static_cast<float>(options_.label_smoothing);
  CategoricalRow row{};
  row.classes = a.classes;
  row.keep = 1.0f - smoothing;
  row.share = smoothing / static_cast<float>(a.classes);
  for (int n = 0; n < a.samples; ++n) {
    row.weight = weight_of(a, n) / static_cast<float>(a.positions);
    for (std::int64_t p = 0; p < a.positions; ++p, ++row.index) {
      const float* z = a.outputs + row.index * a.classes;
      row.targets = a.targets ? a.targets[n] + p * a.classes : nullptr;
      row.label = row.targets ? argmax(row.targets, a.classes) : a.labels[n][p];
      a.correct += argmax(z, a.classes) == row.label;
      each(row, z);
    }
  }
}

void Loss::categorical(LossArgs& a) const {
  const bool logits = fused_ || options_.from_logits;
  rows(a, [&](const CategoricalRow& row, const float*) {
    if (logits)
      from_logits(a, row);
    else
      from_probabilities(a, row);
  });
}

// p = softmax(z), L = -sum t log p, dL/dz = p * sum(t) - t, d2L/dz2 ~ p (1 - p). The gradient's
// bits come from our own exp; libm's log enters the reported loss only.
void Loss::from_logits(LossArgs& a, const CategoricalRow& row) const {
  const std::int64_t k = row.classes;
  const float* z = a.outputs + row.index * k;
  float* p = a.scratch + (fused_ ? row.index * k : 0);
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
  float* gradient = a.gradient + row.index * k;
  for (std::int64_t i = 0; i < k; ++i)
    gradient[i] = scale * (a.order == 2 ? p[i] * (1.0f - p[i]) : p[i] * m - row.target(i));
}

// Probabilities that no softmax made: normalised and clipped as Keras does, so
// dL/dz_i = -t_i / z_i + sum(t) / sum(z), without the terms that the clip holds.
void Loss::from_probabilities(LossArgs& a, const CategoricalRow& row) const {
  const std::int64_t k = row.classes;
  const float* z = a.outputs + row.index * k;
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
  float* gradient = a.gradient + row.index * k;
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

// L = sum t log(t / y); the clips hold what they clip.
void Loss::divergence(LossArgs& a) const {
  const std::int64_t k = a.classes;
  rows(a, [&](const CategoricalRow& row, const float* y) {
    double loss = 0.0;
    for (std::int64_t i = 0; i < k; ++i) {
      const double t = std::clamp<double>(row.targets[i], kEpsilon, 1.0);
      const double p = std::clamp<double>(y[i], kEpsilon, 1.0);
      loss += t * std::log(t / p);
      if (!a.gradient) continue;
      const double slope = y[i] != p ? 0.0 : a.order == 2 ? t / (p * p) : -t / p;
      a.gradient[row.index * k + i] = static_cast<float>(row.weight * a.scale * slope);
    }
    a.loss += row.weight * loss;
  });
}

// L = mean_i -(t log p + (1 - t) log(1 - p)), p = sigmoid(z) from logits.
void Loss::binary(LossArgs& a) const {
  const std::int64_t k = outputs_of(a);
  const double keep = 1.0 - options_.label_smoothing, share = 0.5 * options_.label_smoothing;
  for (int n = 0; n < a.samples; ++n) {
    const float* z = a.outputs + n * k;
    const float* t = a.targets[n];
    const float w = weight_of(a, n);
    double loss = 0.0;
    bool right = true;
    for (std::int64_t i = 0; i < k; ++i) {
      const double x = z[i], y = t[i] * keep + share;
      right &= (x > (options_.from_logits ? 0.0 : 0.5)) == (t[i] > 0.5f);
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

// L = mean_i each(y_i, t_i). Counted right where the largest output is the largest target.
template <typename Each>
void Loss::elementwise(LossArgs& a, Each each) const {
  const std::int64_t k = outputs_of(a);
  const float scale = a.scale / static_cast<float>(k);
  for (int n = 0; n < a.samples; ++n) {
    const float* y = a.outputs + n * k;
    const float* t = a.targets[n];
    const float w = weight_of(a, n);
    double loss = 0.0;
    for (std::int64_t i = 0; i < k; ++i) {
      const Term term = each(y[i], t[i], a.order);
      loss += term.loss;
      if (a.gradient) a.gradient[n * k + i] = w * scale * term.slope;
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
    const std::int64_t label = *a.labels[n];
    a.loss += w * (y[label] + std::log(total) - least);
    a.correct += std::min_element(y, y + k) - y == label;
    if (!a.gradient) continue;
    for (std::int64_t i = 0; i < k; ++i) {
      const double own = i == label ? 1.0 : 0.0;
      const double g = a.order == 2 ? own : own - std::exp(least - y[i]) / total;
      a.gradient[n * k + i] = static_cast<float>(w * a.scale * g);
    }
  }
}

}  // namespace striate
