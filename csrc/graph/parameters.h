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
  // A node's parameters are all()[first(node)] and the ones that follow, as its op listed them; a
  // shared layer's later uses have those of its first.
  int first(int node) const { return nodes_[static_cast<std::size_t>(node)].first; }
  int count(int node) const { return nodes_[static_cast<std::size_t>(node)].count; }
  // A frozen layer's parameters do not train, and it runs on its moving statistics.
  bool frozen(int node) const { return nodes_[static_cast<std::size_t>(node)].frozen; }
  // ValueError where no node has that name.
  void require_layer(const std::string& layer) const;
  void set_frozen(const std::string& layer, bool frozen);

 private:
  std::vector<Parameter> all_;
  struct NodeParameters {
    int first, count;
    std::string layer;
    bool frozen = false;
  };
  std::vector<NodeParameters> nodes_;
  std::int64_t floats_ = 0;
};

// Throws ValueError for an initializer that does not suit the parameter's shape.
void check_initializer(const Parameter& parameter);
// Whether entries can be drawn one by one; an orthogonal matrix is drawn as a whole.
bool drawn_by_entry(const Parameter& parameter);
// Fills entries begin to end - 1 of parameter i, values `w`, as its initializer says, from stream
// (seed, i); all of them where they are not drawn by entry.
void initialize(const ParameterTable& table, std::size_t i, std::uint64_t seed, std::int64_t begin,
                std::int64_t end, float* w);

}  // namespace striate
