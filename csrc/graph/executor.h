#pragma once
// Runs a plan over a batch: one parallel region, in which each thread takes blocks through the
// whole network in its own arena.
#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "core/storage.h"
#include "graph/plan.h"
#include "striate/batch.h"

namespace striate {

// Flat parameters, a pointer to each, and what the plan's steps packed of them.
struct ParameterView {
  const float* const* each = nullptr;
  const float* packed = nullptr;
};

struct ExecutorOptions {
  std::uint64_t seed = 0;
  std::uint32_t first_sample = 0;  // global number of the batch's first sample: keys dropout
  bool check_numerics = false;
  const Graph* graph = nullptr;  // names in messages
};

// What a batch leaves: loss and hits by block, added up in block order.
struct BatchResult {
  double loss = 0.0;  // mean over the batch's samples
  std::int64_t correct = 0;
};

class Executor {
 public:
  Executor(const Plan& plan, const KernelTable& kernels) : plan_(plan), kernels_(kernels) {}

  std::int64_t block_count(std::int64_t samples) const {
    return (samples + plan_.options.blocking.block_samples - 1) /
           plan_.options.blocking.block_samples;
  }

  // Packs every step's weights for a batch; collective over the team.
  void pack(Team& team, const float* const* params, float* packed) const;

  // One block, forward. Its output rows go to `outputs` ([batch][K], may be null); with a loss,
  // adds to `result` (the sum over the block) and leaves dL/d(output) in the arena.
  // `loss_scale` is 1 / batch.
  void forward(const Batch& batch, std::int64_t block, const ParameterView& params,
               const ExecutorOptions& options, float loss_scale, int order, float* arena,
               float* outputs, BatchResult* result) const;

  // The same block, backward, right after forward on the same arena. dparams: a pointer to each
  // parameter's gradient in this shard, null where frozen. input_gradient: [batch][F] or null.
  void backward(const Batch& batch, std::int64_t block, const ParameterView& params,
                const ExecutorOptions& options, int order, bool accumulate, float* arena,
                float* const* dparams, float* input_gradient) const;

 private:
  struct BlockRange {
    std::int64_t first;
    int samples;
  };
  BlockRange range(const Batch& batch, std::int64_t block) const;
  void load(const Batch& batch, const BlockRange& r, float* x) const;
  void store_rows(int value, const float* from, const BlockRange& r, float* rows) const;
  void run_loss(const Batch& batch, const BlockRange& r, float scale, int order, float* arena,
                BatchResult* result) const;
  StepArgs step_args(const PlannedStep& s, const ParameterView& params, const BlockRange& r,
                     const ExecutorOptions& options, float* arena, const float** x) const;
  void check(const PlannedStep* step, int value, const float* data, const BlockRange& r,
             const ExecutorOptions& options, bool backward) const;

  const Plan& plan_;
  const KernelTable& kernels_;
};

}  // namespace striate
