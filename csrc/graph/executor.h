#pragma once
// Runs a plan over a batch, stretch by stretch: a thread takes a block through all of a stretch's
// actions in its own arena; what crosses stretches lies in the batch's arena.
#include <cstdint>
#include <vector>

#include "core/parallel.h"
#include "core/storage.h"
#include "graph/plan.h"
#include "striate/batch.h"

namespace striate {

// Parameters as steps read them: a pointer to each, and the packed weights that persist.
struct ParameterView {
  const float* const* each = nullptr;
  float* packed = nullptr;
};

// What one output of a block leaves: the loss summed over its samples, and hits.
struct BatchResult {
  double loss = 0.0;
  std::int64_t correct = 0;
};

// One run of a plan over one batch.
struct ExecutorCall {
  const Batch* batch = nullptr;
  ParameterView params, backward_params;  // backward: squared in the curvature pass
  std::uint64_t seed = 0;
  std::uint32_t first_sample = 0;  // global number of the batch's first sample: keys dropout
  bool check_numerics = false;
  std::int64_t pieces_before = 0;  // samples of the caller's batch in earlier runs, for messages
  int order = 1;
  std::int64_t shards = 1;                 // of the gradient; wide plans have one
  float* const* const* dparams = nullptr;  // by shard, by parameter
  float* const* arenas = nullptr;          // by rank
  float* batch_arena = nullptr;
  float* fixed_arena = nullptr;             // the batch's where the plan knows the number of blocks
  float* const* outputs = nullptr;          // by output, [batch][K]; entries may be null
  float* const* input_gradients = nullptr;  // by input, [batch][F]; entries may be null
  BatchResult* results = nullptr;           // [blocks][outputs]
  double* const* seconds = nullptr;         // by rank, by action: what a profile adds up; or null
};

class Executor {
 public:
  Executor(const Plan& plan, const Graph& graph, const ParameterTable& table,
           const KernelTable& kernels)
      : plan_(plan), graph_(graph), table_(table), kernels_(kernels) {}

  std::int64_t block_count(std::int64_t samples) const {
    return striate::block_count(plan_.options.blocking, samples);
  }

  // Makes the packs that persist; collective over the team.
  void pack(Team& team, const ParameterView& params, bool backward) const;
  // All stretches; collective.
  void run(Team& team, const ExecutorCall& call) const;
  // Lets batch normalisation's moving statistics take in the batch.
  void commit(const ExecutorCall& call, float* const* parameters) const;

 private:
  struct BlockRange {
    std::int64_t block, first;
    int samples;
  };
  // Whose memory: a block's, or (block < 0) the whole batch's from its first block on.
  struct Where {
    const ExecutorCall& call;
    float* thread;
    BlockRange range;
    std::int64_t shard;
    std::int64_t blocks;
  };
  float* at(const Place& place, const Where& w) const;
  float* value(int v, const Where& w) const { return at(plan_.values[index(v)].place, w); }
  float* gradient(int v, const Where& w) const { return at(plan_.values[index(v)].gradient, w); }
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }
  BlockRange range(const Batch& batch, std::int64_t block) const;

  void run_blocks(Team& team, const Stretch& stretch, const ExecutorCall& call) const;
  void run_block(const Stretch& stretch, const Where& w, double* seconds) const;
  static double* seconds_of(const Team& team, const ExecutorCall& call) {
    return call.seconds ? call.seconds[team.rank()] : nullptr;
  }
  void run_action(const Action& action, const Where& w) const;
  void run_once(const Action& action, const ExecutorCall& call) const;
  void run_tasks(Team& team, const Stretch& stretch, const ExecutorCall& call) const;
  void run_task(const Action& action, int task, const Where& w) const;
  // Actions over the whole batch, their tasks numbered one action after the other.
  std::int64_t tasks_of(int begin, int end, const ExecutorCall& call) const;
  void run_one(int begin, std::int64_t task, Team& team, const ExecutorCall& call) const;

  void load(int input, const Where& w) const;
  void store_rows(int value, const float* from, const Where& w, float* rows) const;
  void run_loss(int output, const Where& w) const;
  void fold(const PlannedStep& s, const ParameterView& params) const;
  void pack_step(const PlannedStep& s, bool backward, int task, const ParameterView& params,
                 float* packed) const;
  // Pointers that a step's arguments point to.
  struct Pointers {
    const float* x[kMaxStepInputs];
    float* dx[kMaxStepInputs];
    const float* folded[2];
  };
  StepArgs step_args(const PlannedStep& s, const ParameterView& params, const Where& w,
                     bool backward, Pointers* p) const;
  ForwardArgs forward_args(const PlannedStep& s, const Where& w, Pointers* p) const;
  BackwardArgs backward_args(const PlannedBackward& b, const Where& w, Pointers* p) const;
  MeetArgs meet_args(const PlannedStep& s, bool backward, const Where& w) const;
  void gradient_by_blocks(const PlannedBackward& b, const Where& w) const;
  void check_tasks(Team& team, const Action& action, const ExecutorCall& call) const;
  void check_gradients(const PlannedBackward& b, const Where& w) const;
  void check(const PlannedStep* step, int value, const float* data, const Where& w,
             bool backward) const;

  const Plan& plan_;
  const Graph& graph_;
  const ParameterTable& table_;
  const KernelTable& kernels_;
};

}  // namespace striate
