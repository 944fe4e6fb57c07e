#pragma once
// Graph -> program: the ancestors of the output in order, rewritten and with a layout each.
//
// Rewrites: dropout leaves an inference program; a softmax in front of a categorical
// cross-entropy moves into the loss; an elementwise non-decreasing activation in front of a max
// pool moves behind it (the same values, and a quarter of the work for a 2x2 pool).
#include <vector>

#include "ops/op.h"
#include "striate/graph.h"
#include "striate/loss.h"

namespace striate {

struct ProgramValue {
  Shape shape;
  Layout layout;
};

struct ProgramStep {
  int node;  // of the graph; -1 for a change of layout
  OpPtr op;
  std::vector<int> inputs;  // program values
  int output;
};

struct Program {
  std::vector<ProgramValue> values;  // value 0 is the network's input
  std::vector<ProgramStep> steps;
  int output;                  // always Layout::kChannels: rows
  bool fused_softmax = false;  // the loss takes the logits of a softmax that is not in `steps`
};

struct LowerOptions {
  bool training = false;
  const LossOptions* loss = nullptr;  // null: prediction
  Layout preferred = Layout::kChannels;
};

Program lower(const Graph& graph, ValueId output, const LowerOptions& options);

}  // namespace striate
