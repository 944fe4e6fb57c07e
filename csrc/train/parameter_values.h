#pragma once
// The values of a network's parameters, drawn when they are first needed: a network that is only
// described, or whose weights are set before it runs, draws nothing and (described) takes no
// memory.
#include <cstdint>
#include <vector>

#include "core/storage.h"
#include "graph/parameters.h"

namespace striate {

class ParameterValues {
 public:
  // Throws ValueError for an initializer that its parameter's shape does not suit.
  ParameterValues(const ParameterTable& table, std::uint64_t seed);

  // Draws every parameter that was neither drawn nor set, on all threads.
  void draw_all();
  // All values, flat, and a pointer to each parameter's: after draw_all().
  float* data() { return flat_.data(); }
  const float* const* each() const { return each_.data(); }
  float* const* mutable_each() { return mutable_each_.data(); }

  const float* at(std::size_t parameter);  // draws it
  // Absent entries of a connection table stay zero.
  void set(std::size_t parameter, const float* values);
  // shape.size() floats; takes no memory for the network where none has been taken.
  void copy(std::size_t parameter, float* to) const;

 private:
  void allocate();

  const ParameterTable& table_;
  std::uint64_t seed_;
  Storage flat_;
  std::vector<const float*> each_;
  std::vector<float*> mutable_each_;
  std::vector<bool> drawn_;  // or set
  bool all_drawn_ = false;
};

}  // namespace striate
