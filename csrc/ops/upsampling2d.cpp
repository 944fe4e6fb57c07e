// Upsampling by whole factors. Nearest repeats each pixel: the adjoint of a sum over windows that
// do not overlap, so the pooling kernels do it. Bilinear is TensorFlow's resize with half-pixel
// centres: output pixel o looks at (o + 0.5) / size - 0.5, and the image ends at its outermost
// pixels' centres.
#include <algorithm>
#include <cmath>

#include "core/checked.h"
#include "ops/geometry.h"
#include "ops/op.h"

namespace striate {
namespace {

Shape upsampled(const Shape& s, const Extent& size) {
  return {checked_mul(s[0], size.h), checked_mul(s[1], size.w), s[2]};
}

class NearestStep final : public Step {
 public:
  NearestStep(const Extent& size, const StepOptions& o)
      : pass_(pool_pass(upsampled(o.inputs[0], size),
                        resolve_window(upsampled(o.inputs[0], size), size, size, {1, 1}, {}), 1)),
        lanes_(o.layout == Layout::kSamples),
        k_(*o.kernels) {
    if (lanes_) pass_.inner *= kLanes;
  }
  // The windows' sums have a divisor of 1, whose square is 1 too: one pass serves both orders.
  void forward(const ForwardArgs& a) const override {
    k_.avg_pool_backward(block_pass(a), a.x[0], a.y, 1);
  }
  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) k_.avg_pool(block_pass(a), a.dy, a.dx[0]);
  }

 private:
  PoolPass block_pass(const StepArgs& a) const {
    PoolPass p = pass_;
    p.images = lanes_ ? 1 : static_cast<std::int32_t>(a.samples);
    return p;
  }
  PoolPass pass_;
  bool lanes_;
  const KernelTable& k_;
};

// An output row or column is this blend of two of the input; b is 0 beyond the outermost centres.
struct Tap {
  std::int64_t first, second;
  float a, b;
};

std::vector<Tap> taps(std::int64_t in, std::int64_t size) {
  std::vector<Tap> t;
  for (std::int64_t o = 0; o < in * size; ++o) {
    const double at = (static_cast<double>(o) + 0.5) / static_cast<double>(size) - 0.5;
    const auto first = static_cast<std::int64_t>(std::floor(at));
    const double b = at - std::floor(at);
    if (first < 0)
      t.push_back({0, 0, 1.0f, 0.0f});
    else if (first + 1 >= in)
      t.push_back({in - 1, in - 1, 1.0f, 0.0f});
    else
      t.push_back({first, first + 1, static_cast<float>(1.0 - b), static_cast<float>(b)});
  }
  return t;
}

class BilinearStep final : public Step {
 public:
  BilinearStep(const Extent& size, const StepOptions& o)
      : lanes_(o.layout == Layout::kSamples),
        pixel_(o.inputs[0][2] * (lanes_ ? kLanes : 1)),
        height_(o.inputs[0][0]),
        row_(o.inputs[0][1] * pixel_),
        rows_(taps(o.inputs[0][0], size.h)),
        columns_(taps(o.inputs[0][1], size.w)),
        k_(*o.kernels) {
    scratch_size = row_;
  }

  void forward(const ForwardArgs& a) const override {
    const float* x = a.x[0];
    float* y = a.y;
    for (std::int64_t n = 0; n < images(a); ++n, x += height_ * row_)
      for (const Tap& r : rows_) {
        k_.blend(row_, r.a, x + r.first * row_, r.b, x + r.second * row_, a.scratch);
        for (const Tap& c : columns_) {
          k_.blend(pixel_, c.a, a.scratch + c.first * pixel_, c.b, a.scratch + c.second * pixel_,
                   y);
          y += pixel_;
        }
      }
  }

  void backward(const BackwardArgs& a) const override {
    float* dx = a.dx[0];
    if (!dx) return;
    const float* dy = a.dy;
    std::fill(dx, dx + images(a) * height_ * row_, 0.0f);
    for (std::int64_t n = 0; n < images(a); ++n, dx += height_ * row_)
      for (const Tap& r : rows_) {
        std::fill(a.scratch, a.scratch + row_, 0.0f);
        for (const Tap& c : columns_) {
          give(c, a.order, pixel_, dy, a.scratch);
          dy += pixel_;
        }
        give(r, a.order, row_, a.scratch, dx);
      }
  }

 private:
  // Adds what a tap's two sources, `n` floats each, get of its output's gradient.
  void give(const Tap& t, int order, std::int64_t n, const float* dy, float* dx) const {
    const float a = order == 2 ? t.a * t.a : t.a, b = order == 2 ? t.b * t.b : t.b;
    float* const first = dx + t.first * n;
    k_.blend(n, a, dy, 1.0f, first, first);
    if (t.b == 0.0f) return;
    float* const second = dx + t.second * n;
    k_.blend(n, b, dy, 1.0f, second, second);
  }
  std::int64_t images(const StepArgs& a) const { return lanes_ ? 1 : a.samples; }

  bool lanes_;
  std::int64_t pixel_, height_, row_;  // floats of a pixel, rows, floats of a row
  std::vector<Tap> rows_, columns_;
  const KernelTable& k_;
};

class UpSampling2D final : public Op {
 public:
  UpSampling2D(const Extent& size, bool bilinear) : size_(size), bilinear_(bilinear) {}
  const char* kind() const override { return "upsampling2d"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    return upsampled(image_input(in), size_);
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    if (bilinear_) return std::make_unique<BilinearStep>(size_, o);
    return std::make_unique<NearestStep>(size_, o);
  }

 private:
  Extent size_;
  bool bilinear_;
};

}  // namespace

OpPtr upsampling2d(const Extent& size, const std::string& interpolation) {
  check_extent(size, "upsampling size");
  if (interpolation != "nearest" && interpolation != "bilinear")
    throw ValueError("interpolation must be \"nearest\" or \"bilinear\", got \"" + interpolation +
                     "\"");
  return std::make_shared<UpSampling2D>(size, interpolation == "bilinear");
}

}  // namespace striate
