#pragma once
// The weight gradient of a 3x3 convolution of stride 1 by Winograd's F(4x4, 3x3), over a whole
// batch: windows of x and tiles of dy go to 36 points, where dW is a product over tiles a point,
// and the sums come back as 3x3 taps. The transpose, factor by factor, of WinogradConv.
#include <cstdint>

#include "ops/gradient_shares.h"
#include "ops/winograd_conv.h"

namespace striate {

class WinogradWeightGradient {
 public:
  // shared: tasks may leave shares, see GradientShares.
  WinogradWeightGradient(const ConvGeometry& geometry, bool shared, const KernelTable& kernels);

  // Each makes some channels and outputs of dW, of all tiles or a share of them; the cut depends on
  // shapes and ISA alone.
  int tasks() const { return static_cast<int>(channel_parts_ * output_parts_ * shares_.count()); }
  const GradientShares& shares() const { return shares_; }
  std::int64_t scratch_floats() const;  // of run()
  // x, dy: [samples][H][W][C]. dw is overwritten or, with accumulate, added to; where there are
  // shares, they are written instead.
  void run(int task, std::int64_t samples, const float* x, const float* dy, bool accumulate,
           float* scratch, float* shares, float* dw) const;

 private:
  struct Range {
    std::int64_t first, end;
    std::int64_t size() const { return end - first; }
  };
  struct Task {
    Range channels, outputs;
  };
  Task task(int number) const;
  void to_points(const Task& task, Range tiles, const float* x, const float* dy, float* zeros,
                 float* inputs, float* gradients) const;
  void multiply(const Task& task, std::int64_t tiles, const float* inputs, const float* gradients,
                bool accumulate, float* sums) const;

  WinogradGeometry g_;
  const KernelTable& k_;
  std::int64_t channel_parts_, output_parts_;
  std::int64_t most_channels_, most_outputs_;  // of a task; outputs in whole panels
  std::int64_t together_;                      // tiles
  std::int64_t pitch_, input_step_, gradient_step_, sum_step_;
  GradientShares shares_;
};

}  // namespace striate
