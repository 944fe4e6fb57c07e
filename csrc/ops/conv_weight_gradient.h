#pragma once
// The weight gradient of a convolution over a whole batch, channels in lanes, cut by weights: a
// product dW[k][o] = sum over output pixels of x[pixel][k] * dy[pixel][o], where x[pixel] is the
// window of the pixel. Both sides are packed, some pixels at a time; the window's pixels outside
// the image are zeros among the columns, and left out among the rows.
#include <cstdint>
#include <vector>

#include "kernels/bfloat16.h"
#include "kernels/kernels.h"
#include "ops/ahead.h"
#include "ops/conv_pass.h"
#include "ops/gradient_shares.h"

namespace striate {

class ConvWeightGradient {
 public:
  // pairs: both sides are rounded to bfloat16 when they are packed, two pixels a word; or null.
  ConvWeightGradient(const ConvGeometry& geometry, const KernelTable& kernels,
                     const Bfloat16Kernels* pairs);

  // Each makes some rows and outputs of a group's dW, of all pixels or a share of them; the cut
  // depends on shapes and ISA alone.
  int tasks() const { return static_cast<int>(tasks_.size()) * static_cast<int>(shares_.count()); }
  const GradientShares& shares() const { return shares_; }
  std::int64_t scratch_floats() const;  // of run()
  // x, dy: [samples][H][W][C]. dw is overwritten or, with accumulate, added to; where there are
  // shares, they are written instead. order 2: x squared (never in pairs).
  void run(int task, std::int64_t samples, const float* x, const float* dy, int order,
           bool accumulate, float* scratch, float* shares, float* dw) const;

 private:
  // Weight rows of one kernel row, or of one tap where taps are apart in memory, that a task has.
  struct Part {
    std::int64_t kh;
    std::int64_t x;            // of the first, from the first column's window in a row of x
    std::int64_t depth, rows;  // the first of dW, and how many
    std::int64_t begin, end;   // output columns whose window lies inside the row
    std::int32_t first_tile, tiles;
  };
  struct Task {
    std::int64_t first_output, end_output;
    std::vector<Part> parts;
    std::vector<std::int32_t> tile_rows;
  };
  struct Pixels {  // a block of the batch's output pixels
    std::int64_t first, end;
  };

  struct PackedRow {  // a part's share of a row of output pixels, on its way into tiles
    const Part* part;
    const float* x;
    std::int64_t shift;  // from an output column to the block's pixel
    const std::int32_t* tile_rows;
    float* to;
  };

  struct TaskCut {
    std::int64_t row_parts, outputs;
  };
  TaskCut choose_cut() const;
  void cut(std::int64_t group, const std::vector<std::int64_t>& row_cuts, std::int64_t outputs);
  // The row of x that a part meets at a row of outputs; it may lie outside.
  std::int64_t input_row(const Part& p, std::int64_t oh) const {
    return oh * g_.strides.h - g_.pad_top + p.kh * g_.dilation.h;
  }
  Part part(std::int64_t group, std::int64_t run, std::int64_t first, std::int64_t end) const;
  void add_part(Task* task, Part part) const;
  std::int64_t most_tiles() const;
  std::int64_t most_outputs() const;
  template <typename Body>
  void each_row(const Pixels& block, Body body) const;
  void pack_x(const Task& task, const Pixels& block, const float* x, float* to,
              float* window) const;
  void pack_clipped(const PackedRow& row, std::int64_t begin, std::int64_t end,
                    float* window) const;
  Ahead next_windows(const Task& task, const float* x, const Pixels& block,
                     std::int64_t calls) const;
  void clear(const Task& task, float* dw) const;  // of a share without pixels
  void find_spans(const Part& p, const Pixels& block, std::vector<PixelSpan>* spans) const;
  // Rows of a block's panel or tile: pixels, or pairs of them.
  std::int64_t panel_rows(std::int64_t pixels) const { return pairs_ ? (pixels + 1) / 2 : pixels; }
  // Where a block's rows of x lie: tile after tile or (tile_step 0) side by side.
  struct BlockRows {
    const float* first;
    std::int64_t pixel_step, tile_step;
  };
  BlockRows rows_of(const Task& task, const Pixels& block, const float* x, int order, float* tiles,
                    float* window) const;
  void multiply(const Task& task, const Pixels& block, const BlockRows& x, const float* panels,
                bool accumulate, Ahead ahead_dy, Ahead ahead_x, float* dw) const;

  ConvGeometry g_;
  const KernelTable& k_;
  const Bfloat16Kernels* pairs_;
  std::int64_t runs_, run_length_, tile_step_;
  bool matrix_, in_place_;   // x is the matrix already; and read where it lies
  std::vector<Task> tasks_;  // of a share
  GradientShares shares_;
};

}  // namespace striate
