#pragma once
// A network's parameters: one flat 64-byte-aligned buffer with named views, in graph order.
#include <cstdint>
#include <string>
#include <vector>

#include "core/storage.h"
#include "ops/op.h"
#include "striate/graph.h"

namespace striate {

struct Parameter {
  std::string name;   // "c1/kernel"
  std::string layer;  // "c1"
  int node;
  ParameterSpec spec;
  std::int64_t offset;  // floats into the flat buffers
};

class ParameterTable {
 public:
  explicit ParameterTable(const Graph& graph);
  const std::vector<Parameter>& all() const { return all_; }
  std::vector<Parameter>& all() { return all_; }
  std::int64_t floats() const { return floats_; }  // of a flat buffer, padding included
  // A node's parameters are all()[first(node)] and the ones that follow, as its op listed them.
  int first(int node) const { return first_[static_cast<std::size_t>(node)]; }
  int count(int node) const {
    return first_[static_cast<std::size_t>(node) + 1] - first_[static_cast<std::size_t>(node)];
  }

 private:
  std::vector<Parameter> all_;
  std::vector<int> first_;
  std::int64_t floats_ = 0;
};

// Fills `flat` as each parameter's initializer says; parameter i draws from stream (seed, i).
void initialize(const ParameterTable& table, std::uint64_t seed, float* flat);

}  // namespace striate
