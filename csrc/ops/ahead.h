#pragma once
// Memory that is needed soon, asked for bit by bit while the present work goes on: all at once it
// would stall, and memory and arithmetic would add up (csrc/kernels/conv_channels-inl.h).
#include <algorithm>
#include <cstdint>

namespace striate {

class Ahead {
 public:
  // Floats from..end - 1 in `calls` calls of some(); an empty range where end <= from.
  Ahead(const float* from, const float* end, std::int64_t calls)
      : lines_(end > from ? (end - from + kLine - 1) / kLine : 0), next_(from) {
    step_ = calls > 0 ? (lines_ + calls - 1) / calls : lines_;
  }
  void some() {
    const std::int64_t n = std::min(step_, lines_);
    for (std::int64_t i = 0; i < n; ++i, next_ += kLine) __builtin_prefetch(next_, 0, 2);
    lines_ -= n;
  }

 private:
  static constexpr std::int64_t kLine = 16;  // floats
  std::int64_t lines_, step_ = 0;
  const float* next_;
};

}  // namespace striate
