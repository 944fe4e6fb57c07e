#pragma once
// When everything happens: a program's forward and backward as one list of actions, cut into
// stretches. Within a stretch of blocks a thread takes one block through all actions, so that what
// they hand on is still in its L2; a stretch ends where the blocks must meet (batch
// normalisation) or where work is cut by weights instead of samples. LeNet-5's whole training step
// is one stretch.
#include <cstdint>
#include <vector>

#include "graph/autodiff.h"
#include "ops/op.h"

namespace striate {

enum class ActionKind {  // and what Action::index counts
  // by block
  kLoad,            // the network's inputs
  kForward,         // the program's steps
  kGather,          // steps
  kLoss,            // outputs
  kStore,           // outputs, to the caller's rows
  kGatherBackward,  // backward steps
  kBackward,        // backward steps
  kAddGradient,     // backward steps: adds input's share to the value's gradient
  kStoreGradient,   // the network's inputs: their gradients, to the caller's rows
  // over the whole batch, once
  kMeet,          // steps
  kMeetBackward,  // backward steps
  // over the whole batch, cut into tasks
  kPack,           // steps
  kPackBackward,   // steps
  kForwardTasks,   // steps; a block is a task where the step has none
  kBackwardTasks,  // backward steps
  kGradientTasks,  // backward steps
  kGradientSums,   // backward steps
};

struct Action {
  ActionKind kind;
  int index;
  int input = 0;
};

// A stretch of blocks may have actions over the whole batch in front, begin to end_tasks - 1, whose
// tasks run beside the blocks: neither waits for the other.
struct Stretch {
  enum class Kind { kBlocks, kOnce, kTasks };
  Kind kind;
  int begin, end_tasks, end;  // actions
};

struct Timeline {
  std::vector<Action> actions;
  std::vector<Stretch> stretches;
  std::vector<int> stretch_of;  // by action
};

struct TimelineOptions {
  bool wide = false;          // parameter gradients by gradient tasks
  bool packs_inside = false;  // weights are packed anew in front of each stretch that reads them
  bool input_gradient = false;
  // Inference of few samples: steps that do not wait for each other are tasks of one stretch.
  bool side_by_side = false;
};

// `steps`: the program's, bound; `losses` by output, empty for prediction.
Timeline make_timeline(const Program& program, const std::vector<const Step*>& steps,
                       const std::vector<BackwardStep>& backward,
                       const std::vector<OutputLoss>& losses, const TimelineOptions& options);

}  // namespace striate
