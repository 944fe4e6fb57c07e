#pragma once
// How arrays whose extents agree or are 1 meet elementwise: (8, 8, 16) with (1, 1, 16), and, as in
// Keras, (16,) with (8, 8, 16). An output is a list of runs along which each input is either
// contiguous or one number; in either layout, since a lane of samples is never broadcast.
#include <cstdint>
#include <vector>

#include "ops/op.h"

namespace striate {

// A merge takes this many inputs at most.
constexpr std::size_t kMaxMergeInputs = 64;

// The shape that the inputs meet in, with 1s put in front of those of lower rank. Throws
// ShapeError, naming both shapes, where two extents differ and neither is 1.
Shape broadcast_shape(const std::vector<Shape>& inputs);

// ShapeError unless a merge has 2 to kMaxMergeInputs inputs.
void check_merge_count(const std::vector<Shape>& inputs);

class Broadcast {
 public:
  Broadcast(const std::vector<Shape>& inputs, Layout layout);

  // Whether the input has the output's shape, so that it is contiguous throughout.
  bool whole(std::size_t input) const { return whole_[input]; }
  bool all_whole() const { return all_whole_; }
  // 1 where the input is contiguous along a run, 0 where it is one number.
  std::int64_t run_step(std::size_t input) const { return run_step_[input]; }
  std::int64_t output_floats(std::int64_t samples) const {
    return samples_in(samples) * output_size_ * lanes_;
  }
  std::int64_t input_floats(std::size_t input, std::int64_t samples) const {
    return samples_in(samples) * sizes_[input] * lanes_;
  }

  // Calls body(x, y, length) run after run: x[i] and y are offsets of the run's first number in
  // input i and in the output. With no broadcast input the block is one run.
  template <typename Body>
  void each_run(std::int64_t samples, Body body) const {
    std::int64_t x[kMaxMergeInputs] = {};
    if (all_whole_) return body(x, std::int64_t{0}, output_floats(samples));
    std::int64_t y = 0;
    for (std::int64_t n = 0; n < samples_in(samples); ++n) {
      for (std::size_t i = 0; i < sizes_.size(); ++i) x[i] = n * sizes_[i] * lanes_;
      walk(0, x, &y, body);
    }
  }

 private:
  struct Axis {
    std::int64_t extent;
    std::vector<std::int64_t> step;  // by input, floats; 0 where it is broadcast
  };
  // One sample of the samples-in-lanes layout is the block.
  std::int64_t samples_in(std::int64_t samples) const { return lanes_ == 1 ? samples : 1; }

  template <typename Body>
  void walk(std::size_t axis, const std::int64_t* from, std::int64_t* y, Body& body) const {
    if (axis == outer_.size()) {
      body(from, *y, run_length_);
      *y += run_length_;
      return;
    }
    std::int64_t x[kMaxMergeInputs];
    for (std::int64_t k = 0; k < outer_[axis].extent; ++k) {
      for (std::size_t i = 0; i < sizes_.size(); ++i) x[i] = from[i] + k * outer_[axis].step[i];
      walk(axis + 1, x, y, body);
    }
  }

  std::int64_t lanes_, output_size_, run_length_ = 1;
  std::vector<std::int64_t> sizes_, run_step_;
  std::vector<Axis> outer_;
  std::vector<bool> whole_;
  bool all_whole_ = true;
};

}  // namespace striate
