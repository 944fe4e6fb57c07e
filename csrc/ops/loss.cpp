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

// From logits z: p = softmax(z), L = -sum t log p, dL/dz = p * sum(t) - t, d2L/dz2 ~ p (1 - p).
// From probabilities that no softmax made: p is normalised and clipped as Keras does.
void Loss::categorical(LossArgs& a) const {
  const std::int64_t k = a.classes;
  const bool logits = fused_ || options_.from_logits;
  for (int n = 0; n < a.samples; ++n) {
    float* z = a.outputs + n * k;
    const float* t = a.targets ? a.targets[n] : nullptr;
    const std::int64_t label = t ? argmax(t, k) : a.labels[n];
    a.correct += argmax(z, k) == label;
    const float w = weight_of(a, n), scale = w * a.scale;
    const auto target = [&](std::int64_t i) { return t ? t[i] : static_cast<float>(i == label); };
    const double peak = *std::max_element(z, z + k);
    double total = 0.0, loss = 0.0, mass = 0.0, dot = 0.0;
    for (std::int64_t i = 0; i < k; ++i) {
      total += logits ? std::exp(z[i] - peak) : z[i];
      mass += target(i);
    }
    for (std::int64_t i = 0; i < k; ++i) {
      if (target(i) == 0.0f) continue;
      const double p = std::clamp<double>(z[i] / total, kEpsilon, 1.0 - kEpsilon);
      loss -= target(i) * (logits ? z[i] - peak - std::log(total) : std::log(p));
      dot += target(i);
    }
    a.loss += w * loss;
    for (std::int64_t i = 0; i < k; ++i) {
      const double p = logits ? std::exp(z[i] - peak) / total : z[i] / total;
      if (a.gradient) {
        double g;
        if (a.order == 2)
          g = logits ? p * (1.0 - p) : target(i) / std::max<double>(p * p, kEpsilon);
        else if (logits)
          g = p * mass - target(i);
        else  // d(-sum t log(z / sum z)) / dz, zero where the clip holds
          g = (p > kEpsilon && p < 1.0 - kEpsilon ? -target(i) / z[i] : 0.0) + dot / total;
        a.gradient[n * k + i] = static_cast<float>(scale * g);
      }
      if (fused_) z[i] = static_cast<float>(p);
    }
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
        a.gradient[n * k + i] =
            static_cast<float>(w * a.scale * g / static_cast<double>(k));
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
