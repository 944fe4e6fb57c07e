#pragma once
// What a loss does to one block of output rows.
#include <cstdint>

#include "kernels/kernels.h"
#include "striate/loss.h"

namespace striate {

struct LossArgs {
  int samples = 0;
  std::int64_t classes = 0;
  const float* outputs = nullptr;         // [n][K]
  const std::int64_t* labels = nullptr;   // [n]
  const float* const* targets = nullptr;  // [n] rows of K
  const float* weights = nullptr;         // [n]; null: all 1
  float scale = 1.0f;                     // 1 / batch
  // dL/d(outputs), of the logits where fused; order 2: the Gauss-Newton diagonal. Null: not asked.
  float* gradient = nullptr;
  int order = 1;
  float* scratch = nullptr;  // [K]; fused: [n][K], where the probabilities are left
  double loss = 0.0;         // out: sum over the block of weight * loss
  std::int64_t correct = 0;  // out: samples classified right
};

class Loss {
 public:
  // `fused`: outputs are the logits of a softmax that the plan took out of the graph.
  Loss(const LossOptions& options, bool fused, const KernelTable& kernels)
      : options_(options), fused_(fused), kernels_(kernels) {}
  void run(LossArgs& args) const;

 private:
  struct CategoricalRow {
    std::int64_t classes;
    int sample;
    const float* targets;  // null: one-hot at label
    std::int64_t label;
    float weight;
    float target(std::int64_t i) const { return targets ? targets[i] : (i == label ? 1.0f : 0.0f); }
  };
  void categorical(LossArgs& args) const;
  void from_logits(LossArgs& args, const CategoricalRow& row) const;
  void from_probabilities(LossArgs& args, const CategoricalRow& row) const;
  void binary(LossArgs& args) const;
  void squared(LossArgs& args) const;
  void map(LossArgs& args) const;
  LossOptions options_;
  bool fused_;
  const KernelTable& kernels_;
};

}  // namespace striate
