#pragma once
// One layer by itself, as a training step of a network runs it, one pass a call: what benchmarks
// time. The caller takes the time.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/storage.h"
#include "ops/op.h"
#include "striate/graph.h"

namespace striate {

class LayerBench {
 public:
  // The node that makes `value`, of one input, on `batch` samples of made-up numbers. wide: as in a
  // network of 2^21 parameters and more: channels in lanes, gradients by tasks; else samples in
  // lanes where the layer can. Packs the weights. Throws ValueError for an input or several inputs.
  LayerBench(const Graph& graph, ValueId value, std::int64_t batch, bool wide);

  // Of "forward", "input gradient", "weight gradient" and "all gradients" those that it has.
  std::vector<std::string> passes() const;
  // The whole batch, on num_threads() threads. ValueError for a pass that it has not.
  void run(const std::string& pass);

 private:
  struct Block {
    std::int64_t index, samples;
  };
  using TaskBody = FunctionRef<void(int task, float* scratch)>;
  Block block(std::int64_t i) const;
  void for_blocks(Team& team, FunctionRef<void(const Block&, float* scratch)> body);
  void for_tasks(Team& team, int count, TaskBody body);
  void fill(StepArgs* args, const Block& block, bool backward) const;
  BackwardArgs backward_args(const Block& block, bool input, bool weights, std::int64_t shard);
  MeetArgs meet_args(bool backward);
  void forward(Team& team);
  void input_gradient(Team& team);
  void weight_gradient(Team& team);
  void all_gradients(Team& team);
  bool meets() const { return step_->part_size > 0; }

  const KernelTable& k_;
  std::unique_ptr<Step> step_;
  bool wide_, samples_layout_;
  std::int64_t batch_, block_samples_, blocks_, shards_;
  std::int64_t x_floats_, y_floats_;  // of a block
  std::vector<std::int64_t> sizes_;   // of the parameters
  Storage x_, y_, dy_, dx_, saved_, packed_, packed_backward_, common_, parts_, shares_;
  std::vector<Storage> params_, scratch_;        // by parameter; by rank
  std::vector<std::vector<Storage>> gradients_;  // by shard, by parameter
  std::vector<std::vector<float*>> gradient_pointers_;
  std::vector<const float*> param_pointers_;
  // By block: what arguments point to.
  std::vector<const float*> block_x_;
  std::vector<float*> block_dx_, no_gradients_;
};

}  // namespace striate
