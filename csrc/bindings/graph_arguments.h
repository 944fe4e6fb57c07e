#pragma once
// What the methods of _core.Graph take, brought to the core's types. Shared by graph*.cpp.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "striate/error.h"
#include "striate/graph.h"

namespace striate::bindings {

using Pair = std::pair<std::int64_t, std::int64_t>;

Extent extent(const Pair& p);

// "valid", "same" or ((top, bottom), (left, right)). Throws ValueError for another word.
Padding padding(const pybind11::object& o);

// ("uniform", {"low": .., "high": ..}) and its like, as the stub lists them.
Initializer initializer(const pybind11::tuple& t);

// Adds what `make` describes; an option out of its domain is reported with the layer's name, as
// Graph::add reports shapes.
template <typename Make>
ValueId add(Graph& g, std::vector<ValueId> xs, const std::string& name, Make make) {
  OpPtr op;
  try {
    op = make();
  } catch (const ValueError& e) {
    throw ValueError(name + ": " + e.what());
  }
  return g.add(std::move(op), std::move(xs), name);
}

template <typename Make>
ValueId add(Graph& g, ValueId x, const std::string& name, Make make) {
  return add(g, std::vector<ValueId>{x}, name, std::move(make));
}

}  // namespace striate::bindings
