#pragma once
// Losses. The batch's loss is the mean over its samples of (sample weight) * (sample's loss).
#include <string>

namespace striate {

enum class LossKind {
  kSparseCategoricalCrossentropy,  // integer labels [N]
  kCategoricalCrossentropy,        // probabilities [N, K]
  kBinaryCrossentropy,             // targets in [0, 1], [N, K]; mean over K
  kMeanSquaredError,               // targets [N, K]; mean over K
  // LeNet-5's (LeCun et al. 1998, eq. 9) on penalties y, integer labels [N]:
  // y_D + log(exp(-j) + sum_i exp(-y_i)). A sample's class is its smallest penalty.
  kMap,
};

struct LossOptions {
  LossKind kind = LossKind::kSparseCategoricalCrossentropy;
  // Cross-entropies: the network's outputs are logits. Otherwise they are probabilities; where
  // they come straight from a softmax the pair is fused and computed from the logits all the same.
  bool from_logits = false;
  double j = 0.1;  // kMap; the paper does not give it
};

// What one output of a network is trained on.
struct OutputLoss {
  LossOptions options;
  double weight = 1.0;  // in the sum over outputs that is trained on
  bool none = false;    // an output without a loss
};

LossKind loss_kind(const std::string& name);  // ValueError, listing the names
bool takes_labels(LossKind kind);             // integers [N]; otherwise targets [N, K]

}  // namespace striate
