#pragma once
// How a convolution is cut within a sample, for inference of few samples: tasks of some weight, by
// rows (or tiles) of the output where activations outweigh weights, else by output channels first.
#include <algorithm>
#include <cstdint>

namespace striate {

struct TaskCut {
  std::int64_t row_parts, output_parts;
  int tasks() const { return static_cast<int>(row_parts * output_parts); }
};

// rows, panels: the most that either side can be cut into.
inline TaskCut cut_within_sample(std::int64_t multiply_accumulates, std::int64_t rows,
                                 std::int64_t panels, bool outputs_first) {
  // A task of 2 M multiply-accumulates takes some 40 us, its start and the meeting behind it 2.
  constexpr std::int64_t kTaskMacs = std::int64_t{1} << 21, kMostTasks = 16;
  const std::int64_t tasks =
      std::clamp<std::int64_t>(multiply_accumulates / kTaskMacs, 1, kMostTasks);
  if (outputs_first) {
    const std::int64_t outputs = std::min(panels, tasks);
    return {std::min(rows, tasks / outputs), outputs};
  }
  const std::int64_t parts = std::min(rows, tasks);
  return {parts, std::min(panels, tasks / parts)};
}

}  // namespace striate
