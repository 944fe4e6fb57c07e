#pragma once
// A network as data: nodes, edges, shapes. Adding a node infers and checks its shape at once, so a
// graph that exists is a graph that fits together.
#include <cstdint>
#include <string>
#include <vector>

#include "striate/ops.h"
#include "striate/shape.h"

namespace striate {

using ValueId = int;

struct Node {
  OpPtr op;  // null for the input
  std::string name;
  std::vector<ValueId> inputs;
  ValueId output;
};

class Graph {
 public:
  ValueId input(const Shape& shape, const std::string& name = "input");
  // Throws ShapeError, naming the layer, what it expected, what came, and the likely mend.
  ValueId add(OpPtr op, std::vector<ValueId> inputs, const std::string& name);
  ValueId add(OpPtr op, ValueId input, const std::string& name) {
    return add(std::move(op), std::vector<ValueId>{input}, name);
  }

  const Shape& shape(ValueId value) const;
  const std::vector<Node>& nodes() const { return nodes_; }  // in topological order
  std::vector<Shape> input_shapes(const Node& node) const;
  Cost cost(ValueId value) const;  // of the node that makes `value`

 private:
  std::vector<Node> nodes_;
  std::vector<Shape> shapes_;  // by value; node i makes value i
};

}  // namespace striate
