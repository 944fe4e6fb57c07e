#include "train/network_state.h"

#include <algorithm>
#include <cmath>

#include "striate/error.h"
#include "striate/threads.h"

namespace striate {
namespace {

// Plans are kept by batch size in wide networks' training; beyond so many all are made anew.
constexpr std::size_t kMostPlans = 16;

// Samples of an inference batch that a wide network takes at once.
constexpr std::int64_t kPiece = 32;

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
  // Squared weights and activations, in small networks: not worth passes of its own.
  o.winograd = precision != Precision::kStrict && purpose != PlanPurpose::kCurvature;
  if (precision == Precision::kBfloat16 && purpose != PlanPurpose::kCurvature)
    o.bfloat16 = bfloat16_kernels();
  o.losses = purpose == PlanPurpose::kPredict ? nullptr : &compiled_losses();
  o.blocking = blocking_for(batch);
  o.blocking.cut &= !o.training && !o.gradients();
  if (o.blocking.wide && o.gradients()) o.blocks = block_count(o.blocking, batch);
  return o;
}

const Blocking& Network::State::blocking_for(std::int64_t batch) const {
  if (blocking_batch != batch) {
    last_blocking = choose_blocking(graph, outputs, table, batch, kernels);
    blocking_batch = batch;
  }
  return last_blocking;
}

ReadyPlan& Network::State::ready(PlanPurpose purpose, std::int64_t batch) {
  values.draw_all();
  const PlanOptions options = plan_options(purpose, batch);
  const auto key = std::make_tuple(purpose, options.blocking.layout, options.blocking.block_samples,
                                   options.blocking.cut, options.blocks);
  const auto found = plans.find(key);
  if (found != plans.end()) return found->second;
  if (plans.size() >= kMostPlans) plans.clear();
  ReadyPlan r{make_plan(graph, outputs, table, options, kernels), Storage(), 0, {}, {}, Storage()};
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
  batch_arena.reserve(plan.batch_total(blocks));
  fixed_arena.reserve(plan.fixed_floats);
  block_results.assign(static_cast<std::size_t>(blocks) * outputs.size(), {});
  if (back) prepare_gradients(pass.ready, call->shards);
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
  call->fixed_arena = plan.options.blocks ? batch_arena.data() : fixed_arena.data();
  call->outputs = pass.outputs && !pass.outputs->empty() ? pass.outputs->data() : nullptr;
  call->input_gradients = pass.input_gradients && !pass.input_gradients->empty()
                              ? pass.input_gradients->data()
                              : nullptr;
  call->results = block_results.data();
  if (pass.seconds) {
    pass.seconds->assign(static_cast<std::size_t>(threads),
                         std::vector<double>(plan.timeline.actions.size(), 0.0));
    second_pointers.clear();
    for (std::vector<double>& of_rank : *pass.seconds) second_pointers.push_back(of_rank.data());
    call->seconds = second_pointers.data();
  }
  return threads;
}

void Network::State::require_average() const {
  if (!update || !update->options().use_ema)
    throw ValueError("the network keeps no average of its weights: compile with use_ema");
}

void Network::State::require_thawed() const {
  if (frozen) throw ValueError("the network is frozen, for inference alone");
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
  const bool late = pass.update && pass.update->lacks_slots();
  parallel_region(threads, [&](Team& team) {
    if (stale) executor.pack(team, call.params, plan.options.gradients());
    executor.run(team, call);
    if (pass.reduce)
      team.for_each(static_cast<std::int64_t>(pass.ready->chunks.size()), [&](std::int64_t c) {
        const GradientChunk& chunk = pass.ready->chunks[static_cast<std::size_t>(c)];
        (*pass.reduce)(chunk, sum_shards(chunk, call.shards));
      });
    if (pass.update && !late) update_weights(team, pass, call.shards);
  });
  if (pass.update_state) executor.commit(call, values.mutable_each());
  if (late) {
    make_slots(pass);
    parallel_region(threads, [&](Team& team) { update_weights(team, pass, call.shards); });
  }
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
  std::int64_t gradients = bytes(shard_total, flat);
  std::int64_t activations =
      checked_add(bytes(1, checked_add(plan.batch_total(blocks), plan.fixed_floats)),
                  bytes(threads, plan.thread_floats));
  if (plan.options.blocks) {  // gradients lie among the activations
    gradients = 0;
    for (const Place& place : plan.parameter_gradients)
      if (place.arena != Arena::kNone) gradients += bytes(1, place.floats);
    activations -= gradients;
  }
  return {bytes(1, flat), gradients, bytes(slots, flat), bytes(1, plan.packed_floats), activations};
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
