#pragma once
// Losses. The batch's loss is the mean over its samples of (sample weight) * (sample's loss).
//
// Outputs may have any rank. Those of a categorical loss are classes along the last axis, at each
// position of the axes before it: an image of classes [H, W, K] takes labels [N, H, W] and its loss
// is the mean over the positions. Every other loss is the mean over all outputs of a sample.
#include <string>

namespace striate {

enum class LossKind {
  kSparseCategoricalCrossentropy,  // integer labels [N, ...]
  kCategoricalCrossentropy,        // probabilities [N, ..., K]
  kBinaryCrossentropy,             // targets in [0, 1], of the output's shape
  kMeanSquaredError,
  // LeNet-5's (LeCun et al. 1998, eq. 9) on penalties y [N, K], integer labels [N]:
  // y_D + log(exp(-j) + sum_i exp(-y_i)). A sample's class is its smallest penalty.
  kMap,
  kMeanAbsoluteError,
  kHuber,         // e^2 / 2 up to |e| = delta, then delta * |e| - delta^2 / 2 (Huber 1964)
  kHinge,         // max(1 - t * y, 0), targets -1 and 1
  kKlDivergence,  // categorical: sum over K of t * log(t / y), both clipped to [1e-7, 1]
};

struct LossOptions {
  LossKind kind = LossKind::kSparseCategoricalCrossentropy;
  // Cross-entropies: the network's outputs are logits. Otherwise they are probabilities; where
  // they come straight from a softmax the pair is fused and computed from the logits all the same.
  bool from_logits = false;
  double j = 0.1;  // kMap; the paper does not give it
  // Cross-entropies, in [0, 1]: targets t become t * (1 - label_smoothing) + label_smoothing / K
  // (Szegedy et al. 2016), or + label_smoothing / 2 of binary ones.
  double label_smoothing = 0.0;
  double delta = 1.0;  // kHuber
};

// What one output of a network is trained on.
struct OutputLoss {
  LossOptions options;
  double weight = 1.0;  // in the sum over outputs that is trained on
  bool none = false;    // an output without a loss
};

LossKind loss_kind(const std::string& name);  // ValueError, listing the names
bool takes_labels(LossKind kind);             // integers; otherwise targets

}  // namespace striate
