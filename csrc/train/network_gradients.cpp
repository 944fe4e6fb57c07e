// Where a network's gradients lie, in shards or in the batch's arena, and how they become an
// update.
#include <algorithm>

#include "striate/threads.h"
#include "train/network_state.h"

namespace striate {
namespace {

// Floats of gradient that a thread sums and applies at once: 16 KiB, half an L1 cache.
constexpr std::int64_t kChunk = 4096;

void append_chunks(const Parameter& p, std::size_t index, std::vector<GradientChunk>* chunks) {
  const std::int64_t size = align_up(p.spec.shape.size());
  for (std::int64_t at = 0; at < size; at += kChunk)
    chunks->push_back({p.offset + at, std::min(kChunk, size - at), index});
}

}  // namespace

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

// Gradients of a plan that places them: where it says.
void Network::State::point_at_placed(ReadyPlan* ready) {
  std::vector<float*> pointers;
  for (const Place& place : ready->plan.parameter_gradients)
    pointers.push_back(place.arena == Arena::kNone ? nullptr : batch_arena.data() + place.offset);
  std::int64_t floats = 0;
  for (std::size_t p : ready->unreached) floats += align_up(table.all()[p].spec.shape.size());
  ready->unreached_gradients.reserve(floats);
  float* next = ready->unreached_gradients.data();
  for (std::size_t p : ready->unreached) {
    pointers[p] = next;
    next += align_up(table.all()[p].spec.shape.size());
  }
  shard_parameters.assign(1, std::move(pointers));
  shard_pointers.assign(1, shard_parameters[0].data());
}

void Network::State::prepare_gradients(ReadyPlan* ready, std::int64_t shard_total) {
  if (ready->plan.options.blocks)
    point_at_placed(ready);
  else
    reserve_shards(shard_total);
  for (std::size_t p : ready->unreached)
    for (std::int64_t s = 0; s < shard_total; ++s)
      std::fill_n(shard_parameters[static_cast<std::size_t>(s)][p],
                  align_up(table.all()[p].spec.shape.size()), 0.0f);
}

float* Network::State::gradient_of(const GradientChunk& chunk, std::int64_t shard) const {
  return shard_parameters[static_cast<std::size_t>(shard)][chunk.parameter] +
         (chunk.begin - table.all()[chunk.parameter].offset);
}

float* Network::State::sum_shards(const GradientChunk& chunk, std::int64_t shard_total) {
  const float* parts[64];
  for (std::int64_t s = 0; s < shard_total; ++s) parts[s] = gradient_of(chunk, s);
  float* sum = gradient_of(chunk);
  // What fills up the parameter's last cache line: in an arena something else was there.
  const Parameter& p = table.all()[chunk.parameter];
  const std::int64_t filled = p.offset + p.spec.shape.size() - chunk.begin;
  if (filled < chunk.n) std::fill(sum + filled, sum + chunk.n, 0.0f);
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
  if (meet) {
    team.for_each(1, [&](std::int64_t) { step.find_scales(); });
    team.for_each(count, [&](std::int64_t c) {
      const auto i = static_cast<std::size_t>(c);
      step.apply(i, gradient_of(chunks[i]));
    });
  }
  if (step.has_matrices())
    step.apply_matrices(team, [&](const GradientChunk& chunk) { return gradient_of(chunk); });
}

// The optimizer's slots, in the first step. A wide network's are as large as its weights, so the
// activations' memory goes before they come: what a step takes at most is then one or the other.
void Network::State::make_slots(const Pass& pass) {
  if (pass.ready->plan.options.blocks) {
    std::vector<Place> kept;  // gradients, by offset
    for (const Place& place : pass.ready->plan.parameter_gradients)
      if (place.arena != Arena::kNone) kept.push_back(place);
    std::sort(kept.begin(), kept.end(),
              [](const Place& a, const Place& b) { return a.offset < b.offset; });
    std::int64_t end = 0;
    for (const Place& place : kept) {
      batch_arena.release(end, place.offset);
      end = place.offset + place.floats;
    }
    batch_arena.release(end, batch_arena.size());
    for (Storage& arena : arenas) arena.release(0, arena.size());
  }
  pass.update->make_slots();
}

}  // namespace striate
