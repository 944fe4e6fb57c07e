#include "graph/lower.h"

#include <algorithm>

#include "ops/change_layout.h"
#include "striate/error.h"

namespace striate {
namespace {

// A node on its way into the program; values are still the graph's.
struct Item {
  int node;
  OpPtr op;
  std::vector<ValueId> inputs;
  ValueId output;
};

std::vector<Item> ancestors(const Graph& graph, ValueId output) {
  std::vector<bool> wanted(graph.nodes().size(), false);
  wanted[static_cast<std::size_t>(output)] = true;
  for (auto n = graph.nodes().rbegin(); n != graph.nodes().rend(); ++n)
    if (wanted[static_cast<std::size_t>(n->output)])
      for (ValueId v : n->inputs) wanted[static_cast<std::size_t>(v)] = true;
  std::vector<Item> items;
  for (const Node& n : graph.nodes())
    if (n.op && wanted[static_cast<std::size_t>(n.output)])
      items.push_back({n.output, n.op, n.inputs, n.output});
  if (items.empty()) throw ValueError("the network has no layer: its output is its input");
  return items;
}

int consumers(const std::vector<Item>& items, ValueId value) {
  int count = 0;
  for (const Item& i : items)
    count += static_cast<int>(std::count(i.inputs.begin(), i.inputs.end(), value));
  return count;
}

// Takes items[i], a one-input op, out of the chain. Returns its input.
ValueId bypass(std::vector<Item>* items, std::size_t i) {
  const ValueId from = (*items)[i].output, to = (*items)[i].inputs[0];
  items->erase(items->begin() + static_cast<std::ptrdiff_t>(i));
  for (Item& item : *items) std::replace(item.inputs.begin(), item.inputs.end(), from, to);
  return to;
}

void sink_activations(std::vector<Item>* items) {
  for (std::size_t i = 0; i + 1 < items->size(); ++i) {
    Item &act = (*items)[i], &pool = (*items)[i + 1];
    if (!act.op->monotone_elementwise() || !pool.op->is_max_pool()) continue;
    if (pool.inputs[0] != act.output || consumers(*items, act.output) != 1) continue;
    // act: x -> a, pool: a -> p becomes pool: x -> a, act: a -> p, where a now has p's shape.
    std::swap(act.op, pool.op);
    std::swap(act.node, pool.node);
  }
}

class ProgramBuilder {
 public:
  ProgramBuilder(const Graph& graph, Layout preferred) : graph_(graph), preferred_(preferred) {}

  Program build(const std::vector<Item>& items, ValueId input, ValueId output) {
    at_.assign(graph_.nodes().size(), -1);
    at_[static_cast<std::size_t>(input)] =
        add_value(graph_.shape(input), layout_of(*items.front().op));
    for (const Item& item : items) add_step(item);
    program_.output = in_layout(at_[static_cast<std::size_t>(output)], Layout::kChannels);
    return std::move(program_);
  }

 private:
  Layout layout_of(const Op& op) const {
    return op.supports(preferred_) ? preferred_ : Layout::kChannels;
  }

  int add_value(const Shape& shape, Layout layout) {
    program_.values.push_back({shape, layout});
    return static_cast<int>(program_.values.size()) - 1;
  }

  int in_layout(int value, Layout layout) {
    const ProgramValue v = program_.values[static_cast<std::size_t>(value)];
    if (v.layout == layout) return value;
    const int changed = add_value(v.shape, layout);
    program_.steps.push_back({-1, change_layout(layout), {value}, changed});
    return changed;
  }

  void add_step(const Item& item) {
    const Layout layout = layout_of(*item.op);
    std::vector<int> inputs;
    std::vector<Shape> shapes;
    for (ValueId v : item.inputs) {
      inputs.push_back(in_layout(at_[static_cast<std::size_t>(v)], layout));
      shapes.push_back(program_.values[static_cast<std::size_t>(inputs.back())].shape);
    }
    const int out = add_value(item.op->output_shape(shapes), layout);
    at_[static_cast<std::size_t>(item.output)] = out;
    program_.steps.push_back({item.node, item.op, std::move(inputs), out});
  }

  const Graph& graph_;
  Layout preferred_;
  Program program_;
  std::vector<int> at_;  // graph value -> program value
};

}  // namespace

Program lower(const Graph& graph, ValueId output, const LowerOptions& options) {
  std::vector<Item> items = ancestors(graph, output);
  if (!options.training)
    for (std::size_t i = items.size(); i-- > 0;)
      if (items[i].op->is_dropout() && items.size() > 1) {
        const bool last = items[i].output == output;
        const ValueId to = bypass(&items, i);
        if (last) output = to;
      }
  bool fused = false;
  if (options.loss && items.size() > 1 && items.back().op->is_softmax() &&
      !options.loss->from_logits &&
      (options.loss->kind == LossKind::kSparseCategoricalCrossentropy ||
       options.loss->kind == LossKind::kCategoricalCrossentropy)) {
    fused = true;
    output = items.back().inputs[0];
    items.pop_back();
  }
  sink_activations(&items);
  Program program = ProgramBuilder(graph, options.preferred).build(items, 0, output);
  program.fused_softmax = fused;
  return program;
}

}  // namespace striate
