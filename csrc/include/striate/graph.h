#pragma once
// A network as data: nodes, edges, shapes. Adding a node infers and checks its shape at once, so a
// graph that exists is a graph that fits together.
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "striate/ops.h"
#include "striate/shape.h"

namespace striate {

using ValueId = int;

struct Node {
  OpPtr op;  // null for an input
  std::string name;
  std::vector<ValueId> inputs;
  ValueId output;
  int parameters_of;  // the node whose parameters it uses: itself, but for a shared layer
};

class Graph {
 public:
  // Any number of inputs, at any time; a network takes its samples in the order of inputs().
  ValueId input(const Shape& shape, const std::string& name = "input");
  const std::vector<ValueId>& inputs() const { return inputs_; }
  // Throws ShapeError, naming the layer, what it expected, what came, and the likely mend.
  ValueId add(OpPtr op, std::vector<ValueId> inputs, const std::string& name);
  ValueId add(OpPtr op, ValueId input, const std::string& name) {
    return add(std::move(op), std::vector<ValueId>{input}, name);
  }

  // While on, a node added under a name that exists uses that node's parameters (a shared layer);
  // it is then called "name:2", "name:3" ... Throws ShapeError where they do not fit its inputs.
  void set_reuse(bool on) { reuse_ = on; }
  bool reuse() const { return reuse_; }

  const Shape& shape(ValueId value) const;
  const std::vector<Node>& nodes() const { return nodes_; }  // in topological order
  std::vector<Shape> input_shapes(const Node& node) const;
  // Of the node that makes `value`; a shared layer's parameters count where it was added first.
  Cost cost(ValueId value) const;

 private:
  int find(const std::string& name) const;  // -1: none
  // Renames a second use of a layer and returns the node that owns its parameters.
  int share(const Op& op, const std::vector<Shape>& inputs, std::string* name);

  bool reuse_ = false;
  std::vector<ValueId> inputs_;
  std::vector<Node> nodes_;
  std::unordered_map<std::string, int> by_name_;  // node numbers
  std::unordered_map<int, int> uses_;             // of a shared node, beyond the first
  std::vector<Shape> shapes_;                     // by value; node i makes value i
};

}  // namespace striate
