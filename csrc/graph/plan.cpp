#include "graph/plan.h"

#include <algorithm>

#include "core/storage.h"
#include "graph/plan_memory.h"
#include "ops/kernel_costs.h"

namespace striate {
namespace {

// Activations of a block, forward only, that still count as near the L2 cache (floats; 4 MiB).
// LeNet-5's 16 samples are 0.5 MiB.
constexpr std::int64_t kNearCache = std::int64_t{1} << 20;
constexpr std::int64_t kMaxShards = 16;
// Parameters from which a gradient a shard is too much memory to sum (floats; 16 shards: 128 MiB).
constexpr std::int64_t kWideFrom = std::int64_t{1} << 21;
// Fewer parameters are many too where a kernel is large and a block has few samples, so that its
// gradient, made and added once a block, costs more than the block's products. CifarNet's step of
// 1024 images takes 1.53 s so instead of 2.02; ResNet-56's, of small kernels, would take longer.
constexpr std::int64_t kWideKernelsFrom = std::int64_t{1} << 19;
constexpr std::int64_t kWideKernel = std::int64_t{1} << 17;

// Inference of at most so many samples is cut within them, where their activations outgrow a cache.
constexpr std::int64_t kFewSamples = 4;

class PlanBuilder {
 public:
  PlanBuilder(const Graph& graph, const ParameterTable& parameters, const PlanOptions& options,
              const KernelTable& kernels)
      : graph_(graph), parameters_(parameters), options_(options), kernels_(kernels) {}

  Plan build(const std::vector<ValueId>& outputs) {
    fold_ = !options_.training && !options_.gradients();
    const Program program = lower(
        graph_, outputs, {options_.training, fold_, options_.losses, options_.blocking.layout});
    plan_.options = options_;
    plan_.inputs = program.inputs;
    // Weights that change with every batch are packed when they are needed and not kept: a packed
    // copy of all of VGG's would be another gigabyte.
    plan_.packs_persist = !options_.blocking.wide || !options_.gradients();
    for (const ProgramValue& v : program.values)
      plan_.values.push_back(
          {v.shape, v.layout, block_floats(v.shape, v.layout, block_samples()), {}, {}});
    for (const ProgramStep& s : program.steps) add_step(s);
    add_outputs(program);
    if (options_.gradients()) add_backward(program);
    add_timeline(program);
    if (options_.blocks)
      for (const Parameter& p : parameters_.all())
        plan_.parameter_gradients.push_back({Arena::kNone, 0, align_up(p.spec.shape.size())});
    place_memory(&plan_);
    return std::move(plan_);
  }

 private:
  int block_samples() const { return options_.blocking.block_samples; }

  void add_step(const ProgramStep& s) {
    if (s.inputs.size() > kMaxStepInputs)
      throw ValueError("an operation takes at most " + std::to_string(kMaxStepInputs) + " inputs");
    StepOptions bind;
    for (int v : s.inputs) bind.inputs.push_back(plan_.values[static_cast<std::size_t>(v)].shape);
    if (s.adds) bind.inputs.pop_back();
    bind.relu = s.relu;
    bind.adds = s.adds;
    bind.applied = s.applied;
    bind.cut = options_.blocking.cut && fold_;
    bind.layout = plan_.values[static_cast<std::size_t>(s.output)].layout;
    bind.block_samples = block_samples();
    bind.kernels = &kernels_;
    bind.wide = options_.blocking.wide;
    bind.winograd = options_.winograd;
    if (options_.blocking.wide || fold_) bind.bfloat16 = options_.bfloat16;
    bind.keeps_packs = plan_.packs_persist;
    bind.folds = s.folded >= 0;
    bind.training = options_.training && !frozen(s.node);
    PlannedStep p;
    p.step = s.op->bind(bind);
    p.node = s.node;
    p.inputs = s.inputs;
    p.output = s.output;
    p.folded = s.folded;
    p.fused = s.fused;
    if (s.node >= 0) {
      p.first_parameter = parameters_.first(s.node);
      p.parameter_count = parameters_.count(s.node);
    }
    if (s.folded >= 0) {
      const Shape& kernel =
          parameters_.all()[static_cast<std::size_t>(p.first_parameter)].spec.shape;
      p.folded_kernel = kernel.size();
      p.folded_channels = kernel[kernel.rank() - 1];
    }
    plan_.steps.push_back(std::move(p));
  }

  bool frozen(int node) const { return node >= 0 && parameters_.frozen(node); }

  void add_outputs(const Program& program) {
    for (std::size_t k = 0; k < program.outputs.size(); ++k) {
      PlannedOutput o{
          program.outputs[k].value, program.outputs[k].fused_softmax, nullptr, false, {}, {}};
      if (options_.losses && !(*options_.losses)[k].none)
        o.loss = std::make_unique<Loss>((*options_.losses)[k].options, o.fused_softmax, kernels_);
      plan_.outputs.push_back(std::move(o));
    }
  }

  void add_backward(const Program& program) {
    Differentiation d =
        differentiate(program, *options_.losses, parameters_,
                      {options_.backward, options_.all_parameters, options_.input_gradient});
    for (BackwardStep& b : d.steps) {
      PlannedBackward planned;
      static_cast<BackwardStep&>(planned) = std::move(b);
      planned.added.resize(planned.adds_input.size());
      plan_.backward.push_back(std::move(planned));
    }
    for (std::size_t k = 0; k < plan_.outputs.size(); ++k)
      plan_.outputs[k].loss_adds = d.loss_adds[k];
    for (std::size_t v = 0; v < plan_.values.size(); ++v)  // placed later; not kNone: it exists
      if (d.has_gradient[v]) plan_.values[v].gradient.arena = Arena::kThread;
  }

  void add_timeline(const Program& program) {
    std::vector<const Step*> steps;
    for (const PlannedStep& s : plan_.steps) steps.push_back(s.step.get());
    const std::vector<BackwardStep> backward(plan_.backward.begin(), plan_.backward.end());
    plan_.timeline = make_timeline(program, steps, backward,
                                   options_.losses ? *options_.losses : std::vector<OutputLoss>{},
                                   {options_.blocking.wide, !plan_.packs_persist,
                                    options_.input_gradient, options_.blocking.cut && fold_});
  }

  const Graph& graph_;
  const ParameterTable& parameters_;
  const PlanOptions& options_;
  const KernelTable& kernels_;
  Plan plan_;
  bool fold_ = false;  // inference
};

bool is_wide(const ParameterTable& parameters, std::int64_t activations) {
  if (parameters.floats() >= kWideFrom) return true;
  if (parameters.floats() < kWideKernelsFrom || activations <= kNearCache / kLanes) return false;
  for (const Parameter& p : parameters.all())
    if (p.spec.shape.size() >= kWideKernel) return true;
  return false;
}

}  // namespace

Blocking choose_blocking(const Graph& graph, const std::vector<ValueId>& outputs,
                         const ParameterTable& parameters, std::int64_t batch,
                         const KernelTable& kernels) {
  const ValueId last = *std::max_element(outputs.begin(), outputs.end());
  std::int64_t floats = 0;
  for (ValueId v = 0; v <= last; ++v) floats = checked_add(floats, graph.shape(v).size());
  const bool wide = is_wide(parameters, floats);
  const bool cut = batch <= kFewSamples && floats > kNearCache;
  const bool fills = static_cast<double>(batch) >= kernel_costs(kernels).lanes;
  if (!wide && fills && floats <= kNearCache / kLanes)
    return {Layout::kSamples, kLanes, false, false};
  const std::int64_t fit = std::clamp<std::int64_t>(kNearCache / floats, 1, kLanes);
  return {Layout::kChannels, static_cast<int>(std::min(fit, std::max<std::int64_t>(batch, 1))),
          wide, cut};
}

std::int64_t block_count(const Blocking& blocking, std::int64_t samples) {
  return (samples + blocking.block_samples - 1) / blocking.block_samples;
}

std::int64_t shard_count(std::int64_t blocks) { return std::min(blocks, kMaxShards); }

std::int64_t Plan::task_count(const Action& a, std::int64_t blocks) const {
  const auto forward = [&]() -> const Step& {
    return *steps[static_cast<std::size_t>(a.index)].step;
  };
  const auto back = [&]() -> const Step& {
    const PlannedBackward& b = backward[static_cast<std::size_t>(a.index)];
    return *steps[static_cast<std::size_t>(b.step)].step;
  };
  switch (a.kind) {
    case ActionKind::kPack:
    case ActionKind::kPackBackward:
      return forward().pack_tasks;
    case ActionKind::kForwardTasks:
      return forward().forward_tasks > 0 ? forward().forward_tasks : blocks;
    case ActionKind::kGradientSums:
      return back().gradient_sum_tasks;
    case ActionKind::kBackwardTasks:
      return back().backward_tasks;
    default:
      return std::max(1, back().gradient_tasks);
  }
}

std::int64_t Plan::widest(std::int64_t block_tasks) const {
  std::int64_t most = 1;
  for (const Stretch& stretch : timeline.stretches) {
    if (stretch.kind == Stretch::Kind::kOnce) continue;
    const bool blocks = stretch.kind == Stretch::Kind::kBlocks;
    std::int64_t tasks = blocks ? block_tasks : 0;
    for (int i = stretch.begin; i < (blocks ? stretch.end_tasks : stretch.end); ++i)
      tasks += task_count(timeline.actions[static_cast<std::size_t>(i)], block_tasks);
    most = std::max(most, tasks);
  }
  return most;
}

Plan make_plan(const Graph& graph, const std::vector<ValueId>& outputs,
               const ParameterTable& parameters, const PlanOptions& options,
               const KernelTable& kernels) {
  return PlanBuilder(graph, parameters, options, kernels).build(outputs);
}

}  // namespace striate
