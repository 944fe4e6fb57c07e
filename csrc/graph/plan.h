#pragma once
// What runs where, in which memory: a program bound to a kernel table, with its backward steps,
// block size, layouts and arena. A plan depends on shapes, the ISA and the batch's size class
// alone, never on the number of threads: that is half of why results do not either.
#include <cstdint>
#include <memory>
#include <vector>

#include "graph/autodiff.h"
#include "graph/lower.h"
#include "graph/parameters.h"
#include "ops/loss.h"

namespace striate {

// How a batch is cut. A block goes through the whole network on one thread; a shard is a run of
// blocks whose weight gradients add up in one buffer, in order.
struct Blocking {
  Layout layout;
  int block_samples;
};
// Samples in lanes where the batch fills them and 16 samples' activations stay near the L2 cache;
// otherwise channels in lanes with as many samples a block as do.
Blocking choose_blocking(const Graph& graph, ValueId output, std::int64_t batch);
std::int64_t shard_count(std::int64_t blocks, std::int64_t parameter_floats);

constexpr std::size_t kMaxStepInputs = 8;  // an executor's pointers to them live on its stack

struct PlanOptions {
  bool training = false;        // forward as in training (dropout)
  bool backward = false;        // gradients of the trainable parameters
  bool all_parameters = false;  // ... of the frozen ones too
  bool input_gradient = false;
  const LossOptions* loss = nullptr;  // null: prediction
  Blocking blocking{};
};

struct PlannedStep {
  std::unique_ptr<Step> step;
  int node;
  std::vector<int> inputs;
  int output;
  int first_parameter, parameter_count;
  std::int64_t packed, saved, scratch_forward, scratch_backward;  // offsets, floats
};

struct PlannedValue {
  Shape shape;
  Layout layout;
  std::int64_t floats, offset, gradient_offset;
};

struct Plan {
  PlanOptions options;
  std::vector<PlannedValue> values;
  std::vector<PlannedStep> steps;
  std::vector<BackwardStep> backward;
  int output;
  std::unique_ptr<Loss> loss;
  // In the arena: [K]; with a fused softmax [n][K], which are then the outputs to hand out. (The
  // logits stay: the layer that made them may read them on the way back.)
  std::int64_t loss_scratch = 0;
  bool fused_softmax = false;
  std::int64_t arena_floats, packed_floats;

  bool keeps_for_backward() const { return options.training || !backward.empty(); }
};

Plan make_plan(const Graph& graph, ValueId output, const ParameterTable& parameters,
               const PlanOptions& options, const KernelTable& kernels);

}  // namespace striate
