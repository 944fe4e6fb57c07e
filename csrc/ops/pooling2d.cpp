// Max and average pooling, local and global. Windows are clipped at the image's edges, so the
// padding never wins a maximum and, unless count_include_pad, never enters an average (as Keras).
#include <algorithm>

#include "core/checked.h"
#include "ops/geometry.h"
#include "ops/op.h"

namespace striate {
namespace {

// The winner's index is kept as a float, exact below 2^24.
void check_max_window(std::int64_t h, std::int64_t w) {
  if (checked_mul(h, w) > (std::int64_t{1} << 24))
    throw ShapeError("a max pooling window has at most 2^24 pixels, got " + std::to_string(h) +
                     " x " + std::to_string(w));
}

class PoolStep : public Step {
 public:
  PoolStep(const PoolPass& pass, const StepOptions& o)
      : pass_(pass), k_(*o.kernels), samples_layout_(o.layout == Layout::kSamples) {
    if (samples_layout_) {
      pass_.images = 1;
      pass_.inner *= kLanes;
    }
  }

 protected:
  PoolPass block_pass(const StepArgs& a) const {
    PoolPass p = pass_;
    if (!samples_layout_) p.images = a.samples;
    return p;
  }
  PoolPass pass_;
  const KernelTable& k_;
  bool samples_layout_;
};

// Rows first..end - 1 of the output, and where in x they begin. A divisor that counts padding is
// not to be cut.
PoolPass pool_rows(const PoolPass& whole, std::int32_t first, std::int32_t end, std::int64_t* x) {
  PoolPass p = whole;
  const std::int32_t top = first * whole.stride_h - whole.pad_top, inside = std::max(top, 0);
  p.pad_top = inside - top;
  p.height = whole.height - inside;
  p.out_height = end - first;
  *x = std::int64_t{inside} * whole.width * whole.inner;
  return p;
}

// Tasks of a pool within a sample, so that one is worth its start: 2^18 numbers looked at.
int pool_tasks(const PoolPass& p) {
  const std::int64_t looks =
      std::int64_t{p.out_height} * p.out_width * p.inner * p.window_h * p.window_w;
  return static_cast<int>(std::clamp<std::int64_t>(looks >> 18, 1, std::min(p.out_height, 8)));
}

class MaxPoolStep final : public PoolStep {
 public:
  MaxPoolStep(const PoolPass& pass, const StepOptions& o) : PoolStep(pass, o) {
    // The winner's index instead of x: x's memory is free as soon as y is made.
    saved_size = std::int64_t{pass.out_height} * pass.out_width * pass.inner *
                 (samples_layout_ ? kLanes : o.block_samples);
    if (o.cut && pool_tasks(pass_) > 1) forward_tasks = pool_tasks(pass_);
  }
  void forward_task(const ForwardArgs& a, int task) const override {
    const std::int32_t first = pass_.out_height * task / forward_tasks;
    const std::int32_t end = pass_.out_height * (task + 1) / forward_tasks;
    std::int64_t x;
    PoolPass p = pool_rows(pass_, first, end, &x);
    p.images = 1;
    for (std::int64_t n = 0; n < a.samples; ++n)
      k_.max_pool(p, a.x[0] + n * pass_.height * pass_.width * pass_.inner + x,
                  a.y + (n * pass_.out_height + first) * pass_.out_width * pass_.inner, nullptr);
  }
  void forward(const ForwardArgs& a) const override {
    k_.max_pool(block_pass(a), a.x[0], a.y, a.keep ? a.saved : nullptr);
  }
  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) k_.max_pool_backward(block_pass(a), a.dy, a.saved, a.dx[0]);
  }
};

class AvgPoolStep final : public PoolStep {
 public:
  using PoolStep::PoolStep;
  void forward(const ForwardArgs& a) const override { k_.avg_pool(block_pass(a), a.x[0], a.y); }
  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) k_.avg_pool_backward(block_pass(a), a.dy, a.dx[0], a.order);
  }
};

class Pool2D final : public Op {
 public:
  Pool2D(Pool2DOptions o, bool max) : o_(o), max_(max) {}
  const char* kind() const override { return max_ ? "max_pool2d" : "avg_pool2d"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = image_input(in);
    if (max_) check_max_window(o_.window.h, o_.window.w);
    const Window2D w = windows(s);
    if (w.h.before >= o_.window.h || w.h.after >= o_.window.h || w.w.before >= o_.window.w ||
        w.w.after >= o_.window.w)
      throw ShapeError(
          "padding must be smaller than the pooling window: a window would lie "
          "entirely in it");
    return {w.h.out, w.w.out, s[2]};
  }
  bool supports(Layout) const override { return true; }
  bool is_max_pool() const override { return max_; }

  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    const Shape& s = options.inputs[0];
    std::int64_t divisor = 0;
    if (o_.count_include_pad)  // only windows that ceil_mode adds reach beyond the padding
      divisor = o_.ceil_mode ? kPaddedPixels : checked_mul(o_.window.h, o_.window.w);
    const PoolPass pass = pool_pass(s, windows(s), divisor);
    if (max_) return std::make_unique<MaxPoolStep>(pass, options);
    return std::make_unique<AvgPoolStep>(pass, options);
  }

 private:
  Window2D windows(const Shape& s) const {
    if (o_.ceil_mode) return resolve_ceil_window(s, o_.window, o_.strides, o_.padding);
    return resolve_window(s, o_.window, o_.strides, {1, 1}, o_.padding);
  }
  Pool2DOptions o_;
  bool max_;
};

// The whole image is the window.
class GlobalPool2D final : public Op {
 public:
  GlobalPool2D(bool max, bool keepdims) : max_(max), keepdims_(keepdims) {}
  const char* kind() const override { return max_ ? "global_max_pool2d" : "global_avg_pool2d"; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = image_input(in);
    if (max_) check_max_window(s[0], s[1]);
    return keepdims_ ? Shape{1, 1, s[2]} : Shape{s[2]};
  }
  bool supports(Layout) const override { return true; }
  bool is_max_pool() const override { return max_; }
  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    const Shape& s = options.inputs[0];
    const PoolPass pass =
        pool_pass(s, resolve_window(s, {s[0], s[1]}, {s[0], s[1]}, {1, 1}, Padding::valid()), 0);
    if (max_) return std::make_unique<MaxPoolStep>(pass, options);
    return std::make_unique<AvgPoolStep>(pass, options);
  }

 private:
  bool max_, keepdims_;
};

OpPtr pool2d(const Pool2DOptions& o, bool max) {
  check_extent(o.window, "pool window");
  check_extent(o.strides, "strides");
  check_padding(o.padding);
  return std::make_shared<Pool2D>(o, max);
}

}  // namespace

OpPtr max_pool2d(Pool2DOptions options) { return pool2d(options, true); }
OpPtr avg_pool2d(Pool2DOptions options) { return pool2d(options, false); }
OpPtr global_max_pool2d(bool keepdims) { return std::make_shared<GlobalPool2D>(true, keepdims); }
OpPtr global_avg_pool2d(bool keepdims) { return std::make_shared<GlobalPool2D>(false, keepdims); }

}  // namespace striate
