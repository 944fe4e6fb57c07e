#pragma once
// The weight gradient of a convolution over a whole batch, channels in lanes, cut by weights: a
// product dW[k][o] = sum over output pixels of x[pixel][k] * dy[pixel][o], where x[pixel] is the
// window of the pixel, some pixels at a time: dy packed, windows of floats read where they lie,
// pairs of bfloat16 packed. Pixels outside the image are zeros among a window's columns, and left
// out among the rows.
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
  // Whether windows are read where they lie. The next block's are asked for meanwhile: without that
  // they were faster packed where they are more than 512 floats apart.
  bool in_place(int order) const { return !pairs_ && order == 1; }
  std::int64_t most_tiles() const;
  std::int64_t most_outputs() const;
  template <typename Body>
  void each_row(const Pixels& block, Body body) const;
  struct Columns {  // of a row of outputs; those whose window lies inside its row of x
    std::int64_t first, inside, inside_end, end;
  };
  template <typename Body>
  void each_row_inside(const Part& p, const Pixels& block, const float* x, Body body) const;
  void pack_x(const Task& task, const Pixels& block, const float* x, float* to,
              float* window) const;
  void pack_clipped(const PackedRow& row, std::int64_t begin, std::int64_t end,
                    float* window) const;
  void pieces_of_x(const Task& task, const Pixels& block, const float* x,
                   std::vector<Ahead::Piece>* pieces) const;
  void clear(const Task& task, float* dw) const;  // of a share without pixels
  bool clipped_window(const Part& p, const float* row, std::int64_t ow, float* window) const;
  void packed_spans(const Part& p, const Pixels& block, const float* tiles,
                    std::vector<PixelSpan>* spans) const;
  void spans_in_place(const Part& p, const Pixels& block, const float* x, float** windows,
                      std::vector<PixelSpan>* spans) const;
  // Rows of a block's panel or tile: pixels, or pairs of them.
  std::int64_t panel_rows(std::int64_t pixels) const { return pairs_ ? (pixels + 1) / 2 : pixels; }
  // The windows of a block's pixels: those of part i are spans first_span[i] to first_span[i + 1] -
  // 1. Rows of the part lie tile after tile or (tile_step 0) side by side.
  struct BlockWindows {
    std::int64_t pixel_step, tile_step;
    std::vector<PixelSpan> spans;
    std::vector<std::size_t> first_span;
  };
  BlockWindows windows_of(const Task& task, const Pixels& block, const float* x, int order,
                          float* tiles, float* window) const;
  // From block to block a task's sums are kept in the order in which they are made: in dW, whose
  // rows lie a power of two apart, they would share few sets of the caches (7x7 1x1 512-2048: 80 %
  // of the limit instead of 89).
  struct BlockSums {
    float *kept, *dw;
    bool first, last;  // block of the task
    bool accumulate;
  };
  void multiply(const Task& task, const BlockWindows& x, const float* panels,
                std::int64_t panel_step, const BlockSums& sums, Ahead next) const;

  ConvGeometry g_;
  const KernelTable& k_;
  const Bfloat16Kernels* pairs_;
  std::int64_t runs_, run_length_, tile_step_;
  bool matrix_;              // x is the matrix already
  std::vector<Task> tasks_;  // of a share
  GradientShares shares_;
};

}  // namespace striate
