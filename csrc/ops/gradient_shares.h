#pragma once
// A weight gradient with too few weights to be cut into tasks by weights alone: the batch's pixels
// are cut too, each share sums its own into a buffer like the gradient, and the shares are added up
// in a fixed tree. How many there are depends on shapes alone.
#include <algorithm>
#include <cstdint>

#include "core/checked.h"
#include "core/storage.h"
#include "kernels/kernels.h"

namespace striate {

class GradientShares {
 public:
  // count: 1, where tasks write the gradient itself, to kMost.
  GradientShares(std::int64_t count, std::int64_t weights)
      : count_(count), weights_(weights), step_(align_up(weights)) {}

  std::int64_t count() const { return count_; }
  std::int64_t floats() const { return count_ > 1 ? checked_mul(count_, step_) : 0; }
  int sum_tasks() const {
    return count_ > 1 ? static_cast<int>((weights_ + kChunk - 1) / kChunk) : 0;
  }
  float* share(float* all, std::int64_t i) const { return all + i * step_; }

  // The task's chunk of gradient (+)= the sum of the shares.
  void sum(int task, float* all, bool accumulate, const KernelTable& k, float* gradient) const {
    const float* parts[kMost + 1];
    const std::int64_t at = task * kChunk;
    std::int32_t n = 0;
    if (accumulate) parts[n++] = gradient + at;
    for (std::int64_t i = 0; i < count_; ++i) parts[n++] = share(all, i) + at;
    k.sum_tree(std::min(kChunk, weights_ - at), n, parts, gradient + at);
  }

  // Shares where weights are cut into so many tasks: eight tasks keep threads busy to the end.
  static std::int64_t choose(std::int64_t weight_tasks) {
    return weight_tasks >= kEnoughTasks ? 1 : (kMost + weight_tasks - 1) / weight_tasks;
  }

 private:
  static constexpr std::int64_t kMost = 8, kEnoughTasks = 5;
  static constexpr std::int64_t kChunk = std::int64_t{1} << 13;  // floats
  std::int64_t count_, weights_, step_;
};

}  // namespace striate
