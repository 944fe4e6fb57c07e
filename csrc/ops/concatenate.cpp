// Concatenation along one axis of a sample: a slice of each input in turn, in either layout.
#include <cstring>

#include "core/checked.h"
#include "ops/broadcast.h"
#include "ops/op.h"

namespace striate {
namespace {

class ConcatenateStep final : public Step {
 public:
  ConcatenateStep(int axis, const StepOptions& o) : lanes_(o.layout == Layout::kSamples) {
    for (int a = 0; a < axis; ++a) slices_ *= o.inputs[0][a];
    for (const Shape& s : o.inputs) {
      lengths_.push_back(s.size() / slices_ * (lanes_ ? kLanes : 1));
      row_ += lengths_.back();
    }
    if (o.cut) forward_tasks = static_cast<int>(lengths_.size());
  }

  void forward_task(const ForwardArgs& a, int task) const override {
    const auto mine = static_cast<std::size_t>(task);
    each_slice(a, [&](std::size_t input, std::int64_t x, std::int64_t y) {
      if (input == mine) copy(lengths_[input], a.x[input] + x, a.y + y);
    });
  }

  void forward(const ForwardArgs& a) const override {
    each_slice(a, [&](std::size_t input, std::int64_t x, std::int64_t y) {
      copy(lengths_[input], a.x[input] + x, a.y + y);
    });
  }
  void backward(const BackwardArgs& a) const override {
    each_slice(a, [&](std::size_t input, std::int64_t x, std::int64_t y) {
      if (a.dx[input]) copy(lengths_[input], a.dy + y, a.dx[input] + x);
    });
  }

 private:
  template <typename Body>
  void each_slice(const StepArgs& a, Body body) const {
    const std::int64_t slices = slices_ * (lanes_ ? 1 : a.samples);
    std::int64_t before = 0;
    for (std::size_t i = 0; i < lengths_.size(); ++i) {
      for (std::int64_t s = 0; s < slices; ++s) body(i, s * lengths_[i], s * row_ + before);
      before += lengths_[i];
    }
  }
  static void copy(std::int64_t n, const float* from, float* to) {
    std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
  }

  bool lanes_;
  std::int64_t slices_ = 1, row_ = 0;  // slices of a sample, and the floats of one in the output
  std::vector<std::int64_t> lengths_;  // of one by input
};

class Concatenate final : public Op {
 public:
  explicit Concatenate(int axis) : axis_(axis) {}
  const char* kind() const override { return "concatenate"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    check_merge_count(in);
    const int rank = in[0].rank(), axis = along(in[0]);
    std::vector<std::int64_t> out = in[0].extents();
    for (std::size_t i = 1; i < in.size(); ++i) {
      bool fits = in[i].rank() == rank;
      for (int a = 0; fits && a < rank; ++a) fits = a == axis || in[i][a] == in[0][a];
      if (!fits)
        throw ShapeError("inputs " + in[0].str() + " and " + in[i].str() +
                         " do not fit together: they must agree in every axis but the one they "
                         "are joined along, " +
                         std::to_string(axis) + " of a sample");
      auto& joined = out[static_cast<std::size_t>(axis)];
      joined = checked_add(joined, in[i][axis]);
    }
    return Shape(std::move(out));
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<ConcatenateStep>(along(o.inputs[0]), o);
  }

 private:
  int along(const Shape& first) const {
    const int axis = axis_ < 0 ? axis_ + first.rank() : axis_;
    if (axis < 0 || axis >= first.rank())
      throw ShapeError("input is " + first.str() + ", which has no axis " + std::to_string(axis_));
    return axis;
  }
  int axis_;
};

}  // namespace

OpPtr concatenate(int axis) { return std::make_shared<Concatenate>(axis); }

}  // namespace striate
