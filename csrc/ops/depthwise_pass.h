#pragma once
// Turns depthwise convolution geometry into the passes that the depthwise kernels run.
#include <cstdint>
#include <vector>

#include "kernels/kernels.h"
#include "ops/geometry.h"

namespace striate {

// A pass with the tables that it points to, and where its outputs begin.
struct DepthwisePassTables {
  DepthwisePass pass{};
  std::vector<DepthwiseTap> taps_h, taps_w;
  std::vector<std::int32_t> row_taps, col_taps, tap_columns;
  std::int64_t y_origin = 0;  // floats

  DepthwisePassTables() = default;
  DepthwisePassTables(const DepthwisePassTables&) = delete;
  DepthwisePassTables& operator=(const DepthwisePassTables&) = delete;
  DepthwisePassTables(DepthwisePassTables&&) = default;  // vectors keep their memory
  DepthwisePassTables& operator=(DepthwisePassTables&&) = default;
};

// inner: floats of a pixel, of x and of y alike.
DepthwisePassTables depthwise_forward_pass(const Window2D& window, std::int64_t inner);
// Under strides the input's pixels fall into stride.h * stride.w phases, each a pass over dy.
std::vector<DepthwisePassTables> depthwise_input_gradient_passes(const Window2D& window,
                                                                 std::int64_t inner);

}  // namespace striate
