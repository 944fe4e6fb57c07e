#include "graph/lower.h"

#include <algorithm>
#include <map>
#include <utility>

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
  int folded = -1;
  bool relu = false, adds = false, applied = false;
  std::vector<int> fused = {};
};

struct Draft {
  std::vector<Item> items;
  std::vector<ValueId> outputs;
  std::vector<bool> fused_softmax;

  int uses(ValueId value) const {
    auto count = std::count(outputs.begin(), outputs.end(), value);
    for (const Item& i : items) count += std::count(i.inputs.begin(), i.inputs.end(), value);
    return static_cast<int>(count);
  }
  std::size_t maker(ValueId value) const {  // items.size(): an input
    std::size_t i = 0;
    while (i < items.size() && items[i].output != value) ++i;
    return i;
  }
  void remove(std::size_t i) { items.erase(items.begin() + static_cast<std::ptrdiff_t>(i)); }
};

Draft ancestors(const Graph& graph, const std::vector<ValueId>& outputs) {
  std::vector<bool> wanted(graph.nodes().size(), false);
  for (ValueId v : outputs) wanted[static_cast<std::size_t>(v)] = true;
  for (auto n = graph.nodes().rbegin(); n != graph.nodes().rend(); ++n)
    if (wanted[static_cast<std::size_t>(n->output)])
      for (ValueId v : n->inputs) wanted[static_cast<std::size_t>(v)] = true;
  Draft draft{{}, outputs, std::vector<bool>(outputs.size(), false)};
  for (const Node& n : graph.nodes())
    if (n.op && wanted[static_cast<std::size_t>(n.output)])
      draft.items.push_back({n.output, n.op, n.inputs, n.output});
  return draft;
}

// Dropout passes its input through; one that is all there is stays, as the network's only layer.
void drop_dropout(Draft* d) {
  for (std::size_t i = d->items.size(); i-- > 0;) {
    if (!d->items[i].op->is_dropout() || d->items.size() < 2) continue;
    const ValueId from = d->items[i].output, to = d->items[i].inputs[0];
    d->remove(i);
    for (Item& item : d->items) std::replace(item.inputs.begin(), item.inputs.end(), from, to);
    std::replace(d->outputs.begin(), d->outputs.end(), from, to);
  }
}

void fold_normalizations(Draft* d) {
  for (std::size_t i = d->items.size(); i-- > 0;) {
    const Item normalization = d->items[i];
    if (!normalization.op->is_batch_normalization()) continue;
    const std::size_t before = d->maker(normalization.inputs[0]);
    if (before == d->items.size()) continue;
    Item& linear = d->items[before];
    if (!linear.op->folds_scale() || linear.folded >= 0 || d->uses(linear.output) != 1) continue;
    linear.folded = normalization.node;
    linear.fused.push_back(normalization.node);
    linear.output = normalization.output;
    d->remove(i);
  }
}

bool only_into_relu(const Draft& d, ValueId value) {
  if (d.uses(value) != 1) return false;
  return std::any_of(d.items.begin(), d.items.end(), [&](const Item& reader) {
    return reader.op->is_relu() && reader.inputs[0] == value;
  });
}

// Where gradients flow, what takes a ReLU in goes back through it; the rest are fused forward
// alone.
enum class Fusion { kInference, kBothWays, kForwardOfTraining };

// An Add of two values of one shape is done by the step that makes the later of them; both ways
// only together with a ReLU behind it, for an Add's own backward costs nothing.
void fuse_adds(const Graph& graph, Fusion fusion, Draft* d) {
  for (std::size_t i = d->items.size(); i-- > 0;) {
    const Item add = d->items[i];
    if (!add.op->is_add() || add.inputs.size() != 2 || add.inputs[0] == add.inputs[1]) continue;
    if (fusion == Fusion::kBothWays && !only_into_relu(*d, add.output)) continue;
    const std::size_t makers[2] = {d->maker(add.inputs[0]), d->maker(add.inputs[1])};
    // An input of the network comes before all that is made.
    const auto place = [&](int k) { return makers[k] == d->items.size() ? 0 : makers[k] + 1; };
    const int later = place(1) > place(0) ? 1 : 0;
    if (place(later) == 0) continue;
    Item& host = d->items[makers[later]];
    const Shape &mine = graph.shape(add.inputs[later]), &other = graph.shape(add.inputs[1 - later]);
    if (host.inputs.size() != 1 || host.relu || host.adds || d->uses(host.output) != 1 ||
        !(mine == other) || !host.op->takes_add({graph.shape(host.inputs[0])}))
      continue;
    if (fusion == Fusion::kBothWays && !host.op->takes_relu_backward()) continue;
    host.adds = true;
    host.fused.push_back(add.node);
    host.inputs.push_back(add.inputs[1 - later]);
    host.output = add.output;
    d->remove(i);
  }
}

void fuse_relus(Fusion fusion, Draft* d) {
  for (std::size_t i = d->items.size(); i-- > 0;) {
    const Item relu = d->items[i];
    if (!relu.op->is_relu()) continue;
    const std::size_t before = d->maker(relu.inputs[0]);
    if (before == d->items.size()) continue;
    Item& host = d->items[before];
    if (!host.op->takes_relu() || host.relu || d->uses(host.output) != 1) continue;
    if (fusion == Fusion::kBothWays && !host.op->takes_relu_backward()) continue;
    host.relu = true;
    if (fusion == Fusion::kForwardOfTraining) {  // the activation stays, for its derivative
      d->items[i].applied = true;
      continue;
    }
    host.fused.push_back(relu.node);
    host.output = relu.output;
    d->remove(i);
  }
}

void fuse_softmax(Draft* d, const std::vector<OutputLoss>& losses) {
  for (std::size_t k = 0; k < d->outputs.size(); ++k) {
    const OutputLoss& loss = losses[k];
    if (loss.none || loss.options.from_logits) continue;
    if (loss.options.kind != LossKind::kSparseCategoricalCrossentropy &&
        loss.options.kind != LossKind::kCategoricalCrossentropy)
      continue;
    const std::size_t i = d->maker(d->outputs[k]);
    if (i == d->items.size() || !d->items[i].op->is_softmax() || d->items.size() < 2 ||
        d->uses(d->outputs[k]) != 1)
      continue;
    d->fused_softmax[k] = true;
    d->outputs[k] = d->items[i].inputs[0];
    d->remove(i);
  }
}

void sink_activations(Draft* d) {
  for (std::size_t i = 0; i < d->items.size(); ++i) {
    if (!d->items[i].op->monotone_elementwise() || d->uses(d->items[i].output) != 1) continue;
    for (std::size_t j = i + 1; j < d->items.size(); ++j) {
      Item &act = d->items[i], &pool = d->items[j];
      if (!pool.op->is_max_pool() || pool.inputs[0] != act.output) continue;
      // act: x -> a, pool: a -> p becomes pool: x -> a, act: a -> p, where a now has p's shape.
      std::swap(act.op, pool.op);
      std::swap(act.node, pool.node);
      break;
    }
  }
}

class ProgramBuilder {
 public:
  ProgramBuilder(const Graph& graph, Layout preferred) : graph_(graph), preferred_(preferred) {}

  Program build(const Draft& draft) {
    at_.assign(graph_.nodes().size(), -1);
    for (ValueId input : graph_.inputs()) program_.inputs.push_back(add_input(draft, input));
    for (const Item& item : draft.items) add_step(item);
    for (std::size_t k = 0; k < draft.outputs.size(); ++k)
      program_.outputs.push_back({in_layout(at(draft.outputs[k]), Layout::kChannels),
                                  static_cast<bool>(draft.fused_softmax[k])});
    return std::move(program_);
  }

 private:
  int& at(ValueId value) { return at_[static_cast<std::size_t>(value)]; }

  Layout layout_of(const Op& op) const {
    return op.supports(preferred_) ? preferred_ : Layout::kChannels;
  }

  // In the layout that its first reader wants.
  int add_input(const Draft& draft, ValueId input) {
    for (const Item& item : draft.items)
      if (std::count(item.inputs.begin(), item.inputs.end(), input))
        return at(input) = add_value(graph_.shape(input), layout_of(*item.op));
    if (std::count(draft.outputs.begin(), draft.outputs.end(), input))
      return at(input) = add_value(graph_.shape(input), Layout::kChannels);
    return -1;
  }

  int add_value(const Shape& shape, Layout layout) {
    program_.values.push_back({shape, layout});
    return static_cast<int>(program_.values.size()) - 1;
  }

  // The value itself, or its copy in the other layout, which all its readers share.
  int in_layout(int value, Layout layout) {
    const ProgramValue v = program_.values[static_cast<std::size_t>(value)];
    if (v.layout == layout) return value;
    const auto known = changed_.find(value);
    if (known != changed_.end()) return known->second;
    const int changed = add_value(v.shape, layout);
    program_.steps.push_back(
        {-1, change_layout(layout), {value}, changed, -1, false, false, false, {}});
    changed_[value] = changed;
    return changed;
  }

  void add_step(const Item& item) {
    const Layout layout = layout_of(*item.op);
    std::vector<int> inputs;
    std::vector<Shape> shapes;
    for (ValueId v : item.inputs) {
      inputs.push_back(in_layout(at(v), layout));
      shapes.push_back(program_.values[static_cast<std::size_t>(inputs.back())].shape);
    }
    if (item.adds) shapes.pop_back();
    const int out = add_value(item.op->output_shape(shapes), layout);
    at(item.output) = out;
    program_.steps.push_back({item.node, item.op, std::move(inputs), out, item.folded, item.relu,
                              item.adds, item.applied, item.fused});
  }

  const Graph& graph_;
  Layout preferred_;
  Program program_;
  std::vector<int> at_;         // graph value -> program value
  std::map<int, int> changed_;  // program value -> its copy in the other layout
};

}  // namespace

Program lower(const Graph& graph, const std::vector<ValueId>& outputs,
              const LowerOptions& options) {
  Draft draft = ancestors(graph, outputs);
  if (!options.training) drop_dropout(&draft);
  if (options.fold) fold_normalizations(&draft);
  const Fusion fusion = options.fold ? Fusion::kInference : Fusion::kBothWays;
  if (!options.fold || options.preferred == Layout::kChannels) fuse_adds(graph, fusion, &draft);
  fuse_relus(fusion, &draft);
  if (options.losses) fuse_softmax(&draft, *options.losses);
  sink_activations(&draft);
  if (!options.fold) fuse_relus(Fusion::kForwardOfTraining, &draft);
  return ProgramBuilder(graph, options.preferred).build(draft);
}

}  // namespace striate
