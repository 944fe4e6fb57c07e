#include "train/network_state.h"

#include <algorithm>
#include <cmath>

#include "striate/error.h"
#include "striate/threads.h"

namespace striate {
namespace {

// Floats of gradient that a thread sums and applies at once: 16 KiB, half an L1 cache.
constexpr std::int64_t kChunk = 4096;

void append_chunks(const Parameter& p, std::size_t index, std::vector<GradientChunk>* chunks) {
  const std::int64_t size = align_up(p.spec.shape.size());
  for (std::int64_t at = 0; at < size; at += kChunk)
    chunks->push_back({p.offset + at, std::min(kChunk, size - at), index});
}

std::int64_t shard_begin(std::int64_t shard, std::int64_t blocks, std::int64_t shards) {
  return shard * blocks / shards;
}

}  // namespace

Network::State::State(Graph g, ValueId out, std::uint64_t s)
    : graph(std::move(g)), output(out), seed(s), table(graph), kernels(striate::kernels()) {
  graph.shape(output);
  if (output == 0) throw ValueError("the network has no layer: its output is its input");
  values = Storage(table.floats());
  initialize(table, seed, values.data());
  for (const Parameter& p : table.all()) each.push_back(values.data() + p.offset);
  rules.resize(table.all().size());
}

std::size_t Network::State::index(int parameter) const {
  if (parameter < 0 || static_cast<std::size_t>(parameter) >= table.all().size())
    throw ValueError("the network has " + std::to_string(table.all().size()) +
                     " parameters, there is no number " + std::to_string(parameter));
  return static_cast<std::size_t>(parameter);
}

const LossOptions& Network::State::compiled_loss() const {
  if (!compiled) throw ValueError("the network has no loss yet: call compile first");
  return loss;
}

PlanOptions Network::State::plan_options(PlanPurpose purpose, std::int64_t batch) const {
  PlanOptions o;
  o.training = purpose == PlanPurpose::kTrain || purpose == PlanPurpose::kTrainingGradients;
  const bool gradients =
      purpose == PlanPurpose::kGradients || purpose == PlanPurpose::kTrainingGradients;
  o.backward = purpose == PlanPurpose::kTrain || purpose == PlanPurpose::kCurvature || gradients;
  o.all_parameters = o.input_gradient = gradients;
  o.loss = purpose == PlanPurpose::kPredict ? nullptr : &compiled_loss();
  o.blocking = choose_blocking(graph, output, batch);
  return o;
}

ReadyPlan& Network::State::ready(PlanPurpose purpose, std::int64_t batch) {
  const PlanOptions options = plan_options(purpose, batch);
  const auto key =
      std::make_tuple(purpose, options.blocking.layout, options.blocking.block_samples);
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  ReadyPlan r{make_plan(graph, output, table, options, kernels), Storage(), 0, {}};
  r.chunks = gradient_chunks(r.plan);
  r.packed = Storage(r.plan.packed_floats);
  return plans.emplace(key, std::move(r)).first->second;
}

void Network::State::check_batch(const Batch& batch, bool with_labels) const {
  if (batch.count < 1) throw ShapeError("the batch is empty");
  if (!batch.x && !batch.bytes) throw ValueError("the batch has no samples: x and bytes are null");
  if (!with_labels) return;
  if (takes_labels(compiled_loss().kind)) {
    if (!batch.labels)
      throw ShapeError("this loss takes integer labels, one a sample; got rows of targets");
    const std::int64_t classes = loss_classes(graph.shape(output));
    const std::int64_t positions = loss_positions(graph.shape(output));
    for (std::int64_t i = 0; i < batch.count; ++i) {
      const std::int64_t* labels = batch.labels + batch.row(i) * positions;
      for (std::int64_t p = 0; p < positions; ++p)
        if (labels[p] < 0 || labels[p] >= classes)
          throw ValueError("label " + std::to_string(labels[p]) + " of sample " +
                           std::to_string(i) + " of the batch is out of range: the output has " +
                           std::to_string(classes) + " classes, 0 to " +
                           std::to_string(classes - 1));
    }
  } else if (!batch.targets) {
    throw ShapeError("this loss takes targets of the output's shape; got integer labels");
  }
}

void Network::State::prepare(const Pass& pass, std::int64_t blocks, std::int64_t shard_total,
                             int threads) {
  const Plan& plan = pass.ready->plan;
  if (arenas.size() < static_cast<std::size_t>(threads)) {
    arenas.resize(static_cast<std::size_t>(threads));
  }
  for (int t = 0; t < threads; ++t) arenas[static_cast<std::size_t>(t)].reserve(plan.arena_floats);
  block_results.assign(static_cast<std::size_t>(blocks), {});
  if (plan.backward.empty()) return;
  const std::int64_t needed = checked_mul(shard_total, table.floats());
  // By count: shards of a network without parameters take no memory.
  if (shard_parameters.size() < static_cast<std::size_t>(shard_total)) {
    shards.reserve(needed);
    shard_parameters.clear();
    for (std::int64_t s = 0; s < shard_total; ++s) {
      std::vector<float*> pointers;
      for (const Parameter& p : table.all())
        pointers.push_back(shards.data() + s * table.floats() + p.offset);
      shard_parameters.push_back(std::move(pointers));
    }
  }
}

std::vector<GradientChunk> Network::State::gradient_chunks(const Plan& plan) const {
  std::vector<GradientChunk> chunks;
  if (plan.backward.empty()) return chunks;
  for (std::size_t i = 0; i < table.all().size(); ++i) {
    const Parameter& p = table.all()[i];
    if (p.spec.trainable || plan.options.all_parameters) append_chunks(p, i, &chunks);
  }
  return chunks;
}

void Network::State::run_shard(const Pass& pass, const Executor& executor, std::int64_t shard,
                               std::int64_t shard_total, float* arena) {
  const Plan& plan = pass.ready->plan;
  const std::int64_t blocks = executor.block_count(pass.batch->count);
  const ExecutorOptions options{seed, samples_seen, numerics, &graph};
  const ParameterView params{each.data(), pass.ready->packed.data()};
  const ParameterView& back = pass.backward_params ? *pass.backward_params : params;
  const float scale = 1.0f / static_cast<float>(pass.batch->count);
  const std::int64_t first = shard_begin(shard, blocks, shard_total);
  for (std::int64_t b = first; b < shard_begin(shard + 1, blocks, shard_total); ++b) {
    executor.forward(*pass.batch, b, params, options, scale, pass.order, arena, pass.outputs,
                     &block_results[static_cast<std::size_t>(b)]);
    if (!plan.backward.empty())
      executor.backward(*pass.batch, b, back, options, pass.order, b > first, arena,
                        shard_parameters[static_cast<std::size_t>(shard)].data(),
                        pass.input_gradient);
  }
}

float* Network::State::sum_shards(const GradientChunk& chunk, std::int64_t shard_total) {
  const float* parts[64];
  for (std::int64_t s = 0; s < shard_total; ++s)
    parts[s] = shards.data() + s * table.floats() + chunk.begin;
  float* sum = shards.data() + chunk.begin;
  if (shard_total > 1)
    kernels.sum_tree(chunk.n, static_cast<std::int32_t>(shard_total), parts, sum);
  return sum;
}

void Network::State::update_weights(Team& team, const Pass& pass, std::int64_t shard_total) {
  const std::vector<GradientChunk>& chunks = pass.ready->chunks;
  const auto count = static_cast<std::int64_t>(chunks.size());
  GradientUpdate& step = *pass.update;
  const bool meet = step.needs_scales();
  team.for_each(count, [&](std::int64_t c) {
    const auto i = static_cast<std::size_t>(c);
    float* gradient = sum_shards(chunks[i], shard_total);
    step.gather(i, gradient);
    if (!meet) step.apply(i, gradient);
  });
  if (!meet) return;
  team.for_each(1, [&](std::int64_t) { step.find_scales(); });
  team.for_each(count, [&](std::int64_t c) {
    const auto i = static_cast<std::size_t>(c);
    step.apply(i, shards.data() + chunks[i].begin);
  });
}

double Network::State::penalty() {
  if (kept_penalty_version == version) return kept_penalty;
  std::vector<GradientChunk> chunks;
  for (std::size_t i = 0; i < table.all().size(); ++i)
    if (table.all()[i].spec.trainable && rules[i].regularized())
      append_chunks(table.all()[i], i, &chunks);
  kept_penalty = 0.0;
  parallel_region(1, [&](Team&) {
    for (const GradientChunk& c : chunks)
      kept_penalty += regularize(rules[c.parameter], c, values.data(), nullptr, kernels);
  });
  kept_penalty_version = version;
  return kept_penalty;
}

void Network::State::require_average() const {
  if (!update || !update->options().use_ema)
    throw ValueError("the network keeps no average of its weights: compile with use_ema");
}

void Network::State::use_average(bool on) {
  if (on == average_in_use || !update || !update->average()) return;
  for (const Parameter& p : table.all())
    if (p.spec.trainable)
      std::swap_ranges(values.data() + p.offset, values.data() + p.offset + p.spec.shape.size(),
                       update->average() + p.offset);
  average_in_use = on;
  ++version;
}

BatchLoss Network::State::run(const Pass& pass) {
  const Plan& plan = pass.ready->plan;
  const Executor executor(plan, kernels);
  const std::int64_t blocks = executor.block_count(pass.batch->count);
  const bool back = !plan.backward.empty();
  const std::int64_t shard_total = back ? shard_count(blocks, table.floats()) : blocks;
  const int threads = static_cast<int>(std::min<std::int64_t>(num_threads(), shard_total));
  prepare(pass, blocks, back ? shard_total : 0, threads);
  const bool stale = pass.ready->packed_version != version;
  parallel_region(threads, [&](Team& team) {
    if (stale) executor.pack(team, each.data(), pass.ready->packed.data());
    team.for_each(shard_total, [&](std::int64_t s) {
      run_shard(pass, executor, s, shard_total,
                arenas[static_cast<std::size_t>(team.rank())].data());
    });
    if (pass.reduce)
      team.for_each(static_cast<std::int64_t>(pass.ready->chunks.size()), [&](std::int64_t c) {
        const GradientChunk& chunk = pass.ready->chunks[static_cast<std::size_t>(c)];
        (*pass.reduce)(chunk, sum_shards(chunk, shard_total));
      });
    if (pass.update) update_weights(team, pass, shard_total);
  });
  pass.ready->packed_version = version;
  BatchLoss total;
  for (const BatchResult& r : block_results) {
    total.loss += r.loss;
    total.correct += r.correct;
  }
  total.loss /= static_cast<double>(pass.batch->count);
  return total;
}

}  // namespace striate
