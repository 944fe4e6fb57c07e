#pragma once
// Memory that is needed soon, asked of L2 bit by bit while the present work goes on: all at once it
// would stall, and memory and arithmetic would add up (kernels/conv_channels-inl.h).
#include <algorithm>
#include <cstdint>

namespace striate {

class Ahead {
 public:
  // `rows` pieces of `floats`, row_step apart, in `calls` calls of some().
  Ahead(const float* from, std::int64_t rows, std::int64_t floats, std::int64_t row_step,
        std::int64_t calls)
      : row_(from),
        rows_(rows),
        lines_((floats + kLine - 1) / kLine),
        row_step_(row_step),
        step_(calls > 0 ? (rows_ * lines_ + calls - 1) / calls : 0) {}

  void some() {
    for (std::int64_t n = step_; n > 0 && rows_ > 0; --n) {
      __builtin_prefetch(row_ + at_ * kLine, 0, 2);
      if (++at_ < lines_) continue;
      at_ = 0;
      row_ += row_step_;
      --rows_;
    }
  }

 private:
  static constexpr std::int64_t kLine = 16;  // floats
  const float* row_;
  std::int64_t rows_, lines_, row_step_, step_, at_ = 0;
};

}  // namespace striate
