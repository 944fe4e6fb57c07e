#include "ops/broadcast.h"

#include <algorithm>

#include "striate/error.h"

namespace striate {
namespace {

std::int64_t extent_at(const Shape& s, int axis, int rank) {
  const int own = axis - (rank - s.rank());
  return own < 0 ? 1 : s[own];
}

[[noreturn]] void refuse(const Shape& a, const Shape& b) {
  std::string mend = ": every extent must be the same, or 1";
  if (a.rank() == 3 && b.rank() == 3) {
    const bool maps = a[2] != b[2] && a[2] != 1 && b[2] != 1;
    mend += maps ? "; a Conv2D with 1x1 kernels gives one of them the other's channels"
                 : "; do the strides and paddings on the way agree?";
  }
  throw ShapeError("inputs " + a.str() + " and " + b.str() + " do not fit together" + mend);
}

}  // namespace

void check_merge_count(const std::vector<Shape>& inputs) {
  if (inputs.size() < 2 || inputs.size() > kMaxMergeInputs)
    throw ShapeError("takes 2 to " + std::to_string(kMaxMergeInputs) + " inputs, got " +
                     std::to_string(inputs.size()));
}

Shape broadcast_shape(const std::vector<Shape>& inputs) {
  int rank = 0;
  for (const Shape& s : inputs) rank = std::max(rank, s.rank());
  std::vector<std::int64_t> extents(static_cast<std::size_t>(rank), 1);
  for (int axis = 0; axis < rank; ++axis) {
    const Shape* decides = nullptr;  // the first input that is not 1 here
    for (const Shape& s : inputs) {
      const std::int64_t e = extent_at(s, axis, rank);
      if (e == 1) continue;
      if (decides && extent_at(*decides, axis, rank) != e) refuse(*decides, s);
      if (!decides) decides = &s;
      extents[static_cast<std::size_t>(axis)] = e;
    }
  }
  return Shape(std::move(extents));
}

Broadcast::Broadcast(const std::vector<Shape>& inputs, Layout layout)
    : lanes_(layout == Layout::kSamples ? kLanes : 1) {
  const Shape out = broadcast_shape(inputs);
  output_size_ = out.size();
  std::vector<Axis> axes;
  for (int a = 0; a < out.rank(); ++a) axes.push_back({out[a], {}});
  if (lanes_ > 1) axes.push_back({lanes_, {}});
  for (const Shape& s : inputs) {
    sizes_.push_back(s.size());
    whole_.push_back(s.size() == out.size());
    all_whole_ = all_whole_ && whole_.back();
    std::int64_t step = s.size() * lanes_;
    for (int a = 0; a < out.rank(); ++a) {
      const std::int64_t e = extent_at(s, a, out.rank());
      step /= e;
      axes[static_cast<std::size_t>(a)].step.push_back(e == 1 ? 0 : step);
    }
    if (lanes_ > 1) axes.back().step.push_back(1);
  }
  // From the last axis on: an axis of the same broadcasts makes the one behind it longer.
  axes.erase(std::remove_if(axes.begin(), axes.end(), [](const Axis& a) { return a.extent == 1; }),
             axes.end());
  const auto joins = [](const Axis& a, const Axis& behind) {
    for (std::size_t i = 0; i < a.step.size(); ++i)
      if (a.step[i] != behind.step[i] * behind.extent) return false;
    return true;
  };
  for (std::size_t a = axes.size(); a-- > 1;)
    if (joins(axes[a - 1], axes[a])) {
      axes[a - 1].step = axes[a].step;
      axes[a - 1].extent *= axes[a].extent;
      axes.erase(axes.begin() + static_cast<std::ptrdiff_t>(a));
    }
  run_step_.assign(inputs.size(), 1);
  if (!axes.empty()) {
    run_length_ = axes.back().extent;
    run_step_ = axes.back().step;
    axes.pop_back();
  }
  outer_ = std::move(axes);
}

}  // namespace striate
