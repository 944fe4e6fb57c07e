// Zero padding and cropping of images: one is the other's gradient.
#include <algorithm>
#include <cstring>

#include "core/checked.h"
#include "ops/geometry.h"
#include "ops/op.h"

namespace striate {
namespace {

// A small image inside a large one.
class FrameStep final : public Step {
 public:
  FrameStep(bool pads, const Shape& small, const Padding& frame, const StepOptions& o)
      : pads_(pads),
        lanes_(o.layout == Layout::kSamples),
        pixel_(small[2] * (lanes_ ? kLanes : 1)),
        rows_(small[0]),
        columns_(small[1]),
        frame_(frame) {}

  void forward(const ForwardArgs& a) const override { move(a, pads_, a.x[0], a.y); }
  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) move(a, !pads_, a.dy, a.dx[0]);
  }

 private:
  void move(const StepArgs& a, bool pad, const float* from, float* to) const {
    const std::int64_t images = lanes_ ? 1 : a.samples;
    const std::int64_t row = columns_ * pixel_;
    const std::int64_t large_row = row + (frame_.left + frame_.right) * pixel_;
    for (std::int64_t n = 0; n < images; ++n) {
      if (pad) {
        to = std::fill_n(to, frame_.top * large_row, 0.0f);
        for (std::int64_t r = 0; r < rows_; ++r, from += row) {
          to = std::fill_n(to, frame_.left * pixel_, 0.0f);
          std::memcpy(to, from, static_cast<std::size_t>(row) * sizeof(float));
          to = std::fill_n(to + row, frame_.right * pixel_, 0.0f);
        }
        to = std::fill_n(to, frame_.bottom * large_row, 0.0f);
      } else {
        from += frame_.top * large_row + frame_.left * pixel_;
        for (std::int64_t r = 0; r < rows_; ++r, from += large_row, to += row)
          std::memcpy(to, from, static_cast<std::size_t>(row) * sizeof(float));
        from += frame_.bottom * large_row - frame_.left * pixel_;
      }
    }
  }

  bool pads_, lanes_;
  std::int64_t pixel_, rows_, columns_;  // floats of a pixel, and the small image
  Padding frame_;
};

class ZeroPadding2D final : public Op {
 public:
  explicit ZeroPadding2D(Padding p) : p_(p) {}
  const char* kind() const override { return "zero_padding2d"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = image_input(in);
    return {checked_add(s[0], p_.top + p_.bottom), checked_add(s[1], p_.left + p_.right), s[2]};
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<FrameStep>(true, o.inputs[0], p_, o);
  }

 private:
  Padding p_;
};

class Cropping2D final : public Op {
 public:
  explicit Cropping2D(Padding p) : p_(p) {}
  const char* kind() const override { return "cropping2d"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = image_input(in);
    const std::int64_t h = s[0] - p_.top - p_.bottom, w = s[1] - p_.left - p_.right;
    if (h < 1 || w < 1)
      throw ShapeError("cropping ((" + std::to_string(p_.top) + ", " + std::to_string(p_.bottom) +
                       "), (" + std::to_string(p_.left) + ", " + std::to_string(p_.right) +
                       ")) leaves nothing of an input of " + s.str());
    return {h, w, s[2]};
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<FrameStep>(false, output_shape(o.inputs), p_, o);
  }

 private:
  Padding p_;
};

Padding sides(const Padding& p, const char* what) {
  if (p.kind != Padding::Kind::kExplicit)
    throw ValueError(std::string(what) + " takes ((top, bottom), (left, right))");
  check_padding(p);
  return p;
}

}  // namespace

OpPtr zero_padding2d(const Padding& padding) {
  return std::make_shared<ZeroPadding2D>(sides(padding, "zero padding"));
}
OpPtr cropping2d(const Padding& cropping) {
  return std::make_shared<Cropping2D>(sides(cropping, "cropping"));
}

}  // namespace striate
