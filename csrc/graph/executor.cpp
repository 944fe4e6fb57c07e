#include "graph/executor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "striate/error.h"

namespace striate {
namespace {

// Adds the time of its life to an action's, where a profile asks for it.
class ActionTime {
 public:
  ActionTime(double* seconds, int action) : to_(seconds ? seconds + action : nullptr) {
    if (to_) start_ = std::chrono::steady_clock::now();
  }
  ~ActionTime() {
    if (!to_) return;
    *to_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }
  ActionTime(const ActionTime&) = delete;
  ActionTime& operator=(const ActionTime&) = delete;

 private:
  double* to_;
  std::chrono::steady_clock::time_point start_;
};

}  // namespace

float* Executor::at(const Place& place, const Where& w) const {
  switch (place.arena) {
    case Arena::kThread:
      return w.thread + place.offset;
    case Arena::kBatch:
      return w.call.batch_arena + place.offset * (plan_.options.blocks ? 1 : w.blocks) +
             w.range.block * place.floats;
    case Arena::kFixed:
      return w.call.fixed_arena + place.offset;
    case Arena::kNone:
      break;
  }
  return nullptr;
}

Executor::BlockRange Executor::range(const Batch& batch, std::int64_t block) const {
  const std::int64_t size = plan_.options.blocking.block_samples;
  return {block, block * size, static_cast<int>(std::min(size, batch.count - block * size))};
}

void Executor::run(Team& team, const ExecutorCall& call) const {
  for (const Stretch& stretch : plan_.timeline.stretches) {
    if (stretch.kind == Stretch::Kind::kBlocks)
      run_blocks(team, stretch, call);
    else if (stretch.kind == Stretch::Kind::kTasks)
      run_tasks(team, stretch, call);
    else
      team.for_each(1, [&](std::int64_t) {
        const ActionTime time(seconds_of(team, call), stretch.begin);
        run_once(plan_.timeline.actions[index(stretch.begin)], call);
      });
  }
}

// ---- block by block

void Executor::run_blocks(Team& team, const Stretch& stretch, const ExecutorCall& call) const {
  const std::int64_t blocks = block_count(call.batch->count);
  // A gradient's shards are summed block after block, so a shard is one task; without shards every
  // block is.
  const bool sharded = plan_.options.gradients() && !plan_.options.blocking.wide;
  const std::int64_t tasks = sharded ? call.shards : blocks;
  const std::int64_t beside = tasks_of(stretch.begin, stretch.end_tasks, call);
  team.for_each(beside + tasks, [&](std::int64_t task) {
    if (task < beside) return run_one(stretch.begin, task, team, call);
    task -= beside;
    for (std::int64_t b = task * blocks / tasks; b < (task + 1) * blocks / tasks; ++b)
      run_block(stretch,
                {call, call.arenas[team.rank()], range(*call.batch, b), sharded ? task : 0, blocks},
                seconds_of(team, call));
  });
}

void Executor::run_block(const Stretch& stretch, const Where& w, double* seconds) const {
  for (int i = stretch.end_tasks; i < stretch.end; ++i) {
    const ActionTime time(seconds, i);
    run_action(plan_.timeline.actions[index(i)], w);
  }
}

void Executor::run_action(const Action& a, const Where& w) const {
  Pointers p;
  switch (a.kind) {
    case ActionKind::kLoad:
      return load(a.index, w);
    case ActionKind::kForward: {
      const PlannedStep& s = plan_.steps[index(a.index)];
      s.step->forward(forward_args(s, w, &p));
      if (w.call.check_numerics) check(&s, s.output, value(s.output, w), w, false);
      return;
    }
    case ActionKind::kGather: {
      const PlannedStep& s = plan_.steps[index(a.index)];
      return s.step->gather(forward_args(s, w, &p), at(s.parts, w));
    }
    case ActionKind::kLoss:
      return run_loss(a.index, w);
    case ActionKind::kStore: {
      const PlannedOutput& o = plan_.outputs[index(a.index)];
      float* rows = w.call.outputs ? w.call.outputs[a.index] : nullptr;
      if (rows)
        store_rows(o.value, o.fused_softmax ? at(o.scratch, w) : value(o.value, w), w, rows);
      return;
    }
    case ActionKind::kGatherBackward: {
      const PlannedBackward& b = plan_.backward[index(a.index)];
      const PlannedStep& s = plan_.steps[index(b.step)];
      return s.step->gather_backward(backward_args(b, w, &p), at(s.parts_backward, w));
    }
    case ActionKind::kBackward: {
      const PlannedBackward& b = plan_.backward[index(a.index)];
      const PlannedStep& s = plan_.steps[index(b.step)];
      BackwardArgs args = backward_args(b, w, &p);
      float* none[kMaxStepInputs] = {};
      // Made elsewhere: by gradient tasks, or where the blocks met.
      if (plan_.options.blocking.wide || s.step->part_size_backward) args.dparams = none;
      s.step->backward(args);
      if (w.call.check_numerics) check_gradients(b, w);
      return;
    }
    case ActionKind::kAddGradient: {
      const PlannedBackward& b = plan_.backward[index(a.index)];
      const int v = plan_.steps[index(b.step)].inputs[index(a.input)];
      float* sum = gradient(v, w);
      const std::int64_t n =
          plan_.values[index(v)].floats / plan_.options.blocking.block_samples *
          (plan_.values[index(v)].layout == Layout::kSamples ? plan_.options.blocking.block_samples
                                                             : w.range.samples);
      return kernels_.add(n, sum, at(b.added[index(a.input)], w), sum);
    }
    case ActionKind::kStoreGradient: {
      float* rows = w.call.input_gradients ? w.call.input_gradients[a.index] : nullptr;
      const int v = plan_.inputs[index(a.index)];
      if (!rows) return;
      if (plan_.values[index(v)].gradient.arena != Arena::kNone)
        return store_rows(v, gradient(v, w), w, rows);
      const std::int64_t features = plan_.values[index(v)].shape.size();
      std::fill_n(rows + w.range.first * features, features * w.range.samples, 0.0f);
      return;
    }
    default:
      return;
  }
}

// Gathers the block's rows of one input, in its value's layout.
void Executor::load(int input, const Where& w) const {
  const Batch& batch = *w.call.batch;
  const BatchInput& from = batch.inputs[index(input)];
  const int v = plan_.inputs[index(input)];
  const PlannedValue& in = plan_.values[index(v)];
  const std::int64_t features = in.shape.size();
  float* x = value(v, w);
  if (in.layout == Layout::kSamples) {
    const float* rows[kLanes];
    const std::uint8_t* bytes[kLanes];
    for (int n = 0; n < w.range.samples; ++n) {
      const std::int64_t row = batch.row(w.range.first + n) * features;
      if (from.bytes)
        bytes[n] = from.bytes + row;
      else
        rows[n] = from.x + row;
    }
    if (from.bytes)
      kernels_.bytes_to_samples(features, w.range.samples, bytes, x);
    else
      kernels_.rows_to_samples(features, w.range.samples, rows, x);
  } else {
    for (int n = 0; n < w.range.samples; ++n) {
      const std::int64_t row = batch.row(w.range.first + n) * features;
      if (from.bytes)
        kernels_.bytes_to_floats(features, from.bytes + row, x + n * features);
      else
        std::memcpy(x + n * features, from.x + row,
                    static_cast<std::size_t>(features) * sizeof(float));
    }
  }
  if (w.call.check_numerics) check(nullptr, v, x, w, false);
}

void Executor::store_rows(int v, const float* from, const Where& w, float* rows) const {
  const PlannedValue& value = plan_.values[index(v)];
  const std::int64_t features = value.shape.size();
  float* to = rows + w.range.first * features;
  if (value.layout == Layout::kSamples)
    kernels_.samples_to_rows(features, w.range.samples, from, features, to);
  else
    std::memcpy(to, from, static_cast<std::size_t>(features * w.range.samples) * sizeof(float));
}

void Executor::run_loss(int output, const Where& w) const {
  const PlannedOutput& o = plan_.outputs[index(output)];
  const PlannedValue& out = plan_.values[index(o.value)];
  const Batch& batch = *w.call.batch;
  const BatchTarget& target = batch.targets[index(output)];
  const OutputLoss& loss = (*plan_.options.losses)[index(output)];
  const std::int64_t* labels[kLanes];
  const float* targets[kLanes];
  float weights[kLanes];
  LossArgs a;
  a.samples = w.range.samples;
  a.positions = loss_positions(out.shape);
  a.classes = loss_classes(out.shape);
  for (int n = 0; n < a.samples; ++n) {
    const std::int64_t row = batch.row(w.range.first + n);
    if (target.labels) labels[n] = target.labels + row * a.positions;
    if (target.targets) targets[n] = target.targets + row * out.shape.size();
    if (target.weights) weights[n] = target.weights[row];
  }
  a.outputs = value(o.value, w);
  a.labels = labels;
  a.targets = target.targets ? targets : nullptr;
  a.weights = target.weights ? weights : nullptr;
  a.scale = static_cast<float>(loss.weight / static_cast<double>(batch.count));
  a.gradient = gradient(o.value, w);
  if (o.loss_adds && a.gradient) a.gradient = at(o.added_gradient, w);
  a.order = w.call.order;
  a.scratch = at(o.scratch, w);
  o.loss->run(a);
  if (o.loss_adds && a.gradient) {
    float* sum = gradient(o.value, w);
    kernels_.add(out.shape.size() * a.samples, sum, a.gradient, sum);
  }
  BatchResult& result =
      w.call.results[w.range.block * static_cast<std::int64_t>(plan_.outputs.size()) + output];
  result.loss += a.loss;
  result.correct += a.correct;
}

// ---- over the whole batch

void Executor::run_once(const Action& a, const ExecutorCall& call) const {
  const std::int64_t blocks = block_count(call.batch->count);
  const Where w{call, nullptr, {0, 0, 0}, 0, blocks};
  if (a.kind == ActionKind::kMeet) {
    const PlannedStep& s = plan_.steps[index(a.index)];
    return s.step->meet(meet_args(s, false, w));
  }
  const PlannedBackward& b = plan_.backward[index(a.index)];
  const PlannedStep& s = plan_.steps[index(b.step)];
  MeetArgs args = meet_args(s, true, w);
  args.dparams = b.wants_parameters ? call.dparams[0] + s.first_parameter : nullptr;
  args.accumulate = b.adds_parameters;
  s.step->meet_backward(args);
  if (!b.wants_parameters || b.adds_parameters) return;
  // The gradient is whole: the first shard has all of it.
  for (std::int64_t shard = 1; shard < call.shards; ++shard)
    for (int p = s.first_parameter; p < s.first_parameter + s.parameter_count; ++p)
      std::fill_n(call.dparams[shard][p], table_.all()[index(p)].spec.shape.size(), 0.0f);
}

void Executor::run_one(int i, std::int64_t task, Team& team, const ExecutorCall& call) const {
  const std::int64_t blocks = block_count(call.batch->count);
  const auto& actions = plan_.timeline.actions;
  for (std::int64_t n; task >= (n = plan_.task_count(actions[index(i)], blocks)); ++i) task -= n;
  Where w{call, call.arenas[team.rank()], {0, 0, 0}, 0, blocks};
  w.range.samples = static_cast<int>(call.batch->count);
  const ActionTime time(seconds_of(team, call), i);
  run_task(actions[index(i)], static_cast<int>(task), w);
}

// A stretch's actions are independent, so their tasks run side by side.
void Executor::run_tasks(Team& team, const Stretch& stretch, const ExecutorCall& call) const {
  team.for_each(tasks_of(stretch.begin, stretch.end, call),
                [&](std::int64_t task) { run_one(stretch.begin, task, team, call); });
  for (int i = stretch.begin; call.check_numerics && i < stretch.end; ++i)
    check_tasks(team, plan_.timeline.actions[index(i)], call);
}

std::int64_t Executor::tasks_of(int begin, int end, const ExecutorCall& call) const {
  std::int64_t total = 0;
  for (int i = begin; i < end; ++i)
    total += plan_.task_count(plan_.timeline.actions[index(i)], block_count(call.batch->count));
  return total;
}

// What the tasks made together, block by block.
void Executor::check_tasks(Team& team, const Action& a, const ExecutorCall& call) const {
  const std::int64_t blocks = block_count(call.batch->count);
  if (a.kind != ActionKind::kForwardTasks && a.kind != ActionKind::kBackwardTasks) return;
  team.for_each(blocks, [&](std::int64_t block) {
    const Where w{call, call.arenas[team.rank()], range(*call.batch, block), 0, blocks};
    if (a.kind == ActionKind::kForwardTasks) {
      const PlannedStep& s = plan_.steps[index(a.index)];
      return check(&s, s.output, value(s.output, w), w, false);
    }
    check_gradients(plan_.backward[index(a.index)], w);
  });
}

void Executor::run_task(const Action& a, int task, const Where& w) const {
  Pointers p;
  const auto step = [&](int i) -> const PlannedStep& { return plan_.steps[index(i)]; };
  switch (a.kind) {
    case ActionKind::kPack:
      return pack_step(step(a.index), false, task, w.call.params, at(step(a.index).packed, w));
    case ActionKind::kPackBackward:
      return pack_step(step(a.index), true, task, w.call.backward_params,
                       at(step(a.index).packed_backward, w));
    case ActionKind::kForwardTasks: {
      if (step(a.index).step->forward_tasks == 0)
        return run_action({ActionKind::kForward, a.index},
                          {w.call, w.thread, range(*w.call.batch, task), 0, w.blocks});
      ForwardArgs args = forward_args(step(a.index), w, &p);
      args.scratch = at(step(a.index).forward_task_scratch, w);
      return step(a.index).step->forward_task(args, task);
    }
    default:
      break;
  }
  const PlannedBackward& b = plan_.backward[index(a.index)];
  BackwardArgs args = backward_args(b, w, &p);
  args.shares = at(step(b.step).gradient_shares, w);
  if (a.kind == ActionKind::kGradientSums) return step(b.step).step->gradient_sum(args, task);
  if (a.kind == ActionKind::kBackwardTasks) {
    args.scratch = at(step(b.step).backward_task_scratch, w);
    return step(b.step).step->backward_task(args, task);
  }
  args.scratch = at(step(b.step).gradient_task_scratch, w);
  if (step(b.step).step->gradient_tasks == 0) return gradient_by_blocks(b, w);
  step(b.step).step->gradient_task(args, task);
}

// For steps of few parameters that know only blocks: one task walks all of them in order.
void Executor::gradient_by_blocks(const PlannedBackward& b, const Where& whole) const {
  Pointers p;
  float* none[kMaxStepInputs] = {};
  for (std::int64_t block = 0; block < whole.blocks; ++block) {
    Where w{whole.call, whole.thread, range(*whole.call.batch, block), 0, whole.blocks};
    BackwardArgs args = backward_args(b, w, &p);
    args.dx = none;
    args.accumulate = b.adds_parameters || block > 0;
    plan_.steps[index(b.step)].step->backward(args);
  }
}

// ---- numerics

void Executor::check_gradients(const PlannedBackward& b, const Where& w) const {
  Pointers p;
  const PlannedStep& s = plan_.steps[index(b.step)];
  const BackwardArgs args = backward_args(b, w, &p);
  for (std::size_t k = 0; k < s.inputs.size(); ++k)
    if (args.dx[k]) check(&s, s.inputs[k], args.dx[k], w, true);
}

// Names the first layer whose values are not finite, and the sample.
void Executor::check(const PlannedStep* step, int v, const float* data, const Where& w,
                     bool backward) const {
  const PlannedValue& value = plan_.values[index(v)];
  const bool lanes = value.layout == Layout::kSamples;
  const std::int64_t features = value.shape.size();
  for (std::int64_t f = 0; f < features; ++f)
    for (int n = 0; n < w.range.samples; ++n) {
      const float e = lanes ? data[f * kLanes + n] : data[n * features + f];
      if (std::isfinite(e)) continue;
      const std::string what = std::isnan(e) ? "NaN" : "infinity";
      const std::string where =
          " in sample " + std::to_string(w.call.pieces_before + w.range.first + n) +
          " of the batch, feature " + std::to_string(f) + " of " + value.shape.str();
      if (!step) throw NumericsError("input: " + what + where);
      const std::string name =
          step->node < 0 ? "a change of layout" : graph_.nodes()[index(step->node)].name;
      throw NumericsError(name + (backward ? ", gradient of its input: " : ", output: ") + what +
                          where);
    }
}

}  // namespace striate
