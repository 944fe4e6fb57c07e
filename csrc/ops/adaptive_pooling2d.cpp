// Adaptive average pooling, PyTorch's AdaptiveAvgPool2d: output i of OH is the mean of the rows
// from floor(i * H / OH) to ceil((i + 1) * H / OH), and columns alike. Windows may overlap and
// differ in size by one.
#include <algorithm>

#include "core/checked.h"
#include "ops/geometry.h"
#include "ops/op.h"

namespace striate {
namespace {

struct Part {
  std::int64_t begin, end;
};

std::vector<Part> parts(std::int64_t in, std::int64_t out) {
  std::vector<Part> p;
  for (std::int64_t i = 0; i < out; ++i)
    p.push_back({i * in / out, ((i + 1) * in + out - 1) / out});
  return p;
}

class AdaptiveAvgPoolStep final : public Step {
 public:
  AdaptiveAvgPoolStep(const Extent& out, const StepOptions& o)
      : lanes_(o.layout == Layout::kSamples),
        pixel_(o.inputs[0][2] * (lanes_ ? kLanes : 1)),
        rows_(parts(o.inputs[0][0], out.h)),
        columns_(parts(o.inputs[0][1], out.w)),
        k_(*o.kernels) {
    const Shape& s = o.inputs[0];
    const Window2D image = resolve_window(s, {s[0], s[1]}, {1, 1}, {1, 1}, Padding::valid());
    pass_ = pool_pass(s, image, 0);
    pass_.inner = narrow<std::int32_t>(pixel_);
    image_ = s[0] * s[1] * pixel_;
    scratch_size = pixel_;
  }

  void forward(const ForwardArgs& a) const override {
    const float* x = a.x[0];
    float* y = a.y;
    for (std::int64_t n = 0; n < images(a); ++n, x += image_)
      for (const Part& r : rows_)
        for (const Part& c : columns_) {
          k_.avg_pool(window(r, c), x, y);
          y += pixel_;
        }
  }

  void backward(const BackwardArgs& a) const override {
    float* dx = a.dx[0];
    if (!dx) return;
    const float* dy = a.dy;
    std::fill(dx, dx + images(a) * image_, 0.0f);
    for (std::int64_t n = 0; n < images(a); ++n, dx += image_)
      for (const Part& r : rows_)
        for (const Part& c : columns_) {
          k_.scale(pixel_, share(r, c, a.order), dy, a.scratch);
          give(r, c, a.scratch, dx);
          dy += pixel_;
        }
  }

 private:
  // The one window as a pooling pass of its own: padding that is negative moves it inside.
  PoolPass window(const Part& r, const Part& c) const {
    PoolPass p = pass_;
    p.window_h = static_cast<std::int32_t>(r.end - r.begin);
    p.window_w = static_cast<std::int32_t>(c.end - c.begin);
    p.pad_top = static_cast<std::int32_t>(-r.begin);
    p.pad_left = static_cast<std::int32_t>(-c.begin);
    return p;
  }

  static float share(const Part& r, const Part& c, int order) {
    const float once = 1.0f / static_cast<float>((r.end - r.begin) * (c.end - c.begin));
    return order == 2 ? once * once : once;
  }

  void give(const Part& r, const Part& c, const float* each, float* dx) const {
    for (std::int64_t h = r.begin; h < r.end; ++h)
      for (std::int64_t w = c.begin; w < c.end; ++w) {
        float* const to = dx + (h * pass_.width + w) * pixel_;
        k_.add(pixel_, to, each, to);
      }
  }
  std::int64_t images(const StepArgs& a) const { return lanes_ ? 1 : a.samples; }

  bool lanes_;
  std::int64_t pixel_, image_;  // floats
  PoolPass pass_;               // one image, one output
  std::vector<Part> rows_, columns_;
  const KernelTable& k_;
};

class AdaptiveAvgPool2D final : public Op {
 public:
  explicit AdaptiveAvgPool2D(const Extent& out) : out_(out) {}
  const char* kind() const override { return "adaptive_avg_pool2d"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    return {out_.h, out_.w, image_input(in)[2]};
  }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<AdaptiveAvgPoolStep>(out_, o);
  }

 private:
  Extent out_;
};

}  // namespace

OpPtr adaptive_avg_pool2d(const Extent& output) {
  check_extent(output, "output size");
  return std::make_shared<AdaptiveAvgPool2D>(output);
}

}  // namespace striate
