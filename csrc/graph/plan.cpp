#include "graph/plan.h"

#include <algorithm>

#include "core/storage.h"
#include "graph/memory.h"

namespace striate {
namespace {

// Activations of a block, forward only, that still count as near the L2 cache (floats; 4 MiB).
// LeNet-5's 16 samples are 0.5 MiB.
constexpr std::int64_t kNearCache = std::int64_t{1} << 20;
// From this many samples on, idle lanes cost less than 16-wide vectors on 1, 6 or 16 channels do.
constexpr std::int64_t kLanesFrom = 8;
constexpr std::int64_t kMaxShards = 16;
constexpr std::int64_t kShardFloats = std::int64_t{1} << 27;  // all gradient shards: 512 MiB

// Assigns memory to a plan's values and steps, walking its timeline: steps forward at 0..n-1, the
// loss at n, backward steps from n+1.
class MemoryPlanner {
 public:
  explicit MemoryPlanner(Plan& plan) : plan_(plan), steps_(static_cast<int>(plan.steps.size())) {
    backward_time_.assign(plan.steps.size(), -1);
    int time = steps_ + 1;
    for (const BackwardStep& b : plan.backward)
      backward_time_[static_cast<std::size_t>(b.step)] = time++;
    end_ = time;
  }

  void run() {
    add_values();
    add_gradients();
    share_in_place();
    add_step_memory();
    const PlannedValue& out = plan_.values[static_cast<std::size_t>(plan_.output)];
    const int loss_scratch =
        arena_.add(plan_.fused_softmax ? out.floats : out.shape.size(), steps_, steps_);
    plan_.arena_floats = arena_.place();
    plan_.loss_scratch = arena_.offset(loss_scratch);
    for (std::size_t v = 0; v < plan_.values.size(); ++v) {
      plan_.values[v].offset = arena_.offset(value_[v]);
      plan_.values[v].gradient_offset = gradient_[v] < 0 ? -1 : arena_.offset(gradient_[v]);
    }
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      PlannedStep& s = plan_.steps[i];
      s.saved = arena_.offset(memory_[3 * i]);
      s.scratch_forward = arena_.offset(memory_[3 * i + 1]);
      s.scratch_backward = arena_.offset(memory_[3 * i + 2]);
    }
  }

 private:
  int backward_time(std::size_t step) const { return backward_time_[step]; }

  void add_values() {
    value_.assign(plan_.values.size(), -1);
    value_[0] = arena_.add(plan_.values[0].floats, 0, 0);
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const PlannedStep& s = plan_.steps[i];
      const int now = static_cast<int>(i);
      const auto out = static_cast<std::size_t>(s.output);
      value_[out] = arena_.add(plan_.values[out].floats, now, now);
      for (int v : s.inputs) arena_.extend(value_[static_cast<std::size_t>(v)], now);
      if (backward_time(i) < 0) continue;
      if (s.step->backward_reads_y) arena_.extend(value_[out], backward_time(i));
      if (s.step->backward_reads_x)
        for (int v : s.inputs) arena_.extend(value_[static_cast<std::size_t>(v)], backward_time(i));
    }
    arena_.extend(value_[static_cast<std::size_t>(plan_.output)], steps_);
  }

  void add_gradients() {
    gradient_.assign(plan_.values.size(), -1);
    if (plan_.backward.empty()) return;
    const auto out = static_cast<std::size_t>(plan_.output);
    gradient_[out] = arena_.add(plan_.values[out].floats, steps_, steps_);
    for (const BackwardStep& b : plan_.backward) {
      const PlannedStep& s = plan_.steps[static_cast<std::size_t>(b.step)];
      const int now = backward_time(static_cast<std::size_t>(b.step));
      arena_.extend(gradient_[static_cast<std::size_t>(s.output)], now);
      for (std::size_t k = 0; k < s.inputs.size(); ++k) {
        const auto v = static_cast<std::size_t>(s.inputs[k]);
        if (b.wants_input[k]) gradient_[v] = arena_.add(plan_.values[v].floats, now, now);
      }
    }
    if (gradient_[0] >= 0) arena_.extend(gradient_[0], end_);
  }

  // y takes x's memory where nothing reads x afterwards; dx takes dy's.
  void share_in_place() {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const PlannedStep& s = plan_.steps[i];
      if (s.inputs.size() != 1) continue;
      const auto x = static_cast<std::size_t>(s.inputs[0]), y = static_cast<std::size_t>(s.output);
      if (s.step->forward_in_place && last_use(x, i)) arena_.share(value_[x], value_[y]);
      if (s.step->backward_in_place && gradient_[x] >= 0 && gradient_[y] >= 0)
        arena_.share(gradient_[y], gradient_[x]);
    }
  }

  // Whether step i is the only reader of value v, backward passes included.
  bool last_use(std::size_t v, std::size_t i) const {
    if (v == static_cast<std::size_t>(plan_.output)) return false;
    for (std::size_t k = 0; k < plan_.steps.size(); ++k) {
      const PlannedStep& s = plan_.steps[k];
      const bool reads = std::count(s.inputs.begin(), s.inputs.end(), static_cast<int>(v)) > 0;
      if (reads && k != i) return false;
      if (backward_time(k) < 0) continue;
      if (reads && s.step->backward_reads_x) return false;
      if (s.output == static_cast<int>(v) && s.step->backward_reads_y) return false;
    }
    return true;
  }

  void add_step_memory() {
    for (std::size_t i = 0; i < plan_.steps.size(); ++i) {
      const Step& s = *plan_.steps[i].step;
      const int now = static_cast<int>(i), back = backward_time(i);
      memory_.push_back(
          arena_.add(plan_.keeps_for_backward() ? s.saved_size : 0, now, std::max(now, back)));
      memory_.push_back(arena_.add(s.scratch_size, now, now));
      memory_.push_back(arena_.add(back < 0 ? 0 : s.scratch_size, back, back));
    }
  }

  Plan& plan_;
  int steps_, end_;
  std::vector<int> backward_time_;
  ArenaLayout arena_;
  std::vector<int> value_, gradient_, memory_;
};

}  // namespace

Blocking choose_blocking(const Graph& graph, ValueId output, std::int64_t batch) {
  std::int64_t floats = 0;
  for (ValueId v = 0; v <= output; ++v) floats = checked_add(floats, graph.shape(v).size());
  if (batch >= kLanesFrom && floats <= kNearCache / kLanes) return {Layout::kSamples, kLanes};
  const std::int64_t fit = std::clamp<std::int64_t>(kNearCache / floats, 1, kLanes);
  return {Layout::kChannels, static_cast<int>(std::min(fit, std::max<std::int64_t>(batch, 1)))};
}

std::int64_t shard_count(std::int64_t blocks, std::int64_t parameter_floats) {
  const std::int64_t room =
      std::max<std::int64_t>(kShardFloats / std::max<std::int64_t>(parameter_floats, 1), 1);
  return std::min({blocks, kMaxShards, room});
}

Plan make_plan(const Graph& graph, ValueId output, const ParameterTable& parameters,
               const PlanOptions& options, const KernelTable& kernels) {
  Program program = lower(graph, output, {options.training, options.loss, options.blocking.layout});
  Plan plan;
  plan.options = options;
  plan.output = program.output;
  plan.packed_floats = 0;
  plan.fused_softmax = program.fused_softmax;
  for (const ProgramValue& v : program.values)
    plan.values.push_back({v.shape, v.layout,
                           block_floats(v.shape, v.layout, options.blocking.block_samples), 0, -1});
  if (options.backward || options.input_gradient)
    plan.backward =
        differentiate(program, parameters, options.all_parameters, options.input_gradient);
  for (const ProgramStep& s : program.steps) {
    if (s.inputs.size() > kMaxStepInputs)
      throw ValueError("an operation takes at most " + std::to_string(kMaxStepInputs) + " inputs");
    StepOptions bind{{}, Layout::kChannels, options.blocking.block_samples, &kernels};
    for (int v : s.inputs) bind.inputs.push_back(program.values[static_cast<std::size_t>(v)].shape);
    bind.layout = program.values[static_cast<std::size_t>(s.output)].layout;
    PlannedStep p{s.op->bind(bind), s.node, s.inputs, s.output, 0, 0, plan.packed_floats, 0, 0, 0};
    if (s.node >= 0) {
      p.first_parameter = parameters.first(s.node);
      p.parameter_count = parameters.count(s.node);
    }
    plan.packed_floats = checked_add(plan.packed_floats, align_up(p.step->packed_size));
    plan.steps.push_back(std::move(p));
  }
  if (options.loss)
    plan.loss = std::make_unique<Loss>(*options.loss, program.fused_softmax, kernels);
  MemoryPlanner(plan).run();
  return plan;
}

}  // namespace striate
