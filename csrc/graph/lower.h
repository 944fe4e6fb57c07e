#pragma once
// Graph -> program: the ancestors of the outputs in order, rewritten and with a layout each.
//
// Rewrites: dropout leaves an inference program; a batch normalisation behind a convolution or a
// dense layer moves into its weights there; a softmax in front of a categorical cross-entropy
// moves into the loss; a ReLU behind a convolution or a dense layer is applied by it, as is in
// inference the addition of a residual; a batch normalisation takes in both, backward too; an
// elementwise non-decreasing activation in front of a max pool moves behind it (the same values,
// and a quarter of the work for a 2x2 pool).
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
  int folded = -1;  // the batch normalisation's node that its weights take in
  // As in StepOptions. What is added is the last of `inputs`.
  bool relu = false, adds = false, applied = false;
  std::vector<int> fused;  // nodes that it does the work of, in order
};

struct ProgramOutput {
  int value;                   // always Layout::kChannels: rows
  bool fused_softmax = false;  // the loss takes the logits of a softmax that is not in `steps`
};

struct Program {
  std::vector<ProgramValue> values;
  std::vector<int> inputs;  // the value of each of the graph's inputs; -1: nothing needs it
  std::vector<ProgramStep> steps;
  std::vector<ProgramOutput> outputs;
};

struct LowerOptions {
  bool training = false;
  bool fold = false;  // inference without gradients: batch normalisation moves into weights
  const std::vector<OutputLoss>* losses = nullptr;  // by output; null: prediction
  Layout preferred = Layout::kChannels;
};

Program lower(const Graph& graph, const std::vector<ValueId>& outputs, const LowerOptions& options);

}  // namespace striate
