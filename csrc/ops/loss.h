#pragma once
// What a loss does to one block of output rows.
#include <cstdint>

#include "kernels/kernels.h"
#include "striate/loss.h"
#include "striate/shape.h"

namespace striate {

// ValueError for an option out of its domain, ShapeError for an output that the loss does not take.
void check_loss(const LossOptions& options, const Shape& output);

// A sample's outputs as rows of classes: the last axis, at each position of the others.
inline std::int64_t loss_classes(const Shape& output) {
  return output.rank() == 0 ? 1 : output[output.rank() - 1];
}
inline std::int64_t loss_positions(const Shape& output) {
  return output.size() / loss_classes(output);
}

struct LossArgs {
  int samples = 0;
  std::int64_t positions = 1;                   // rows a sample
  std::int64_t classes = 0;                     // outputs a row
  const float* outputs = nullptr;               // [n][positions][K]
  const std::int64_t* const* labels = nullptr;  // [n] rows of positions
  const float* const* targets = nullptr;        // [n] rows of positions * K
  const float* weights = nullptr;               // [n]; null: all 1
  float scale = 1.0f;                           // 1 / batch
  // dL/d(outputs), of the logits where fused; order 2: the Gauss-Newton diagonal. Null: not asked.
  float* gradient = nullptr;
  int order = 1;
  // [K]; fused: [n][positions][K], where the probabilities are left
  float* scratch = nullptr;
  double loss = 0.0;         // out: sum over the block of weight * loss
  std::int64_t correct = 0;  // out: rows classified right; samples, where a loss has no classes
};

class Loss {
 public:
  // `fused`: outputs are the logits of a softmax that the plan took out of the graph.
  Loss(const LossOptions& options, bool fused, const KernelTable& kernels)
      : options_(options), fused_(fused), kernels_(kernels) {}
  void run(LossArgs& args) const;

 private:
  struct CategoricalRow {
    std::int64_t classes, index;  // index: of the block's rows
    const float* targets;         // null: one-hot at label
    std::int64_t label;
    float weight;       // of the sample, over its positions
    float keep, share;  // label smoothing
    float target(std::int64_t i) const {
      return (targets ? targets[i] : i == label ? 1.0f : 0.0f) * keep + share;
    }
  };
  template <typename Each>
  void rows(LossArgs& args, Each each) const;
  template <typename Each>
  void elementwise(LossArgs& args, Each each) const;
  void categorical(LossArgs& args) const;
  void from_logits(LossArgs& args, const CategoricalRow& row) const;
  void from_probabilities(LossArgs& args, const CategoricalRow& row) const;
  void divergence(LossArgs& args) const;
  void binary(LossArgs& args) const;
  void map(LossArgs& args) const;
  LossOptions options_;
  bool fused_;
  const KernelTable& kernels_;
};

}  // namespace striate
