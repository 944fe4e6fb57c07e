#include "train/network_state.h"

#include <algorithm>
#include <cmath>

#include "striate/error.h"
#include "striate/threads.h"

namespace striate {
namespace {

// Floats of gradient that a thread sums and applies at once: 16 KiB, half an L1 cache.
constexpr std::int64_t kChunk = 4096;

// Samples of an inference batch that a wide network takes at once.
constexpr std::int64_t kPiece = 32;

void append_chunks(const Parameter& p, std::size_t index, std::vector<GradientChunk>* chunks) {
  const std::int64_t size = align_up(p.spec.shape.size());
  for (std::int64_t at = 0; at < size; at += kChunk)
    chunks->push_back({p.offset + at, std::min(kChunk, size - at), index});
}

}  // namespace

Network::State::State(Graph g, std::vector<ValueId> out, std::uint64_t s)
    : graph(std::move(g)),
      outputs(std::move(out)),
      seed(s),
      table(graph),
      kernels(striate::kernels()),
      values(table, seed) {
  if (outputs.empty()) throw ValueError("the network has no output");
  bool layers = false;
  for (ValueId v : outputs) {
    graph.shape(v);
    layers |= graph.nodes()[static_cast<std::size_t>(v)].op != nullptr;
  }
  if (!layers) throw ValueError("the network has no layer: its output is its input");
  rules.resize(table.all().size());
}

std::size_t Network::State::index(int parameter) const {
  if (parameter < 0 || static_cast<std::size_t>(parameter) >= table.all().size())
    throw ValueError("the network has " + std::to_string(table.all().size()) +
                     " parameters, there is no number " + std::to_string(parameter));
  return static_cast<std::size_t>(parameter);
}

const std::vector<OutputLoss>& Network::State::compiled_losses() const {
  if (!compiled) throw ValueError("the network has no loss yet: call compile first");
  return losses;
}

PlanOptions Network::State::plan_options(PlanPurpose purpose, std::int64_t batch) const {
  PlanOptions o;
  o.training = purpose == PlanPurpose::kTrain || purpose == PlanPurpose::kTrainingGradients;
  const bool gradients =
      purpose == PlanPurpose::kGradients || purpose == PlanPurpose::kTrainingGradients;
  o.backward = purpose == PlanPurpose::kTrain || purpose == PlanPurpose::kCurvature || gradients;
  o.all_parameters = o.input_gradient = gradients;
  o.losses = purpose == PlanPurpose::kPredict ? nullptr : &compiled_losses();
  o.blocking = choose_blocking(graph, outputs, table.floats(), batch);
  return o;
}

ReadyPlan& Network::State::ready(PlanPurpose purpose, std::int64_t batch) {
  values.draw_all();
  const PlanOptions options = plan_options(purpose, batch);
  const auto key =
      std::make_tuple(purpose, options.blocking.layout, options.blocking.block_samples);
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  ReadyPlan r{make_plan(graph, outputs, table, options, kernels), Storage(), 0, {}, {}};
  find_chunks(&r);
  r.packed = Storage(r.plan.packed_floats);
  return plans.emplace(key, std::move(r)).first->second;
}

void Network::State::check_batch(const Batch& batch, bool with_labels) const {
  if (batch.count < 1) throw ShapeError("the batch is empty");
  if (batch.inputs.size() != graph.inputs().size())
    throw ShapeError("the network has " + std::to_string(graph.inputs().size()) +
                     " inputs, the batch " + std::to_string(batch.inputs.size()));
  for (const BatchInput& input : batch.inputs)
    if (!input.x && !input.bytes)
      throw ValueError("the batch has no samples: x and bytes are null");
  if (!with_labels) return;
  compiled_losses();
  if (batch.targets.size() != outputs.size())
    throw ShapeError("the network has " + std::to_string(outputs.size()) +
                     " outputs, the batch targets for " + std::to_string(batch.targets.size()));
  for (std::size_t k = 0; k < outputs.size(); ++k)
    if (!losses[k].none) check_target(batch, k);
}

void Network::State::check_target(const Batch& batch, std::size_t output) const {
  const BatchTarget& target = batch.targets[output];
  const Shape& shape = graph.shape(outputs[output]);
  const std::int64_t classes = loss_classes(shape), positions = loss_positions(shape);
  if (!target.labels && !target.targets)
    throw ShapeError("output " + std::to_string(output) + ", of \"" +
                     graph.nodes()[static_cast<std::size_t>(outputs[output])].name +
                     "\", has a loss and no target in the batch");
  if (!takes_labels(losses[output].options.kind)) {
    if (!target.targets)
      throw ShapeError("this loss takes targets of the output's shape; got integer labels");
    return;
  }
  if (!target.labels)
    throw ShapeError("this loss takes integer labels, one a sample; got rows of targets");
  for (std::int64_t i = 0; i < batch.count; ++i) {
    const std::int64_t* labels = target.labels + batch.row(i) * positions;
    for (std::int64_t p = 0; p < positions; ++p)
      if (labels[p] < 0 || labels[p] >= classes)
        throw ValueError("label " + std::to_string(labels[p]) + " of sample " + std::to_string(i) +
                         " of the batch is out of range: the output has " +
                         std::to_string(classes) + " classes, 0 to " + std::to_string(classes - 1));
  }
}

std::int64_t Network::State::shards_of(const Plan& plan, std::int64_t blocks) const {
  return plan.options.blocking.wide ? 1 : shard_count(blocks);
}

void Network::State::prepare_gradients(const ReadyPlan& ready, std::int64_t shard_total) {
  reserve_shards(shard_total);
  for (std::size_t p : ready.unreached)
    for (std::int64_t s = 0; s < shard_total; ++s)
      std::fill_n(shard_parameters[static_cast<std::size_t>(s)][p],
                  align_up(table.all()[p].spec.shape.size()), 0.0f);
}

void Network::State::reserve_shards(std::int64_t shard_total) {
  const std::int64_t needed = checked_mul(shard_total, table.floats());
  // By count: shards of a network without parameters take no memory.
  if (shard_parameters.size() >= static_cast<std::size_t>(shard_total)) return;
  shards.reserve(needed);
  shard_parameters.clear();
  shard_pointers.clear();
  for (std::int64_t s = 0; s < shard_total; ++s) {
    std::vector<float*> pointers;
    for (const Parameter& p : table.all())
      pointers.push_back(shards.data() + s * table.floats() + p.offset);
    shard_parameters.push_back(std::move(pointers));
  }
  for (const auto& pointers : shard_parameters) shard_pointers.push_back(pointers.data());
}

// Returns the number of threads.
int Network::State::prepare(const Pass& pass, std::int64_t blocks, ExecutorCall* call) {
  const Plan& plan = pass.ready->plan;
  const bool back = plan.options.gradients();
  call->shards = shards_of(plan, blocks);
  const std::int64_t tasks = back && !plan.options.blocking.wide ? call->shards : blocks;
  const int threads = static_cast<int>(std::min<std::int64_t>(num_threads(), plan.widest(tasks)));
  if (arenas.size() < static_cast<std::size_t>(threads))
    arenas.resize(static_cast<std::size_t>(threads));
  arena_pointers.clear();
  for (int t = 0; t < threads; ++t) {
    Storage& arena = arenas[static_cast<std::size_t>(t)];
    arena.reserve(plan.thread_floats);
    arena_pointers.push_back(arena.data());
  }
  batch_arena.reserve(checked_mul(plan.batch_floats, blocks));
  fixed_arena.reserve(plan.fixed_floats);
  block_results.assign(static_cast<std::size_t>(blocks) * outputs.size(), {});
  if (back) prepare_gradients(*pass.ready, call->shards);
  call->batch = pass.batch;
  call->params = {values.each(), pass.ready->packed.data()};
  call->backward_params = pass.backward_params ? *pass.backward_params : call->params;
  call->seed = seed;
  call->first_sample = samples_seen;
  call->check_numerics = numerics;
  call->pieces_before = pass.pieces_before;
  call->order = pass.order;
  call->dparams = shard_pointers.data();
  call->arenas = arena_pointers.data();
  call->batch_arena = batch_arena.data();
  call->fixed_arena = fixed_arena.data();
  call->outputs = pass.outputs && !pass.outputs->empty() ? pass.outputs->data() : nullptr;
  call->input_gradients = pass.input_gradients && !pass.input_gradients->empty()
                              ? pass.input_gradients->data()
                              : nullptr;
  call->results = block_results.data();
  return threads;
}

void Network::State::find_chunks(ReadyPlan* ready) const {
  const Plan& plan = ready->plan;
  if (!plan.options.gradients()) return;
  std::vector<bool> reached(table.all().size(), false);
  for (const PlannedBackward& b : plan.backward) {
    const PlannedStep& s = plan.steps[static_cast<std::size_t>(b.step)];
    for (int p = 0; b.wants_parameters && p < s.parameter_count; ++p)
      reached[static_cast<std::size_t>(s.first_parameter + p)] = true;
  }
  for (std::size_t i = 0; i < table.all().size(); ++i) {
    const Parameter& p = table.all()[i];
    const bool trained = p.spec.trainable && (reached[i] || rules[i].regularized());
    if (!trained && !plan.options.all_parameters) continue;
    append_chunks(p, i, &ready->chunks);
    if (!reached[i]) ready->unreached.push_back(i);
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
  const Executor executor(plan, graph, table, kernels);
  const std::int64_t blocks = executor.block_count(pass.batch->count);
  ExecutorCall call;
  const int threads = prepare(pass, blocks, &call);
  const bool stale = pass.ready->packed_version != version;
  parallel_region(threads, [&](Team& team) {
    if (stale) executor.pack(team, call.params, plan.options.gradients());
    executor.run(team, call);
    if (pass.reduce)
      team.for_each(static_cast<std::int64_t>(pass.ready->chunks.size()), [&](std::int64_t c) {
        const GradientChunk& chunk = pass.ready->chunks[static_cast<std::size_t>(c)];
        (*pass.reduce)(chunk, sum_shards(chunk, call.shards));
      });
    if (pass.update) update_weights(team, pass, call.shards);
  });
  if (pass.update_state) executor.commit(call, values.mutable_each());
  pass.ready->packed_version = version;
  return collect(*pass.batch, blocks);
}

BatchLoss Network::State::collect(const Batch& batch, std::int64_t blocks) const {
  BatchLoss total;
  total.outputs.resize(outputs.size());
  for (std::int64_t b = 0; b < blocks; ++b)
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      const BatchResult& r = block_results[static_cast<std::size_t>(b) * outputs.size() + k];
      total.outputs[k].loss += r.loss;
      total.outputs[k].correct += r.correct;
    }
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    total.outputs[k].loss /= static_cast<double>(batch.count);
    if (compiled) total.loss += losses[k].weight * total.outputs[k].loss;
  }
  return total;
}

MemoryUse Network::State::memory(const Plan& plan, std::int64_t batch) const {
  const bool training = plan.options.gradients();
  if (!training && plan.options.blocking.wide) batch = std::min(batch, kPiece);
  const Executor executor(plan, graph, table, kernels);
  const std::int64_t blocks = executor.block_count(batch), flat = table.floats();
  const std::int64_t shard_total = training ? shards_of(plan, blocks) : 0;
  const std::int64_t tasks = training && !plan.options.blocking.wide ? shard_total : blocks;
  const std::int64_t threads = std::min<std::int64_t>(num_threads(), plan.widest(tasks));
  const auto bytes = [](std::int64_t n, std::int64_t floats) {
    return checked_mul(checked_mul(n, floats), sizeof(float));
  };
  const auto slots =
      training && update ? static_cast<std::int64_t>(update->slot_names().size()) : 0;
  const std::int64_t activations =
      checked_add(checked_add(bytes(threads, plan.thread_floats), bytes(blocks, plan.batch_floats)),
                  bytes(1, plan.fixed_floats));
  return {bytes(1, flat), bytes(shard_total, flat), bytes(slots, flat),
          bytes(1, plan.packed_floats), activations};
}

BatchLoss Network::State::run_in_pieces(const Pass& pass) {
  const Batch& batch = *pass.batch;
  if (!pass.ready->plan.options.blocking.wide || batch.count <= kPiece) return run(pass);
  BatchLoss total;
  total.outputs.resize(outputs.size());
  std::vector<std::int64_t> rows(static_cast<std::size_t>(kPiece));
  for (std::int64_t first = 0; first < batch.count; first += kPiece) {
    Batch piece = batch;
    piece.count = std::min(kPiece, batch.count - first);
    for (std::int64_t i = 0; i < piece.count; ++i)
      rows[static_cast<std::size_t>(i)] = batch.row(first + i);
    piece.rows = rows.data();
    std::vector<float*> to;
    if (pass.outputs) to = *pass.outputs;
    for (std::size_t k = 0; k < to.size(); ++k)
      if (to[k]) to[k] += first * graph.shape(outputs[k]).size();
    Pass part = pass;
    part.batch = &piece;
    part.pieces_before = first;
    part.outputs = &to;
    const BatchLoss r = run(part);
    const double share = static_cast<double>(piece.count) / static_cast<double>(batch.count);
    total.loss += r.loss * share;
    for (std::size_t k = 0; k < outputs.size(); ++k) {
      total.outputs[k].loss += r.outputs[k].loss * share;
      total.outputs[k].correct += r.outputs[k].correct;
    }
  }
  return total;
}

}  // namespace striate
