#pragma once
// A batch as the caller holds it: nothing is copied before a thread gathers its own block.
#include <cstdint>
#include <vector>

namespace striate {

// Samples for one input of the network, F features each, NHWC, one after the other: floats, or
// bytes taken as 0..255.
struct BatchInput {
  const float* x = nullptr;
  const std::uint8_t* bytes = nullptr;  // instead of x
};

// What one output is compared with; an output without loss needs nothing.
struct BatchTarget {
  const std::int64_t* labels = nullptr;  // [N], in [0, K): checked by Network
  const float* targets = nullptr;        // [N, K]
  const float* weights = nullptr;        // [N]; null: all 1
};

struct Batch {
  std::int64_t count = 0;  // samples in this batch
  // The batch is samples rows[0..count) of every array below; null: 0..count-1.
  const std::int64_t* rows = nullptr;
  std::vector<BatchInput> inputs{1};    // in the order of Graph::inputs()
  std::vector<BatchTarget> targets{1};  // in the order of the network's outputs

  std::int64_t row(std::int64_t i) const { return rows ? rows[i] : i; }
};

}  // namespace striate
