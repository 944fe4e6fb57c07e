#pragma once
// What every operation is. An Op describes: shapes, parameters, cost. A Step is an Op bound to
// shapes, a layout and a kernel table; it runs one block of samples on one thread.
// To add an operation: one file here with both, a factory in striate/ops.h, a reference in
// reference.h, and a method in bindings/graph.cpp.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

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
};

// Which random numbers a step may use: purpose dropout, stream (node, sample's global number).
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint32_t node = 0;
  std::uint32_t first_sample = 0;
};

// Pointers into one block's memory. In kSamples layout a buffer has kLanes lanes whatever
// `samples` is; lanes beyond hold finite numbers in forward and zeros in dy.
struct StepArgs {
  int samples = 0;
  bool training = false;  // dropout is on
  bool keep = false;      // a backward may follow: `saved` is there to be filled
  RandomKey random;
  const float* const* x = nullptr;       // by input
  const float* const* params = nullptr;  // by parameter of the op
  const float* packed = nullptr;         // what pack() made of them
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
  // 1: first derivatives. 2: the Gauss-Newton diagonal (LeCun et al. 1998, Appendix C): params
  // and packed hold squared weights, and the step squares x and f' itself.
  int order = 1;
};

class Step {
 public:
  virtual ~Step() = default;

  // Floats of memory, fixed at binding.
  std::int64_t packed_size = 0;   // per network, shared by all threads
  std::int64_t saved_size = 0;    // per block
  std::int64_t scratch_size = 0;  // per thread, while the step runs
  // What backward reads of its forward values.
  bool backward_reads_x = false;
  bool backward_reads_y = false;
  // y may be x's memory; dx may be dy's memory (single input, same size).
  bool forward_in_place = false;
  bool backward_in_place = false;

  // Prepares parameters for a batch: layouts that the kernels read straight through.
  virtual void pack(const float* const* params, float* packed, bool training) const;
  virtual void forward(const ForwardArgs& args) const = 0;
  virtual void backward(const BackwardArgs& args) const = 0;
};

struct StepOptions {
  std::vector<Shape> inputs;
  Layout layout = Layout::kChannels;
  int block_samples = 1;  // capacity of a block: kLanes in kSamples
  const KernelTable* kernels = nullptr;
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
};

// The one input's shape; ShapeError unless it has the rank that the op needs.
const Shape& image_input(const std::vector<Shape>& inputs);   // rank 3
const Shape& single_input(const std::vector<Shape>& inputs);  // any rank
// Where and how far elements of one block's buffer lie.
inline std::int64_t block_floats(const Shape& shape, Layout layout, int block_samples) {
  return shape.size() * (layout == Layout::kSamples ? kLanes : block_samples);
}

}  // namespace striate
