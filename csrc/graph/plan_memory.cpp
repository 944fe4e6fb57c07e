#include "graph/plan_memory.h"

#include <algorithm>

#include "core/storage.h"

namespace striate {
namespace {

class PlanMemory {
 public:
  explicit PlanMemory(Plan* plan) : plan_(*plan), memory_(plan->timeline, plan->options.blocks) {
    forward_time_.assign(plan_.steps.size(), -1);
    backward_time_.assign(plan_.backward.size(), -1);
  }

  void run() {
    find_times();
    add_values();
    add_step_memory();
    add_gradients();
    if (plan_.options.blocks) add_parameter_gradients();
    share_forward();
    share_backward();
    memory_.place();
    assign();
  }

 private:
  using Size = std::size_t;
  static Size at(int i) { return static_cast<Size>(i); }
  const std::vector<Action>& actions() const { return plan_.timeline.actions; }

  void find_times() {
    for (Size t = 0; t < actions().size(); ++t) {
      const Action& a = actions()[t];
      if (a.kind == ActionKind::kForward || a.kind == ActionKind::kForwardTasks)
        forward_time_[at(a.index)] = static_cast<int>(t);
      if (a.kind == ActionKind::kBackward || a.kind == ActionKind::kBackwardTasks)
        backward_time_[at(a.index)] = static_cast<int>(t);
    }
  }

  const PlannedStep& step_of(const PlannedBackward& b) const { return plan_.steps[at(b.step)]; }

  // Forward values: written by their makers, read by their readers, forward and backward.
  void add_values() {
    for (const PlannedValue& v : plan_.values) value_.push_back(memory_.add(v.floats));
    for (Size t = 0; t < actions().size(); ++t) {
      const Action& a = actions()[t];
      const int now = static_cast<int>(t);
      switch (a.kind) {
        case ActionKind::kLoad:
          memory_.write(value_[at(plan_.inputs[at(a.index)])], now);
          break;
        case ActionKind::kForward:
        case ActionKind::kForwardTasks:
          read_inputs(plan_.steps[at(a.index)], now);
          memory_.write(value_[at(plan_.steps[at(a.index)].output)], now);
          break;
        case ActionKind::kGather:
          read_inputs(plan_.steps[at(a.index)], now);
          break;
        case ActionKind::kLoss:
        case ActionKind::kStore:
          memory_.read(value_[at(plan_.outputs[at(a.index)].value)], now);
          break;
        case ActionKind::kGatherBackward:
        case ActionKind::kBackward:
        case ActionKind::kBackwardTasks:
        case ActionKind::kGradientTasks: {
          const PlannedStep& s = step_of(plan_.backward[at(a.index)]);
          if (s.step->backward_reads_x) read_inputs(s, now);
          if (s.step->backward_reads_y) memory_.read(value_[at(s.output)], now);
          break;
        }
        default:
          break;
      }
    }
  }

  void read_inputs(const PlannedStep& s, int now) {
    for (int v : s.inputs) memory_.read(value_[at(v)], now);
  }

  // Buffers of steps: packed weights, what forward saves, parts, scratch.
  struct StepBuffers {
    int packed, packed_backward, saved, parts, parts_backward, common, scratch, scratch_backward;
    int forward_tasks, backward_tasks, gradient_tasks;  // a thread's scratch
    int shares;
  };

  void add_step_memory() {
    for (const PlannedStep& s : plan_.steps) {
      const Step& k = *s.step;
      const bool packs = !plan_.packs_persist;
      step_.push_back({memory_.add(packs ? k.packed_size : 0, true),
                       memory_.add(packs ? k.packed_backward_size : 0, true),
                       memory_.add(plan_.keeps_for_backward() ? k.saved_size : 0),
                       memory_.add(k.part_size), memory_.add(k.part_size_backward),
                       memory_.add(k.common_size, true), memory_.add(k.scratch_size),
                       memory_.add(std::max(k.scratch_size, k.scratch_backward_size)),
                       memory_.add(k.forward_tasks ? k.task_scratch_size : 0),
                       memory_.add(k.backward_tasks ? k.task_scratch_size : 0),
                       memory_.add(k.gradient_tasks ? k.task_scratch_size : 0),
                       memory_.add(k.gradient_shares_size, true)});
    }
    for (const PlannedOutput& o : plan_.outputs) {
      const PlannedValue& v = plan_.values[at(o.value)];
      loss_scratch_.push_back(memory_.add(!o.loss           ? 0
                                          : o.fused_softmax ? v.floats
                                                            : v.shape.size()));
    }
    const int last = static_cast<int>(actions().size()) - 1;
    for (Size t = 0; t < actions().size(); ++t) step_events(actions()[t], static_cast<int>(t));
    // commit() runs behind everything.
    for (Size i = 0; i < plan_.steps.size(); ++i)
      if (plan_.steps[i].step->has_state && plan_.options.training)
        memory_.read(step_[i].common, last);
  }

  void step_events(const Action& a, int now) {
    const auto forward = [&] { return step_[at(a.index)]; };
    const auto backward = [&] { return step_[at(plan_.backward[at(a.index)].step)]; };
    switch (a.kind) {
      case ActionKind::kPack:
        return memory_.write(forward().packed, now);
      case ActionKind::kPackBackward:
        return memory_.write(forward().packed_backward, now);
      case ActionKind::kGather:
        memory_.write(forward().scratch, now);
        return memory_.write(forward().parts, now);
      case ActionKind::kMeet:
        memory_.read(forward().parts, now);
        return memory_.write(forward().common, now);
      case ActionKind::kForward:
      case ActionKind::kForwardTasks:
        memory_.read(forward().packed, now);
        memory_.read(forward().common, now);
        memory_.write(forward().saved, now);
        return memory_.write(a.kind == ActionKind::kForward || !tasks_of(a)
                                 ? forward().scratch
                                 : forward().forward_tasks,
                             now);
      case ActionKind::kLoss:
      case ActionKind::kStore:
        return memory_.write(loss_scratch_[at(a.index)], now);
      case ActionKind::kGatherBackward:
        memory_.read(backward().common, now);
        memory_.write(backward().scratch_backward, now);
        return memory_.write(backward().parts_backward, now);
      case ActionKind::kMeetBackward:
        memory_.read(backward().parts_backward, now);
        return memory_.write(backward().common, now);
      case ActionKind::kBackward:
      case ActionKind::kBackwardTasks:
      case ActionKind::kGradientTasks:
        memory_.read(backward().packed_backward, now);
        memory_.read(backward().common, now);
        memory_.read(backward().saved, now);
        if (a.kind == ActionKind::kGradientTasks) memory_.write(backward().shares, now);
        if (a.kind == ActionKind::kBackward || !tasks_of(a))
          return memory_.write(backward().scratch_backward, now);
        return memory_.write(a.kind == ActionKind::kBackwardTasks ? backward().backward_tasks
                                                                  : backward().gradient_tasks,
                             now);
      case ActionKind::kGradientSums:
        return memory_.read(backward().shares, now);
      default:
        return;
    }
  }

  // Whether the step cuts this action itself; a gradient that it does not cut runs block by block.
  bool tasks_of(const Action& a) const {
    if (a.kind == ActionKind::kForwardTasks)
      return plan_.steps[at(a.index)].step->forward_tasks > 0;
    const Step& s = *step_of(plan_.backward[at(a.index)]).step;
    return a.kind == ActionKind::kGradientTasks ? s.gradient_tasks > 0 : s.backward_tasks > 0;
  }

  void add_gradients() {
    gradient_.assign(plan_.values.size(), -1);
    for (Size v = 0; v < plan_.values.size(); ++v)
      if (plan_.values[v].gradient.arena != Arena::kNone)
        gradient_[v] = memory_.add(plan_.values[v].floats);
    for (const PlannedOutput& o : plan_.outputs)
      loss_added_.push_back(memory_.add(o.loss_adds ? plan_.values[at(o.value)].floats : 0));
    for (const PlannedBackward& b : plan_.backward) {
      added_.emplace_back();
      for (Size k = 0; k < b.adds_input.size(); ++k)
        added_.back().push_back(
            b.adds_input[k] ? memory_.add(plan_.values[at(step_of(b).inputs[k])].floats) : -1);
    }
    for (Size t = 0; t < actions().size(); ++t) gradient_events(actions()[t], static_cast<int>(t));
  }

  void gradient_events(const Action& a, int now) {
    switch (a.kind) {
      case ActionKind::kLoss: {
        const PlannedOutput& o = plan_.outputs[at(a.index)];
        if (gradient_[at(o.value)] < 0) return;
        memory_.write(gradient_[at(o.value)], now);
        if (o.loss_adds) memory_.write(loss_added_[at(a.index)], now);
        return;
      }
      case ActionKind::kGatherBackward:
      case ActionKind::kGradientTasks:
        return memory_.read(gradient_[at(step_of(plan_.backward[at(a.index)]).output)], now);
      case ActionKind::kBackward:
      case ActionKind::kBackwardTasks: {
        const PlannedBackward& b = plan_.backward[at(a.index)];
        memory_.read(gradient_[at(step_of(b).output)], now);
        for (Size k = 0; k < b.wants_input.size(); ++k)
          if (b.wants_input[k]) memory_.write(share_of(at(a.index), k), now);
        return;
      }
      case ActionKind::kAddGradient: {
        const PlannedBackward& b = plan_.backward[at(a.index)];
        memory_.read(added_[at(a.index)][at(a.input)], now);
        return memory_.write(gradient_[at(step_of(b).inputs[at(a.input)])], now);
      }
      case ActionKind::kStoreGradient: {
        const int v = plan_.inputs[at(a.index)];
        if (gradient_[at(v)] >= 0) memory_.read(gradient_[at(v)], now);
        return;
      }
      default:
        return;
    }
  }

  // Made by tasks or where blocks meet, and read by the optimizer behind everything.
  void add_parameter_gradients() {
    parameter_gradient_.assign(plan_.parameter_gradients.size(), -1);
    const int last = static_cast<int>(actions().size()) - 1;
    for (Size t = 0; t < actions().size(); ++t) {
      const Action& a = actions()[t];
      if (a.kind != ActionKind::kGradientTasks && a.kind != ActionKind::kGradientSums &&
          a.kind != ActionKind::kMeetBackward)
        continue;
      const PlannedBackward& b = plan_.backward[at(a.index)];
      const PlannedStep& s = step_of(b);
      if (!b.wants_parameters) continue;
      for (int p = s.first_parameter; p < s.first_parameter + s.parameter_count; ++p) {
        int& buffer = parameter_gradient_[at(p)];
        if (buffer < 0) {
          buffer = memory_.add(plan_.parameter_gradients[at(p)].floats, true);
          memory_.read(buffer, last);
        }
        memory_.write(buffer, static_cast<int>(t));
      }
    }
  }

  // Where backward step i leaves its share of input k's gradient.
  int share_of(Size i, Size k) const {
    const PlannedBackward& b = plan_.backward[i];
    return b.adds_input[k] ? added_[i][k] : gradient_[at(step_of(b).inputs[k])];
  }

  // y takes the memory of an x that nobody reads afterwards.
  void share_forward() {
    for (Size i = 0; i < plan_.steps.size(); ++i) {
      const PlannedStep& s = plan_.steps[i];
      if (!s.step->forward_in_place) continue;
      for (int x : s.inputs)
        if (memory_.share(value_[at(x)], value_[at(s.output)], forward_time_[i])) break;
    }
  }

  // dx takes the memory of dy; where dx is dy's values, every input may.
  void share_backward() {
    for (Size i = 0; i < plan_.backward.size(); ++i) {
      const PlannedBackward& b = plan_.backward[i];
      const PlannedStep& s = step_of(b);
      const bool identity = s.step->backward_is_identity;
      if (backward_time_[i] < 0 || !(identity || s.step->backward_in_place)) continue;
      for (Size k = 0; k < b.wants_input.size(); ++k) {
        if (!b.wants_input[k]) continue;
        const bool shared =
            memory_.share(gradient_[at(s.output)], share_of(i, k), backward_time_[i], identity);
        if (shared && !identity) break;
      }
    }
  }

  // Persistent packs: one after the other.
  Place persistent(std::int64_t floats) {
    if (floats == 0) return {};
    const Place p{Arena::kFixed, plan_.packed_floats, floats};
    plan_.packed_floats = checked_add(plan_.packed_floats, align_up(floats));
    return p;
  }

  void assign() {
    for (Size v = 0; v < plan_.values.size(); ++v) {
      plan_.values[v].place = memory_.at(value_[v]);
      plan_.values[v].gradient = gradient_[v] < 0 ? Place{} : memory_.at(gradient_[v]);
    }
    for (Size k = 0; k < plan_.outputs.size(); ++k) {
      plan_.outputs[k].scratch = memory_.at(loss_scratch_[k]);
      plan_.outputs[k].added_gradient = memory_.at(loss_added_[k]);
    }
    for (Size i = 0; i < plan_.backward.size(); ++i)
      for (Size k = 0; k < added_[i].size(); ++k)
        if (added_[i][k] >= 0) plan_.backward[i].added[k] = memory_.at(added_[i][k]);
    for (Size i = 0; i < plan_.steps.size(); ++i) {
      PlannedStep& s = plan_.steps[i];
      const StepBuffers& b = step_[i];
      s.saved = memory_.at(b.saved);
      s.parts = memory_.at(b.parts);
      s.parts_backward = memory_.at(b.parts_backward);
      s.common = memory_.at(b.common);
      s.scratch = memory_.at(b.scratch);
      s.scratch_backward = memory_.at(b.scratch_backward);
      s.forward_task_scratch = memory_.at(b.forward_tasks);
      s.backward_task_scratch = memory_.at(b.backward_tasks);
      s.gradient_task_scratch = memory_.at(b.gradient_tasks);
      s.gradient_shares = memory_.at(b.shares);
      s.packed = memory_.at(b.packed);
      s.packed_backward = memory_.at(b.packed_backward);
      if (s.folded >= 0)
        s.folded_weights = persistent(align_up(s.folded_kernel) + s.folded_channels);
      if (!plan_.packs_persist) continue;
      s.packed = persistent(s.step->packed_size);
      if (plan_.options.gradients()) s.packed_backward = persistent(s.step->packed_backward_size);
    }
    for (Size p = 0; p < parameter_gradient_.size(); ++p)
      if (parameter_gradient_[p] >= 0)
        plan_.parameter_gradients[p] = memory_.at(parameter_gradient_[p]);
    plan_.thread_floats = memory_.thread_floats();
    plan_.batch_floats = memory_.batch_floats();
    plan_.fixed_floats = memory_.fixed_floats();
  }

  Plan& plan_;
  MemoryPlanner memory_;
  std::vector<int> forward_time_;   // by step
  std::vector<int> backward_time_;  // by backward step
  std::vector<int> value_, gradient_, loss_scratch_, loss_added_, parameter_gradient_;
  std::vector<std::vector<int>> added_;
  std::vector<StepBuffers> step_;
};

}  // namespace

void place_memory(Plan* plan) { PlanMemory(plan).run(); }

}  // namespace striate
