#pragma once
// Memory that is needed soon, asked of L2 bit by bit while the present work goes on: all at once it
// would stall, and memory and arithmetic would add up (kernels/conv_channels-inl.h).
#include <cstdint>
#include <utility>
#include <vector>

namespace striate {

class Ahead {
 public:
  // `rows` times `floats` floats, row_step apart.
  struct Piece {
    const float* from;
    std::int64_t rows, floats, row_step;

    std::int64_t lines() const { return (floats + kLine - 1) / kLine; }
    // At once: of what is needed only after a while of work.
    void all() const {
      for (std::int64_t r = 0; r < rows; ++r)
        for (std::int64_t i = 0; i < lines(); ++i)
          __builtin_prefetch(from + r * row_step + i * kLine, 0, 2);
    }
  };

  // All of the pieces, in `calls` calls of some().
  Ahead(std::vector<Piece> pieces, std::int64_t calls) : pieces_(std::move(pieces)) {
    std::int64_t total = 0;
    for (const Piece& p : pieces_) total += p.rows * p.lines();
    step_ = calls > 0 ? (total + calls - 1) / calls : 0;
  }

  void some() {
    for (std::int64_t n = step_; n > 0 && piece_ < pieces_.size();) {
      const Piece& p = pieces_[piece_];
      const float* const row = p.from + row_ * p.row_step;
      for (const std::int64_t end = p.lines(); line_ < end && n > 0; ++line_, --n)
        __builtin_prefetch(row + line_ * kLine, 0, 2);
      if (line_ < p.lines()) return;
      line_ = 0;
      if (++row_ < p.rows) continue;
      row_ = 0;
      ++piece_;
    }
  }

 private:
  static constexpr std::int64_t kLine = 16;  // floats
  std::vector<Piece> pieces_;
  std::int64_t step_ = 0, row_ = 0, line_ = 0;
  std::size_t piece_ = 0;
};

}  // namespace striate
