#pragma once
// A matrix product as a pass: dense layers, and Winograd's products a point.
#include <cstdint>

#include "core/checked.h"
#include "kernels/kernels.h"

namespace striate {

// y[cols][outputs] = x[cols][depth] * w[depth][outputs]: one output row of `cols` pixels, one run
// of `depth`. Rows lie side by side unless the caller sets x_col and y_col. `pass` points into the
// object, which therefore stays where it is.
struct ProductPass {
  ConvPass pass{};
  Run run{};
  std::int32_t row_runs[2] = {0, 1};

  ProductPass(std::int64_t cols, std::int64_t depth, std::int64_t outputs) {
    run = {0, narrow<std::int32_t>(depth), 0};
    pass.rows = 1;
    pass.cols = narrow<std::int32_t>(cols);
    pass.outputs = narrow<std::int32_t>(outputs);
    pass.depth = run.length;
    pass.x_col = depth;
    pass.y_col = outputs;
    pass.runs = &run;
    pass.row_runs = row_runs;
  }
  ProductPass(const ProductPass&) = delete;
  ProductPass& operator=(const ProductPass&) = delete;
};

}  // namespace striate
