#pragma once
// Turns convolution geometry into the passes that the kernels run: runs of consecutive positions,
// rows clipped against vertical padding, columns padded where the window reaches past the edge.
#include <cstdint>
#include <vector>

#include "kernels/kernels.h"
#include "ops/geometry.h"

namespace striate {

struct ConvGeometry {
  std::int64_t h, w, c, oh, ow, oc, kh, kw, groups;
  Extent strides, dilation;
  std::int64_t pad_top, pad_left;

  std::int64_t group_in() const { return c / groups; }
  std::int64_t group_out() const { return oc / groups; }
};

// Rows of a pass that run together, and the rows of x that they read.
struct Band {
  std::int32_t begin, end;
  std::int64_t x_first, x_rows;
};

// A pass with the tables that it points to, and where its parts begin. One set of tables serves
// every group: group g reads x at g*x_group, writes y at g*y_group (positions) and its weights
// begin w_group * g floats further.
struct ConvPassTables {
  ConvPass pass{};
  std::vector<Run> runs;
  std::vector<std::int32_t> row_runs;
  std::vector<std::int64_t> weight_rows;  // of pack()
  std::int64_t weight_step = 1;           // output_step of pack()
  std::int64_t x_origin = 0, y_origin = 0;
  std::int64_t x_group = 0, y_group = 0, w_group = 0;

  ConvPassTables() = default;
  ConvPassTables(const ConvPassTables&) = delete;
  ConvPassTables& operator=(const ConvPassTables&) = delete;
  ConvPassTables(ConvPassTables&&) = default;  // vectors keep their memory, so `pass` stays valid
  ConvPassTables& operator=(ConvPassTables&&) = default;

  void finish();  // points `pass` at the tables
};

// An image whose rows get `left` and `right` zero columns; no copy where both are zero.
struct ColumnPadding {
  std::int64_t rows, cols, channels, left = 0, right = 0;
  bool needed() const { return left || right; }
  std::int64_t pitch() const { return left + cols + right; }
  std::int64_t positions() const { return rows * pitch() * channels; }
  // Rows first..first+count of x to the front of `padded`. position_floats: 1 or kLanes.
  void copy(const float* x, std::int64_t position_floats, std::int64_t first, std::int64_t count,
            float* padded) const;
};

// Cuts rows first..end - 1 of a pass into bands whose padded copies have at most `most` positions,
// as few as can be; at least one row each.
std::vector<Band> cut_bands(const ConvPassTables& tables, const ColumnPadding& x, std::int64_t most,
                            std::int32_t first, std::int32_t end);

ColumnPadding forward_padding(const ConvGeometry& g);
ConvPassTables forward_pass(const ConvGeometry& g, const ColumnPadding& x);

// The input gradient needs no zero-stuffing under strides: input pixels fall into strides.h *
// strides.w phases, and within a phase the contributing taps are the same at every pixel, so each
// phase is a correlation of dy with stride 1.
ColumnPadding input_gradient_padding(const ConvGeometry& g);
std::vector<ConvPassTables> input_gradient_passes(const ConvGeometry& g, const ColumnPadding& dy);

}  // namespace striate
