// Permute: the axes of a sample in another order.
#include <cstring>

#include "ops/op.h"
#include "striate/error.h"

namespace striate {
namespace {

class PermuteStep final : public Step {
 public:
  // Output axis i is input axis axes[i].
  PermuteStep(const std::vector<int>& axes, const StepOptions& o)
      : lanes_(o.layout == Layout::kSamples) {
    const Shape& s = o.inputs[0];
    const std::int64_t position = lanes_ ? kLanes : 1;
    sample_ = s.size() * position;
    // Axes at the end that stay there are moved as one piece.
    int kept = s.rank();
    piece_ = position;
    while (kept > 0 && axes[static_cast<std::size_t>(kept - 1)] == kept - 1) piece_ *= s[--kept];
    for (int i = 0; i < kept; ++i) {
      const int from = axes[static_cast<std::size_t>(i)];
      std::int64_t step = position;
      for (int a = from + 1; a < s.rank(); ++a) step *= s[a];
      axes_.push_back({s[from], step});
    }
    if (axes_.empty()) axes_.push_back({1, 0});
  }

  void forward(const ForwardArgs& a) const override {
    const float* x = a.x[0];
    each_piece(a, [&](std::int64_t from, std::int64_t to) { copy(x + from, a.y + to); });
  }
  void backward(const BackwardArgs& a) const override {
    float* const dx = a.dx[0];
    if (dx) each_piece(a, [&](std::int64_t from, std::int64_t to) { copy(a.dy + to, dx + from); });
  }

 private:
  struct Axis {
    std::int64_t extent, step;  // step: floats in the input
  };

  // Calls body(offset in x, offset in y) in the order of y.
  template <typename Body>
  void each_piece(const StepArgs& a, Body body) const {
    std::int64_t y = 0;
    for (std::int64_t n = 0; n < (lanes_ ? 1 : a.samples); ++n) walk(0, n * sample_, &y, body);
  }
  template <typename Body>
  void walk(std::size_t axis, std::int64_t x, std::int64_t* y, Body& body) const {
    const Axis& along = axes_[axis];
    if (axis + 1 < axes_.size()) {
      for (std::int64_t k = 0; k < along.extent; ++k) walk(axis + 1, x + k * along.step, y, body);
      return;
    }
    for (std::int64_t k = 0; k < along.extent; ++k, *y += piece_) body(x + k * along.step, *y);
  }
  void copy(const float* from, float* to) const {
    if (piece_ == 1)
      *to = *from;
    else
      std::memcpy(to, from, static_cast<std::size_t>(piece_) * sizeof(float));
  }

  bool lanes_;
  std::int64_t sample_, piece_;  // floats
  std::vector<Axis> axes_;       // of y, as far as they move
};

std::string text(const std::vector<int>& axes) {
  std::string s;
  for (int a : axes) s += (s.empty() ? "" : ", ") + std::to_string(a);
  return "(" + s + ")";
}

class Permute final : public Op {
 public:
  explicit Permute(std::vector<int> axes) : axes_(std::move(axes)) {}
  const char* kind() const override { return "permute"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = single_input(in);
    if (static_cast<std::size_t>(s.rank()) != axes_.size())
      throw ShapeError("input is " + s.str() + ", the order " + text(axes_) + " is of " +
                       std::to_string(axes_.size()) + " axes");
    std::vector<std::int64_t> out;
    for (int a : axes_) out.push_back(s[a]);
    return Shape(std::move(out));
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<PermuteStep>(axes_, o);
  }

 private:
  std::vector<int> axes_;
};

}  // namespace

OpPtr permute(std::vector<int> axes) {
  std::vector<bool> seen(axes.size(), false);
  for (int a : axes) {
    if (a < 0 || static_cast<std::size_t>(a) >= axes.size() || seen[static_cast<std::size_t>(a)])
      throw ValueError("an order of axes names each of 0 to " + std::to_string(axes.size() - 1) +
                       " once, got " + text(axes));
    seen[static_cast<std::size_t>(a)] = true;
  }
  if (axes.empty()) throw ValueError("an order of axes names at least one");
  return std::make_shared<Permute>(std::move(axes));
}

}  // namespace striate
