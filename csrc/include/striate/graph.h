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

// What a node costs for one sample.
struct Cost {
  std::int64_t macs = 0;         // multiply-accumulates of the forward pass
  std::int64_t connections = 0;  // as LeCun et al. 1998 count them: weights and biases, each use
  std::int64_t parameters = 0;   // absent connections of a table are not counted
  std::int64_t trainable = 0;
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
