#pragma once
// A network that trains and runs: a graph, its parameters, and the engine. Python's models and C++
// programs use this same class, so what one trains the other runs, bit for bit.
//
// Calls on one Network from several threads take turns; different Networks run side by side. (A
// pointer that parameter() or curvature() returned must not be read while another call changes it.)
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "striate/batch.h"
#include "striate/graph.h"
#include "striate/loss.h"
#include "striate/optimizer.h"

namespace striate {

struct ParameterInfo {
  std::string name;   // "c1/kernel"
  std::string layer;  // "c1"
  Shape shape;
  bool trainable;
  std::int64_t count;  // entries that exist: a connection table leaves some out
};

struct OutputResult {
  double loss = 0.0;         // mean over the batch of sample weight * loss; 0 without a loss
  std::int64_t correct = 0;  // samples classified right; positions, where outputs have them
};

struct BatchLoss {
  // The outputs' losses, each times its weight, added up, and the regularizers' penalties.
  double loss = 0.0;
  std::vector<OutputResult> outputs;  // by output
};

// Bytes, known before any is allocated. In a wide network's training, gradients of parameters lie
// where activations have died: `activations` is what these take beside them. Its first step takes
// less than the total, for the optimizer's slots come when the activations have gone.
struct MemoryUse {
  std::int64_t parameters, gradients, optimizer, packed_weights, activations;
  std::int64_t total() const {
    return parameters + gradients + optimizer + packed_weights + activations;
  }
};

// How products may be rounded. Parameters, activations and gradients are float32 in all of them.
enum class Precision {
  kFloat32,  // 3x3 convolutions of stride 1 may use Winograd's F(4x4, 3x3): some 1e-6 of the range
  kStrict,   // every convolution is the sum over its taps
  // As kFloat32, but the other convolutions round both factors of a product to bfloat16 (8 bits of
  // mantissa) and sum in float32: forward and both gradients in wide networks (csrc/README.md: 2^21
  // parameters and more, with large kernels from 2^19), in inference of all, dense layers'
  // included. Needs a CPU with AVX512-BF16.
  kBfloat16,
};

// What one layer took of a batch.
struct LayerProfile {
  std::string name;    // with what was fused into it: "conv1 + bn1 + relu1"
  std::string method;  // how it computes: "Winograd F(4x4,3x3)"; may be empty
  // A thread's seconds, summed over threads; packing of weights included. backward: all gradients.
  double forward = 0.0, backward = 0.0;
  // Of the batch, forward; backward has one product for the weights and one for the input.
  std::int64_t macs = 0;
  int backward_products = 0;
  // Activations read and written forward and backward, weights and gradients once each.
  std::int64_t forward_bytes = 0, backward_bytes = 0;
};

struct NetworkProfile {
  double seconds = 0.0;  // of a batch from start to end, without the optimizer
  int threads = 1;
  double other = 0.0;  // thread seconds that belong to no layer: loading, losses, layouts
  std::vector<LayerProfile> layers;
};

class Network {
 public:
  // Parameters are drawn from `seed` when they are first needed; until then they take no memory.
  // Throws ValueError when no output depends on a layer.
  Network(Graph graph, std::vector<ValueId> outputs, std::uint64_t seed = 0);
  Network(Graph graph, ValueId output, std::uint64_t seed = 0);
  ~Network();
  Network(Network&&) noexcept;
  Network& operator=(Network&&) noexcept;

  const Graph& graph() const;
  std::size_t input_count() const;
  std::size_t output_count() const;
  const Shape& input_shape(std::size_t input = 0) const;
  const Shape& output_shape(std::size_t output = 0) const;
  std::uint64_t seed() const;

  std::vector<ParameterInfo> parameters() const;
  // Parameter values, shape.size() floats. Throws ValueError for a bad index.
  const float* parameter(int index) const;
  // The same, copied; takes no memory for the network while none of its parameters is in use.
  void copy_parameter(int index, float* to) const;
  void set_parameter(int index, const float* values);
  // ValueError for what never trains: moving statistics, an RBF layer's codes.
  void set_trainable(int index, bool trainable);
  // All of a layer's parameters that ever train; a frozen batch normalisation runs on its moving
  // statistics, in training too (Keras's trainable). Throws ValueError where there is no such
  // layer.
  void set_layer_trainable(const std::string& layer, bool trainable);
  // Penalties: a parameter that is trained adds l1 * sum |w| + l2 * sum w^2 to the loss. ValueError
  // unless both are finite and at least 0.
  void set_regularizer(int index, double l1, double l2);
  void set_weight_decay(int index, bool on);  // whether an optimizer's weight decay is for it
  // Its learning rate over the optimizer's; weight decay keeps the optimizer's. ValueError unless
  // finite and at least 0.
  void set_learning_rate_multiplier(int index, double factor);
  // Whether Muon moves it as a matrix. ValueError for a parameter of one axis, or of a convolution
  // with a connection table.
  void set_orthogonal(int index, bool on);
  std::uint64_t weights_hash() const;  // FNV-1a over all parameter bytes, in order

  // What training needs: a loss an output. Forgets an earlier optimizer's state. Throws ShapeError
  // for an output that its loss does not take, ValueError for an option out of its domain or where
  // no output has a loss; nothing has changed then.
  void compile_outputs(std::vector<OutputLoss> losses, const OptimizerOptions& optimizer);
  void compile(const LossOptions& loss, const OptimizerOptions& optimizer);  // of one output
  // Replaces the constant rate; learning_rate() is its value at iterations().
  void set_schedule(const Schedule& schedule);
  void set_learning_rate(double rate);  // ends a schedule
  double learning_rate() const;
  std::int64_t iterations() const;  // batches trained
  void set_iterations(std::int64_t iterations);
  // Samples trained, modulo 2^32: with the seed, what the next batch's dropout masks depend on.
  std::uint32_t samples_seen() const;
  void set_samples_seen(std::uint32_t samples);
  // May change at any time; a step's results depend on it as they do on the ISA. Throws ValueError
  // for kBfloat16 where has_bfloat16() (system.h) is false.
  void set_precision(Precision precision);
  Precision precision() const;
  void set_check_numerics(bool on);
  bool check_numerics() const;

  // For inference alone from now on: gives back the optimizer with its slots and averages and all
  // memory but the parameters'; what predict and test_batch need is made at their next call.
  // Whatever trains, makes gradients or compiles throws ValueError then. Averages that are in use
  // stay as the parameters.
  void freeze();
  bool frozen() const;

  // One optimizer step (or a part of one: gradient_accumulation_steps). outputs: by output,
  // [count][K] (probabilities where the last layer is a softmax) or null; empty: none is wanted.
  // Throws ShapeError or ValueError for labels that do not fit the loss or the output, before
  // anything changes; NumericsError (with check_numerics) before the update.
  BatchLoss train_batch(const Batch& batch, const std::vector<float*>& outputs = {});
  BatchLoss test_batch(const Batch& batch, const std::vector<float*>& outputs = {});
  // outputs: by output, [count][output_shape(i).size()]. Needs no compile.
  void predict(const Batch& batch, const std::vector<float*>& outputs);
  // Gradients of the mean loss, nothing updated: by parameter, shape.size() floats each (trainable
  // or not), and by input [count][F]; either may be empty. training: dropout is on, batch
  // normalisation uses the batch's statistics.
  BatchLoss gradients(const Batch& batch, bool training,
                      const std::vector<float*>& parameter_gradients,
                      const std::vector<float*>& input_gradients);

  // The Gauss-Newton diagonal of the loss (LeCun et al. 1998, Appendix C), averaged over the
  // batch: what sdlm divides by. Kept until the next call.
  void estimate_curvature(const Batch& batch);
  const float* curvature(int parameter) const;

  // Optimizer slots, flat buffers in parameter order; empty before the first step. With the
  // parameters, iterations() and samples_seen() they are all that the next step depends on.
  // ValueError while averages are in use.
  std::int64_t flat_size() const;
  std::map<std::string, const float*> optimizer_state() const;
  void set_optimizer_state(const std::map<std::string, const float*>& slots);

  // With use_ema: puts the trainable parameters' moving averages in the parameters' place, to
  // evaluate or save them, and back. Training puts the parameters back first. Before the first
  // step there is no average, and nothing is done. Throws ValueError without use_ema.
  void use_average(bool on);
  bool average_in_use() const;
  void overwrite_with_average();  // for good: the parameters become their averages

  // Runs the batch `repeats` times and tells where the time went, by the median of each figure.
  // training: forward and backward as in train_batch, with targets, but nothing is updated; throws
  // as train_batch does. Otherwise as predict.
  NetworkProfile profile(const Batch& batch, bool training, int repeats);

  // What batches of `batch` samples take. training: throws ValueError before compile.
  MemoryUse memory(std::int64_t batch, bool training) const;

 private:
  struct State;
  std::unique_ptr<State> s_;
};

}  // namespace striate
