#include "striate/graph.h"

#include "core/checked.h"
#include "ops/op.h"

namespace striate {

ValueId Graph::input(const Shape& shape, const std::string& name) {
  if (!nodes_.empty()) throw ValueError("a graph has one input, and it comes first");
  nodes_.push_back({nullptr, name, {}, 0});
  shapes_.push_back(shape);
  return 0;
}

ValueId Graph::add(OpPtr op, std::vector<ValueId> inputs, const std::string& name) {
  if (!op) throw ValueError(name + ": there is no operation to add");
  for (const Node& n : nodes_)
    if (n.name == name) throw ValueError("two layers are named \"" + name + "\"");
  std::vector<Shape> shapes;
  for (ValueId v : inputs) shapes.push_back(shape(v));
  Shape out;
  try {
    out = op->output_shape(shapes);
  } catch (const ShapeError& e) {
    throw ShapeError(name + " (" + op->kind() + "): " + e.what());
  }
  const ValueId id = narrow<int>(nodes_.size());
  nodes_.push_back({std::move(op), name, std::move(inputs), id});
  shapes_.push_back(std::move(out));
  return id;
}

const Shape& Graph::shape(ValueId value) const {
  if (value < 0 || static_cast<std::size_t>(value) >= shapes_.size())
    throw ValueError("value " + std::to_string(value) + " is not of this graph");
  return shapes_[static_cast<std::size_t>(value)];
}

std::vector<Shape> Graph::input_shapes(const Node& node) const {
  std::vector<Shape> s;
  for (ValueId v : node.inputs) s.push_back(shape(v));
  return s;
}

Cost Graph::cost(ValueId value) const {
  shape(value);
  const Node& node = nodes_[static_cast<std::size_t>(value)];
  if (!node.op) return {};
  const std::vector<Shape> in = input_shapes(node);
  Cost c = node.op->cost(in);
  for (const ParameterSpec& p : node.op->parameters(in)) {
    c.parameters += p.count;
    if (p.trainable) c.trainable += p.count;
  }
  return c;
}

}  // namespace striate
