#include "striate/graph.h"

#include <algorithm>
#include <cstring>

#include "core/checked.h"
#include "ops/op.h"

namespace striate {

int Graph::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? -1 : found->second;
}

ValueId Graph::input(const Shape& shape, const std::string& name) {
  if (find(name) >= 0) throw ValueError("two layers are named \"" + name + "\"");
  const ValueId id = narrow<int>(nodes_.size());
  nodes_.push_back({nullptr, name, {}, id, id});
  by_name_.emplace(name, id);
  shapes_.push_back(shape);
  inputs_.push_back(id);
  return id;
}

int Graph::share(const Op& op, const std::vector<Shape>& inputs, std::string* name) {
  const int owner = find(*name);
  const Node& first = nodes_[static_cast<std::size_t>(owner)];
  if (!first.op || std::strcmp(first.op->kind(), op.kind()) != 0)
    throw ValueError("two layers are named \"" + *name + "\"");
  const auto mine = op.parameters(inputs), theirs = first.op->parameters(input_shapes(first));
  const auto shape_of = [](const std::vector<ParameterSpec>& specs, std::size_t i) {
    return i < specs.size() ? specs[i].shape.str() : std::string("none");
  };
  for (std::size_t i = 0; i < std::max(mine.size(), theirs.size()); ++i)
    if (i >= mine.size() || i >= theirs.size() || mine[i].shape != theirs[i].shape)
      throw ShapeError(*name + " (" + op.kind() + "): is shared, and its " +
                       (i < theirs.size() ? theirs : mine)[i].name + " has shape " +
                       shape_of(theirs, i) + "; for this use it would need " + shape_of(mine, i));
  int& use = uses_[owner];
  do {
    ++use;
  } while (find(*name + ":" + std::to_string(use + 1)) >= 0);
  *name += ":" + std::to_string(use + 1);
  return owner;
}

ValueId Graph::add(OpPtr op, std::vector<ValueId> inputs, const std::string& given) {
  std::string name = given;
  if (!op) throw ValueError(name + ": there is no operation to add");
  const bool known = find(name) >= 0;
  if (known && !reuse_) throw ValueError("two layers are named \"" + name + "\"");
  std::vector<Shape> shapes;
  for (ValueId v : inputs) shapes.push_back(shape(v));
  Shape out;
  try {
    out = op->output_shape(shapes);
  } catch (const ShapeError& e) {
    throw ShapeError(name + " (" + op->kind() + "): " + e.what());
  }
  const ValueId id = narrow<int>(nodes_.size());
  const int owner = known ? share(*op, shapes, &name) : id;
  by_name_.emplace(name, id);
  nodes_.push_back({std::move(op), std::move(name), std::move(inputs), id, owner});
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
  if (node.parameters_of != node.output) return c;
  for (const ParameterSpec& p : node.op->parameters(in)) {
    c.parameters += p.count;
    if (p.trainable) c.trainable += p.count;
  }
  return c;
}

}  // namespace striate
