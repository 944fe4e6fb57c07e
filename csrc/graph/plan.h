#pragma once
// What runs where, in which memory: a program bound to a kernel table, with its backward steps,
// block size, layouts and arenas. A plan depends on shapes, the ISA and the batch's size class
// alone, never on the number of threads: that is half of why results do not either.
#include <cstdint>
#include <memory>
#include <vector>

#include "graph/autodiff.h"
#include "graph/lower.h"
#include "graph/memory.h"
#include "graph/parameters.h"
#include "graph/timeline.h"
#include "ops/loss.h"

namespace striate {

// How a batch is cut. A block goes through a stretch of the network on one thread.
struct Blocking {
  Layout layout;
  int block_samples;
  // Narrow networks keep a gradient of all weights a shard (a run of blocks whose gradients add up
  // in one buffer, in order); wide ones one gradient, each part of it made over the whole batch.
  bool wide;
  bool cut;  // inference: few samples, whose work is cut within them
};
// Samples in lanes where the batch fills enough of them (kernel_costs.h) and 16 samples'
// activations stay near the L2 cache; otherwise channels in lanes with as many samples a block as
// do.
Blocking choose_blocking(const Graph& graph, const std::vector<ValueId>& outputs,
                         const ParameterTable& parameters, std::int64_t batch,
                         const KernelTable& kernels);
std::int64_t block_count(const Blocking& blocking, std::int64_t samples);
std::int64_t shard_count(std::int64_t blocks);

constexpr std::size_t kMaxStepInputs = 64;  // an executor's pointers to them live on its stack

struct PlanOptions {
  bool training = false;        // forward as in training (dropout, the batch's statistics)
  bool backward = false;        // gradients of the trainable parameters
  bool all_parameters = false;  // ... of the frozen ones too
  bool input_gradient = false;
  bool winograd = false;                            // 3x3 convolutions may run on Winograd's points
  const Bfloat16Kernels* bfloat16 = nullptr;        // for products where it pays; null: float32
  const std::vector<OutputLoss>* losses = nullptr;  // by output; null: prediction
  Blocking blocking{};
  // Blocks of the batch, for wide networks' gradients: such a plan is for batches of one size, and
  // the gradients of the parameters lie where the activations died that they came from. 0: any.
  std::int64_t blocks = 0;

  bool gradients() const { return backward || input_gradient; }
};

struct PlannedStep {
  std::unique_ptr<Step> step;
  int node;
  std::vector<int> inputs;
  int output;
  int first_parameter = 0, parameter_count = 0;
  std::vector<int> fused = {};    // nodes that it does the work of
  int folded = -1;                // the batch normalisation's node that its weights take in
  Place packed, packed_backward;  // of packs that persist: offsets into the plan's packed buffer
  Place saved, parts, parts_backward, common, scratch, scratch_backward;
  Place forward_task_scratch, backward_task_scratch, gradient_task_scratch, gradient_shares;
  // The kernel and, 16 floats aligned behind it, the bias with the normalisation in them; they
  // persist like packs.
  Place folded_weights;
  std::int64_t folded_kernel = 0, folded_channels = 0;
};

struct PlannedValue {
  Shape shape;
  Layout layout;
  std::int64_t floats;  // of a block
  Place place, gradient;
};

struct PlannedOutput {
  int value;
  bool fused_softmax;
  std::unique_ptr<Loss> loss;  // null: none
  bool loss_adds = false;      // another loss on the same value came before
  // [K]; with a fused softmax [n][K], which are then the outputs to hand out. (The logits stay: the
  // layer that made them may read them on the way back.)
  Place scratch;
  Place added_gradient;  // where loss_adds
};

struct PlannedBackward : BackwardStep {
  std::vector<Place> added;  // by input, where adds_input: the share before it is added
};

struct Plan {
  PlanOptions options;
  std::vector<PlannedValue> values;
  std::vector<int> inputs;  // the value of each of the network's inputs; -1: unused
  std::vector<PlannedStep> steps;
  std::vector<PlannedBackward> backward;
  std::vector<PlannedOutput> outputs;
  Timeline timeline;
  bool packs_persist = true;  // packed once for all batches, until parameters change
  // Arenas. batch_floats: of a block, or with options.blocks of all, fixed buffers included.
  std::int64_t thread_floats = 0, batch_floats = 0, fixed_floats = 0, packed_floats = 0;
  // With options.blocks: where the gradient of each parameter lies, kNone where nothing makes it.
  std::vector<Place> parameter_gradients;

  // Floats of the batch's arena for so many blocks.
  std::int64_t batch_total(std::int64_t blocks) const {
    return options.blocks ? batch_floats : checked_mul(batch_floats, blocks);
  }
  bool keeps_for_backward() const { return options.training || options.gradients(); }
  // Of an action over the whole batch.
  std::int64_t task_count(const Action& action, std::int64_t blocks) const;
  // The most that runs at once: no more threads are of use.
  std::int64_t widest(std::int64_t block_tasks) const;
};

Plan make_plan(const Graph& graph, const std::vector<ValueId>& outputs,
               const ParameterTable& parameters, const PlanOptions& options,
               const KernelTable& kernels);

}  // namespace striate
