#pragma once
// From the summed gradient of a batch to new weights, in Keras 3's order: regularizers, gradient
// accumulation, clipping, weight decay and optimizer, moving average of the weights.
//
// Work goes chunk by chunk, a chunk being floats of one parameter that stay in L1, and in up to two
// phases. gather() takes a chunk as far as it goes by itself. Where gradients are clipped by their
// norm, the chunks then meet, find_scales() sums what they left, and apply() does the rest;
// otherwise apply() may follow gather() at once. Which thread takes which chunk is free: chunks
// write disjoint memory, and sums across them are taken in chunk order.
#include <cstdint>
#include <string>
#include <vector>

#include "core/storage.h"
#include "kernels/kernels.h"
#include "striate/optimizer.h"
#include "train/optimizer.h"
#include "train/orthogonal_step.h"

namespace striate {

// What a parameter asks of training, whatever the optimizer.
struct ParameterRule {
  double l1 = 0.0, l2 = 0.0;  // the loss has l1 * sum |w| + l2 * sum w^2 on top
  bool weight_decay = true;   // the optimizer's weight decay is for it too
  float rate = 1.0f;          // its learning rate over the optimizer's
  bool orthogonal = false;    // Muon moves it as a matrix of so many rows and outputs
  std::int64_t rows = 0, outputs = 0;
  bool regularized() const { return l1 != 0.0 || l2 != 0.0; }
};

struct GradientChunk {
  std::int64_t begin, n;  // of the flat buffers
  std::size_t parameter;
};

// Adds the gradient of the chunk's penalty to `gradient` (n floats; null: no gradient is wanted)
// and returns the penalty. weights: the flat buffer.
double regularize(const ParameterRule& rule, const GradientChunk& chunk, const float* weights,
                  float* gradient, const KernelTable& kernels);

class GradientUpdate {
 public:
  // Throws ValueError where an option is out of its domain.
  GradientUpdate(const OptimizerOptions& options, const KernelTable& kernels);

  // The network's own, by the flat buffers' layout.
  struct Target {
    float* weights;
    std::int64_t floats;
    const float* curvature;                    // sdlm's h
    const std::vector<ParameterRule>* rules;   // by parameter
    const std::vector<GradientChunk>* chunks;  // of the trainable parameters
  };
  // Before a batch, outside the parallel region. `batch`: how many batches came before. Nothing
  // else changes until gather(). Throws ValueError where ema_schedule leaves [0, 1].
  void begin(double learning_rate, std::int64_t batch, const Target& target);
  // Between begin() and the first gather(), outside the parallel region: allocates the slots that
  // are missing.
  bool lacks_slots() const { return !has_slots_; }
  void make_slots();
  // gradient: the chunk's n floats, summed over the batch; changed in place.
  void gather(std::size_t chunk, float* gradient);
  bool needs_scales() const;  // whether all chunks must be gathered before the first apply()
  void find_scales();
  // Of a matrix that Muon moves, only the momentum; the rest is apply_matrices'.
  void apply(std::size_t chunk, float* gradient);
  // After all chunks were applied, by the whole team. gradient_of: a parameter's, as apply left it.
  bool has_matrices() const { return !matrices_.empty(); }
  void apply_matrices(Team& team, FunctionRef<float*(const GradientChunk&)> gradient_of);
  double penalty() const;  // of the weights before the update; once all chunks are gathered

  const OptimizerOptions& options() const { return options_; }

  // Slots: flat buffers that the next step depends on, the optimizer's first. Empty before the
  // first step.
  std::vector<std::string> slot_names() const;
  std::vector<Optimizer::Slot*> slots();
  void set_slots(std::vector<Optimizer::Slot> slots);  // in the order of slot_names()
  // The moving average of the weights; null before the first step or without use_ema.
  float* average() { return average_.values.data(); }

 private:
  OptimizerOptions options_;
  const KernelTable& kernels_;
  Optimizer optimizer_;
  Optimizer::Slot accumulator_{"gradient_accumulator", Storage()};
  Optimizer::Slot average_{"average", Storage()};
  Target target_{};
  bool has_slots_ = false;
  bool updates_ = true;            // this batch ends in an update
  bool first_ = false;             // ... and it is the first
  bool overwrites_ = false;        // ... after which the weights become their average
  float ema_momentum_ = 0.0f;      // ... which takes in the weights so
  std::vector<double> penalties_;  // by chunk
  std::vector<double> sums_;       // of squared gradients, by chunk
  std::vector<float> scales_;      // by parameter, or one for all
  struct MatrixChunks {
    std::size_t first, end;  // of a parameter that moves as a matrix
  };
  void find_matrices();
  void average_weights(const GradientChunk& chunk);
  OrthogonalStep orthogonal_;
  std::vector<MatrixChunks> matrices_;
  std::vector<double> momenta_, weights_;  // sums of squares, by chunk
};

}  // namespace striate
