#pragma once
// An optimizer is one vector loop over the flat parameter buffer; its slots are flat buffers of
// the same length. The gradient's shards are summed in a fixed tree on the way in, so a chunk of
// gradient is still in L1 when the update reads it.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "core/storage.h"
#include "kernels/kernels.h"
#include "striate/optimizer.h"

namespace striate {

class Optimizer {
 public:
  // Throws ValueError where an option is out of its domain.
  Optimizer(const OptimizerOptions& options, const KernelTable& kernels);

  struct Slot {
    std::string name;
    Storage values;
  };
  // Called before each step; allocates the slots at the first.
  void begin_step(double learning_rate, std::int64_t parameter_floats);
  // Updates parameters [begin, begin + n) with gradient g (n floats). `curvature`: sdlm's h.
  void update(std::int64_t begin, std::int64_t n, const float* g, const float* curvature,
              float* parameters);

  const OptimizerOptions& options() const { return options_; }
  std::vector<Slot>& slots() { return slots_; }
  std::vector<std::string> slot_names() const;
  std::int64_t step() const { return step_; }
  void set_step(std::int64_t step) { step_ = step; }  // Adam's bias correction counts steps

 private:
  float* slot(std::size_t i, std::int64_t begin) { return slots_[i].values.data() + begin; }
  OptimizerOptions options_;
  const KernelTable& kernels_;
  std::vector<Slot> slots_;
  std::int64_t step_ = 0;
  double learning_rate_ = 0.0;
  float adam_rate_ = 0.0f;
};

}  // namespace striate
