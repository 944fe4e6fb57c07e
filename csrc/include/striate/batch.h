#pragma once
// A batch as the caller holds it: nothing is copied before a thread gathers its own block.
#include <cstdint>

namespace striate {

struct Batch {
  // Samples of F features each, NHWC, one after the other: floats, or bytes taken as 0..255.
  const float* x = nullptr;
  const std::uint8_t* bytes = nullptr;  // instead of x
  std::int64_t count = 0;               // samples in this batch
  // The batch is samples rows[0..count) of x, labels, targets and weights; null: 0..count-1.
  const std::int64_t* rows = nullptr;
  const std::int64_t* labels = nullptr;  // [N], or [N, ...] a position: see loss.h; in [0, K)
  const float* targets = nullptr;        // [N, ..., K]: of the output's shape
  const float* weights = nullptr;        // [N]; null: all 1

  std::int64_t row(std::int64_t i) const { return rows ? rows[i] : i; }
};

}  // namespace striate
