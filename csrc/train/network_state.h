#pragma once
// What a Network holds: parameters, plans by kind of call and block size, arenas by thread.
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "core/storage.h"
#include "graph/executor.h"
#include "graph/parameters.h"
#include "graph/plan.h"
#include "striate/network.h"
#include "train/parameter_values.h"
#include "train/update.h"

namespace striate {

// Kinds of call that need a plan of their own.
enum class PlanPurpose { kTrain, kTest, kPredict, kGradients, kTrainingGradients, kCurvature };

// A plan with its packed weights. `packed_version`: of the parameters that were packed.
struct ReadyPlan {
  Plan plan;
  Storage packed;
  std::uint64_t packed_version = 0;
  // The floats whose gradients are reduced: of the trainable parameters that a loss or a
  // regularizer reaches, or of all.
  std::vector<GradientChunk> chunks;
  // Parameters among them that no loss reaches: no step writes their gradient, it is zero. In a
  // plan that places gradients, these have none: they lie in unreached_gradients, one by one.
  std::vector<std::size_t> unreached;
  Storage unreached_gradients;
};

struct Network::State {
  State(Graph g, std::vector<ValueId> out, std::uint64_t s);

  ReadyPlan& ready(PlanPurpose purpose, std::int64_t batch);
  PlanOptions plan_options(PlanPurpose purpose, std::int64_t batch) const;
  const Blocking& blocking_for(std::int64_t batch) const;
  void find_chunks(ReadyPlan* ready) const;
  void check_batch(const Batch& batch, bool with_labels) const;
  void check_target(const Batch& batch, std::size_t output) const;
  const std::vector<OutputLoss>& compiled_losses() const;
  std::size_t index(int parameter) const;
  std::int64_t shards_of(const Plan& plan, std::int64_t blocks) const;

  // What the regularizers add to the loss.
  double penalty();
  void require_average() const;  // ValueError without use_ema
  void require_thawed() const;   // ValueError after freeze
  void use_average(bool on);     // if there are averages

  // Forward and, where the plan has one, backward over all blocks; then `reduce` or `update` on
  // each chunk of the gradient, whose shards are summed by then. One parallel region; two in an
  // optimizer's first step, see make_slots.
  struct Pass {
    ReadyPlan* ready;
    const Batch* batch;
    std::int64_t pieces_before = 0;  // samples of the caller's batch that ran before these
    const std::vector<float*>* outputs = nullptr;
    const std::vector<float*>* input_gradients = nullptr;
    int order = 1;
    const ParameterView* backward_params = nullptr;  // null: the same as forward's
    FunctionRef<void(const GradientChunk& chunk, float* gradient)>* reduce = nullptr;
    GradientUpdate* update = nullptr;
    bool update_state = false;                            // moving statistics take in the batch
    std::vector<std::vector<double>>* seconds = nullptr;  // by rank, by action: a profile
  };
  BatchLoss run(const Pass& pass);
  // Wide networks keep a whole batch's activations, so what needs no statistics of a batch goes
  // through in pieces of bounded size.
  BatchLoss run_in_pieces(const Pass& pass);
  // The chunk's gradient in a shard; summed over the shards into the first of them.
  float* gradient_of(const GradientChunk& chunk, std::int64_t shard = 0) const;
  float* sum_shards(const GradientChunk& chunk, std::int64_t shards);
  void make_slots(const Pass& pass);
  void update_weights(Team& team, const Pass& pass, std::int64_t shards);
  int prepare(const Pass& pass, std::int64_t blocks, ExecutorCall* call);
  void prepare_gradients(ReadyPlan* ready, std::int64_t shard_total);
  void reserve_shards(std::int64_t shard_total);
  void point_at_placed(ReadyPlan* ready);
  BatchLoss collect(const Batch& batch, std::int64_t blocks) const;
  MemoryUse memory(const Plan& plan, std::int64_t batch) const;

  // Held by every call that runs or changes the network: arenas and plans are the network's own,
  // so calls from several threads take turns.
  std::mutex busy;
  Graph graph;
  std::vector<ValueId> outputs;
  std::uint64_t seed;
  ParameterTable table;
  const KernelTable& kernels;
  ParameterValues values;
  std::uint64_t version = 1;  // of `values`

  bool compiled = false;
  std::vector<OutputLoss> losses;  // by output
  std::unique_ptr<GradientUpdate> update;
  std::vector<ParameterRule> rules;  // by parameter
  double kept_penalty = 0.0;         // of the parameters at kept_penalty_version
  std::uint64_t kept_penalty_version = 0;
  bool average_in_use = false;
  Schedule schedule;
  std::int64_t iterations = 0;
  std::uint32_t samples_seen = 0;  // keys dropout
  bool numerics = false;
  Precision precision = Precision::kFloat32;
  bool frozen = false;
  Storage curvature;

  // Of the last batch: it walks over all nodes, and one image of LeNet-5 is 15 us.
  mutable std::int64_t blocking_batch = 0;
  mutable Blocking last_blocking{};
  // By purpose, layout, samples a block, whether samples are cut, and the blocks of a batch where
  // the plan depends on them.
  std::map<std::tuple<PlanPurpose, Layout, int, bool, std::int64_t>, ReadyPlan> plans;
  std::vector<Storage> arenas;  // by rank
  Storage batch_arena, fixed_arena;
  Storage shards;  // gradient shards, flat buffers one after the other; of narrow networks
  std::vector<std::vector<float*>> shard_parameters;  // by shard, a pointer to each gradient
  std::vector<float* const*> shard_pointers;
  std::vector<BatchResult> block_results;  // [block][output]
  std::vector<float*> arena_pointers;
  std::vector<double*> second_pointers;
};

}  // namespace striate
