#pragma once
// An optimizer is one vector loop over the flat parameter buffer; its slots are flat buffers of
// the same length. GradientUpdate (update.h) runs it chunk by chunk.
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
  // Called before step number `step`, from 1 (Adam's bias correction counts them).
  void begin_step(double learning_rate, std::int64_t step);
  // Before the first update(): allocates the slots if there are none.
  void make_slots(std::int64_t parameter_floats);
  // Updates parameters [begin, begin + n) with gradient g (n floats). `factor`: of the learning
  // rate, but not of weight decay's; `decays`: whether weight decay is for them; `curvature`:
  // sdlm's h.
  void update(std::int64_t begin, std::int64_t n, const float* g, float factor, bool decays,
              const float* curvature, float* parameters);

  // Muon's, of parameters that move as matrices: their gradient becomes the momentum they move by.
  void take_momentum(std::int64_t begin, std::int64_t n, float* g);
  double learning_rate() const { return learning_rate_; }

  std::vector<Slot>& slots() { return slots_; }
  std::vector<std::string> slot_names() const;

 private:
  float* slot(std::size_t i, std::int64_t begin) { return slots_[i].values.data() + begin; }
  OptimizerOptions options_;
  const KernelTable& kernels_;
  std::vector<Slot> slots_;
  double learning_rate_ = 0.0;
  float adam_rate_ = 0.0f;
};

}  // namespace striate
