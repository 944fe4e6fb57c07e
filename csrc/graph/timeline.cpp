#include "graph/timeline.h"

#include <algorithm>

namespace striate {
namespace {

// Packed weights that wait for their stretch, at most (floats; 16 MiB): they share the L3 with it.
constexpr std::int64_t kPackedAhead = std::int64_t{1} << 22;

Stretch::Kind stretch_kind(ActionKind kind) {
  if (kind >= ActionKind::kPack) return Stretch::Kind::kTasks;
  return kind >= ActionKind::kMeet ? Stretch::Kind::kOnce : Stretch::Kind::kBlocks;
}

class TimelineBuilder {
 public:
  TimelineBuilder(const Program& program, const std::vector<const Step*>& steps,
                  const TimelineOptions& options)
      : program_(program), steps_(steps), options_(options) {}

  Timeline build(const std::vector<BackwardStep>& backward, const std::vector<OutputLoss>& losses) {
    for (std::size_t k = 0; k < program_.inputs.size(); ++k)
      if (program_.inputs[k] >= 0) add(ActionKind::kLoad, static_cast<int>(k));
    const bool meets =
        std::any_of(steps_.begin(), steps_.end(), [](const Step* s) { return s->part_size > 0; });
    if (options_.side_by_side && !meets)
      forward_by_level();
    else
      for (std::size_t i = 0; i < steps_.size(); ++i) forward(static_cast<int>(i));
    for (std::size_t k = 0; k < program_.outputs.size(); ++k) {
      if (!losses.empty() && !losses[k].none) add(ActionKind::kLoss, static_cast<int>(k));
      add(ActionKind::kStore, static_cast<int>(k));
    }
    for (std::size_t i = 0; i < backward.size(); ++i)
      this->backward(backward[i], static_cast<int>(i));
    if (options_.input_gradient)
      for (std::size_t k = 0; k < program_.inputs.size(); ++k)
        if (program_.inputs[k] >= 0) add(ActionKind::kStoreGradient, static_cast<int>(k));
    finish();
    return std::move(timeline_);
  }

 private:
  void forward(int i) {
    const Step& s = *steps_[static_cast<std::size_t>(i)];
    if (options_.packs_inside && s.packed_size) pack(ActionKind::kPack, i, s.packed_size);
    if (s.part_size) {
      add(ActionKind::kGather, i);
      add(ActionKind::kMeet, i);
    }
    add(s.forward_tasks ? ActionKind::kForwardTasks : ActionKind::kForward, i);
  }

  // A step's level is the length of the longest way to it.
  void forward_by_level() {
    flush();
    std::vector<std::size_t> level_of(program_.values.size(), 0);
    std::vector<std::vector<Action>> levels;
    for (std::size_t i = 0; i < program_.steps.size(); ++i) {
      std::size_t level = 0;
      for (int v : program_.steps[i].inputs)
        level = std::max(level, level_of[static_cast<std::size_t>(v)]);
      level_of[static_cast<std::size_t>(program_.steps[i].output)] = level + 1;
      if (levels.size() <= level) levels.resize(level + 1);
      levels[level].push_back({ActionKind::kForwardTasks, static_cast<int>(i)});
    }
    for (const std::vector<Action>& level : levels) close({}, level, Stretch::Kind::kTasks);
  }

  void backward(const BackwardStep& b, int at) {
    const Step& s = *steps_[static_cast<std::size_t>(b.step)];
    const bool apart = options_.wide && b.wants_parameters && !s.part_size_backward;
    const bool block_parameters = b.wants_parameters && !options_.wide && !s.part_size_backward;
    const bool runs = b.wants_any_input() || block_parameters;
    // Gradient tasks of the step's own read no packed weights; its backward does.
    if (options_.packs_inside && s.packed_backward_size && (runs || apart) && !s.gradient_tasks)
      pack(ActionKind::kPackBackward, b.step, s.packed_backward_size);
    if (s.part_size_backward) {
      add(ActionKind::kGatherBackward, at);
      add(ActionKind::kMeetBackward, at);
    }
    if (apart) gradient_tasks(b, at, s.gradient_sum_tasks > 0);
    if (!runs) return;
    if (options_.packs_inside && s.packed_backward_size && s.gradient_tasks)
      pack(ActionKind::kPackBackward, b.step, s.packed_backward_size);
    add(s.backward_tasks ? ActionKind::kBackwardTasks : ActionKind::kBackward, at);
    for (std::size_t k = 0; k < b.adds_input.size(); ++k)
      if (b.adds_input[k]) add(ActionKind::kAddGradient, at, static_cast<int>(k));
  }

  // Packing waits for nothing but parameters, so it goes in front of the open stretch of blocks,
  // beside what is packed there already.
  void pack(ActionKind kind, int step, std::int64_t floats) {
    if (packed_ + floats > kPackedAhead) flush();
    packs_.push_back({kind, step});
    packed_ += floats;
  }

  // They wait for all of dy, and only the optimizer (or their sums) for them: they run beside the
  // blocks that come next, whose unequal ends they fill.
  void gradient_tasks(const BackwardStep& b, int at, bool sums) {
    flush();
    if (b.adds_parameters) finish();  // to what others may still be making
    beside_.push_back({ActionKind::kGradientTasks, at});
    if (sums) next_beside_.push_back({ActionKind::kGradientSums, at});
  }

  void add(ActionKind kind, int index, int input = 0) {
    const Stretch::Kind stretch = stretch_kind(kind);
    if (stretch != Stretch::Kind::kBlocks) {
      // What this stretch needs packed is packed with what the blocks in front of it need.
      flush();
      close({}, {{kind, index, input}}, stretch);
      return;
    }
    open_.push_back({kind, index, input});
  }

  void flush() {
    close({}, packs_, Stretch::Kind::kTasks);
    if (!open_.empty()) {
      close(beside_, open_, Stretch::Kind::kBlocks);
      next_beside();
    }
    packs_.clear();
    open_.clear();
    packed_ = 0;
  }
  void finish() {
    flush();
    for (; !beside_.empty(); next_beside()) close({}, beside_, Stretch::Kind::kTasks);
  }
  void next_beside() {
    beside_ = std::move(next_beside_);
    next_beside_.clear();
  }

  void close(const std::vector<Action>& tasks, const std::vector<Action>& actions,
             Stretch::Kind kind) {
    if (actions.empty()) return;
    const int begin = static_cast<int>(timeline_.actions.size());
    const int number = static_cast<int>(timeline_.stretches.size());
    for (const std::vector<Action>* part : {&tasks, &actions})
      timeline_.actions.insert(timeline_.actions.end(), part->begin(), part->end());
    const int end = static_cast<int>(timeline_.actions.size());
    timeline_.stretch_of.resize(timeline_.actions.size(), number);
    const auto count = static_cast<int>(tasks.size());
    timeline_.stretches.push_back({kind, begin, begin + count, end});
  }

  const Program& program_;
  const std::vector<const Step*>& steps_;
  const TimelineOptions& options_;
  Timeline timeline_;
  std::vector<Action> packs_, open_;
  std::vector<Action> beside_, next_beside_;  // of open_, and of what comes behind it
  std::int64_t packed_ = 0;
};

}  // namespace

Timeline make_timeline(const Program& program, const std::vector<const Step*>& steps,
                       const std::vector<BackwardStep>& backward,
                       const std::vector<OutputLoss>& losses, const TimelineOptions& options) {
  return TimelineBuilder(program, steps, options).build(backward, losses);
}

}  // namespace striate
