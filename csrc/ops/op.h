#pragma once
// What every operation is. An Op describes: shapes, parameters, cost. A Step is an Op bound to
// shapes, a layout and a kernel table; it runs one block of samples on one thread.
// To add an operation: one file here with both, a factory in striate/ops.h, a reference in
// reference.h, and a method in bindings/graph.cpp.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/kernels.h"
#include "striate/initializer.h"
#include "striate/ops.h"
#include "striate/shape.h"

namespace striate {

enum class Layout {
  kChannels,  // [n][H][W][C]: channels in lanes
  kSamples,   // [H][W][C][kLanes]: samples in lanes; a block of up to kLanes samples
};

struct ParameterSpec {
  std::string name;  // "kernel"
  Shape shape;
  Initializer initializer;
  bool trainable = true;
  std::int64_t fan_in = 1, fan_out = 1;
  std::int64_t count = 0;  // connected entries; shape.size() but for a connection table
  // Optional, by output channel (last axis): fan-in per output, and which entries exist.
  std::vector<std::int64_t> fan_in_by_output;
  std::vector<bool> mask;     // empty: all
  std::vector<float> values;  // given instead of drawn (RBF codes)
  bool fixed = false;         // no optimizer ever changes it: moving statistics, RBF codes
};

// Which random numbers a step may use: purpose dropout, stream (node, sample's global number).
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t node = 0;
  std::uint32_t first_sample = 0;
};

// Pointers into one block's memory. In kSamples layout a buffer has kLanes lanes whatever
// `samples` is; lanes beyond hold finite numbers in forward and zeros in dy. Where a step runs
// over the whole batch (the *_task methods), `samples` is the batch and all blocks are in a row.
struct StepArgs {
  std::int64_t samples = 0;
  bool training = false;  // dropout is on, batch normalisation uses the batch's statistics
  bool keep = false;      // a backward may follow: `saved` is there to be filled
  RandomKey random;
  const float* const* x = nullptr;       // by input
  const float* const* params = nullptr;  // by parameter of the op
  const float* packed = nullptr;         // what pack() made of them for this direction
  const float* common = nullptr;         // what meet() left
  float* saved = nullptr;                // from forward to backward, where `keep`
  float* scratch = nullptr;
};

struct ForwardArgs : StepArgs {
  float* y = nullptr;
};

// Gradients: dx is overwritten; dparams are overwritten or, with accumulate, added to.
struct BackwardArgs : StepArgs {
  const float* y = nullptr;
  const float* dy = nullptr;
  float* const* dx = nullptr;       // by input; null where not asked for
  float* const* dparams = nullptr;  // by parameter; null entries are frozen
  bool accumulate = false;
  float* shares = nullptr;  // what gradient tasks leave for gradient_sum
  // 1: first derivatives. 2: the Gauss-Newton diagonal (LeCun et al. 1998, Appendix C): params
  // and packed hold squared weights, and the step squares x and f' itself.
  int order = 1;
};

struct PackArgs {
  const float* const* params = nullptr;
  bool backward = false;  // for backward(): packed_backward_size floats, not packed_size
  int task = 0;           // of pack_tasks
  float* packed = nullptr;
};

// What the blocks of a batch left for each other, met on one thread.
struct MeetArgs {
  const float* parts = nullptr;  // by block, part_floats apart
  std::int64_t part_floats = 0;
  std::int64_t blocks = 0, block_samples = 0, samples = 0;  // the last block may be smaller
  const float* const* params = nullptr;
  float* common = nullptr;
  float* const* dparams = nullptr;  // backward
  bool accumulate = false;

  std::int64_t samples_of(std::int64_t block) const {
    return block + 1 < blocks ? block_samples : samples - block * block_samples;
  }
};

// An op bound to shapes, a layout and a kernel table.
//
// Most steps run a block at a time: forward, and later backward, which makes dx and the block's
// share of the parameter gradients. Two kinds need the whole batch:
// - Steps whose blocks meet (batch normalisation): gather leaves a part a block, meet makes
//   `common` of all parts, forward goes on with it; the same backward.
// - In wide networks, where a gradient of all weights a shard would not fit in memory: a step cuts
//   its parameter gradient into gradient_tasks, each the owner of some weights over the whole
//   batch; and where weights outweigh activations (dense layers), forward and the input gradient
//   too are cut by weights, not by samples.
class Step {
 public:
  virtual ~Step() = default;

  // How it computes, for a profile: "Winograd F(4x4,3x3)"; empty where there is no choice.
  virtual const char* method() const { return ""; }

  // Floats of memory, fixed at binding.
  std::int64_t packed_size = 0;                        // per network, shared by all threads
  std::int64_t packed_backward_size = 0;               // the same, for backward
  std::int64_t saved_size = 0;                         // per block
  std::int64_t scratch_size = 0;                       // per thread, while the step runs on a block
  std::int64_t scratch_backward_size = 0;              // the same, where backward needs more
  std::int64_t task_scratch_size = 0;                  // per thread, while a *_task runs
  std::int64_t part_size = 0, part_size_backward = 0;  // per block; 0: its blocks need not meet
  std::int64_t common_size = 0;                        // per batch, forward to backward
  // What backward reads of its forward values.
  bool backward_reads_x = false;
  bool backward_reads_y = false;
  // y may be the memory of an x of its size; dx may be dy's memory.
  bool forward_in_place = false;
  bool backward_in_place = false;
  // dx[k] = dy for every input of the output's size: the plan lets them share memory where it can,
  // backward copies where it could not (dx[k] != dy).
  bool backward_is_identity = false;
  // How many tasks the work over a whole batch is cut into; 0: it goes block by block.
  int forward_tasks = 0, backward_tasks = 0, gradient_tasks = 0;
  // Gradient tasks may leave shares in a buffer of so many floats, one for the batch, for
  // gradient_sum's tasks to add up.
  std::int64_t gradient_shares_size = 0;
  int gradient_sum_tasks = 0;
  int pack_tasks = 1;
  bool has_state = false;  // commit() changes parameters that no gradient changes

  // Prepares parameters for a batch: layouts that the kernels read straight through.
  virtual void pack(const PackArgs& args) const;
  virtual void forward(const ForwardArgs& args) const = 0;
  virtual void backward(const BackwardArgs& args) const = 0;

  virtual void gather(const ForwardArgs& args, float* part) const;
  virtual void meet(const MeetArgs& args) const;
  virtual void gather_backward(const BackwardArgs& args, float* part) const;
  virtual void meet_backward(const MeetArgs& args) const;  // makes dparams, too
  // After a training step that succeeded: moving averages take in the batch.
  virtual void commit(const float* common, float* const* params) const;

  virtual void forward_task(const ForwardArgs& args, int task) const;
  virtual void backward_task(const BackwardArgs& args, int task) const;  // dx alone
  virtual void gradient_task(const BackwardArgs& args, int task) const;  // dparams alone
  virtual void gradient_sum(const BackwardArgs& args, int task) const;
};

struct StepOptions {
  std::vector<Shape> inputs;
  Layout layout = Layout::kChannels;
  int block_samples = 1;  // capacity of a block: kLanes in kSamples
  const KernelTable* kernels = nullptr;
  bool training = false;  // the batch's statistics, not the moving ones
  bool wide = false;      // parameter gradients by gradient_task; dense layers by weights
  bool relu = false;      // the output's negative numbers are to be zeros
  bool adds = false;      // x[1], of the output's shape, comes on top, before relu
  bool applied = false;   // the maker of x applied this activation: y has its values already
  bool cut = false;       // inference of few samples: what takes long is cut within a sample
  bool winograd = false;  // 3x3 convolutions may run on Winograd's points: rounded otherwise
  // Products of bfloat16 where they are faster; null: float32. Never where gradients are made block
  // by block (narrow networks): those are sums over few pixels.
  const Bfloat16Kernels* bfloat16 = nullptr;
  bool keeps_packs = true;  // what pack() makes stays until parameters change
  bool folds = false;       // another layer's scale and offset come with the weights: bias is there
};

class Op {
 public:
  virtual ~Op() = default;
  virtual const char* kind() const = 0;
  // Throws ShapeError; Graph::add puts the layer's name in front.
  virtual Shape output_shape(const std::vector<Shape>& inputs) const = 0;
  virtual std::vector<ParameterSpec> parameters(const std::vector<Shape>& inputs) const;
  virtual Cost cost(const std::vector<Shape>& inputs) const;  // parameters are filled by Graph
  virtual bool supports(Layout layout) const = 0;
  virtual std::unique_ptr<Step> bind(const StepOptions& options) const = 0;

  // For the plan's rewrites. Elementwise and non-decreasing: it commutes with a max pool.
  virtual bool monotone_elementwise() const { return false; }
  virtual bool is_max_pool() const { return false; }
  virtual bool is_softmax() const { return false; }
  virtual bool is_dropout() const { return false; }
  virtual bool is_batch_normalization() const { return false; }
  virtual bool begins_frozen() const { return false; }  // the layer was made with trainable=False
  // Batch normalisation on its moving statistics as y = scale * x + offset, by channel.
  virtual void fold(std::int64_t channels, const float* const* params, float* scale,
                    float* offset) const;
  virtual bool is_relu() const { return false; }
  virtual bool is_add() const { return false; }
  // Steps may be bound with StepOptions' relu; channels in lanes with its adds, too. Where
  // takes_relu_backward, backward goes through both as well, in either layout.
  virtual bool takes_relu() const { return false; }
  virtual bool takes_relu_backward() const { return false; }
  virtual bool takes_add(const std::vector<Shape>& inputs) const;
  // y is linear in the kernel, params[0], whose last axis is y's: a scale and an offset of y's
  // channels can be folded into the weights.
  virtual bool folds_scale() const { return false; }
};

// The one input's shape; ShapeError unless it has the rank that the op needs.
const Shape& image_input(const std::vector<Shape>& inputs);   // rank 3
const Shape& single_input(const std::vector<Shape>& inputs);  // any rank
// Where and how far elements of one block's buffer lie.
inline std::int64_t block_floats(const Shape& shape, Layout layout, int block_samples) {
  return shape.size() * (layout == Layout::kSamples ? kLanes : block_samples);
}

}  // namespace striate
