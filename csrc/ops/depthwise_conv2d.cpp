// Depthwise convolution: each channel with its own kernels.
//   y[oh, ow, c*M + m] = b[c*M + m] + sum_{kh, kw} x[oh*sh - pt + kh*dh, ow*sw - pl + kw*dw, c]
//   W[kh, kw, c, m]
// The kernels take one multiplier m at a time: a pixel of x and of y has C channels then. For M > 1
// a step gathers and spreads every Mth channel.
#include <cstring>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/depthwise_pass.h"
#include "ops/op.h"

namespace striate {
namespace {

// Every Mth position, from m on: `positions` of `floats` floats each out of, or into, M times as
// many.
void collect(std::int64_t positions, std::int64_t floats, std::int64_t multiplier, std::int64_t m,
             const float* from, float* to) {
  for (std::int64_t i = 0; i < positions; ++i)
    std::memcpy(to + i * floats, from + (i * multiplier + m) * floats,
                static_cast<std::size_t>(floats) * sizeof(float));
}
void spread(std::int64_t positions, std::int64_t floats, std::int64_t multiplier, std::int64_t m,
            const float* from, float* to) {
  for (std::int64_t i = 0; i < positions; ++i)
    std::memcpy(to + (i * multiplier + m) * floats, from + i * floats,
                static_cast<std::size_t>(floats) * sizeof(float));
}

class DepthwiseStep final : public Step {
 public:
  DepthwiseStep(const Window2D& w, std::int64_t channels, std::int64_t multiplier, bool bias,
                const StepOptions& o)
      : k_(*o.kernels),
        samples_layout_(o.layout == Layout::kSamples),
        bias_(bias),
        channels_(channels),
        multiplier_(multiplier),
        lanes_(samples_layout_ ? kLanes : 1),
        inner_(checked_mul(channels, lanes_)),
        taps_(checked_mul(w.h.window, w.w.window)),
        x_pixels_(checked_mul(w.h.in, w.w.in)),
        y_pixels_(checked_mul(w.h.out, w.w.out)),
        forward_(depthwise_forward_pass(w, inner_)),
        input_gradient_(depthwise_input_gradient_passes(w, inner_)) {
    backward_reads_x = true;
    // One multiplier's weights, then its bias.
    packed_one_ = align_up(taps_ * inner_) + align_up(inner_);
    if (packs()) packed_size = packed_backward_size = checked_mul(packed_one_, multiplier_);
    x_floats_ = align_up(x_pixels_ * inner_);
    y_floats_ = align_up(y_pixels_ * inner_);
    scratch_size =
        2 * x_floats_ + y_floats_ + align_up(taps_ * inner_) + align_up(taps_ * channels);
  }

  void pack(const PackArgs& a) const override {
    if (!packs()) return;
    float* packed = a.packed;
    for (std::int64_t m = 0; m < multiplier_; ++m, packed += packed_one_) {
      repeat(taps_ * channels_, a.params[0] + m, packed);
      if (bias_) repeat(channels_, a.params[1] + m, packed + align_up(taps_ * inner_));
    }
  }

  void forward(const ForwardArgs& a) const override {
    for (int n = 0; n < image_count(a); ++n) {
      const float* const x = a.x[0] + n * x_pixels_ * inner_;
      float* const y = a.y + n * y_pixels_ * inner_ * multiplier_;
      for (std::int64_t m = 0; m < multiplier_; ++m) {
        float* const one = multiplier_ == 1 ? y : a.scratch;
        k_.depthwise(forward_.pass, x, weights(a, m), bias(a, m), one + forward_.y_origin);
        if (multiplier_ > 1) spread(y_pixels_ * channels_, lanes_, multiplier_, m, one, y);
      }
    }
  }

  void backward(const BackwardArgs& a) const override {
    for (int n = 0; n < image_count(a); ++n) {
      const float* const dy = a.dy + n * y_pixels_ * inner_ * multiplier_;
      for (std::int64_t m = 0; m < multiplier_; ++m) {
        const float* one = dy;
        if (multiplier_ > 1) {
          collect(y_pixels_ * channels_, lanes_, multiplier_, m, dy, a.scratch);
          one = a.scratch;
        }
        if (a.dparams[0]) weight_gradient(a, n, m, one);
        if (a.dx[0]) input_gradient(a, n, m, one);
      }
    }
    if (!bias_ || !a.dparams[1]) return;
    const auto bias_grad = samples_layout_ ? k_.bias_grad_samples : k_.bias_grad_channels;
    bias_grad(y_pixels_ * image_count(a), narrow<std::int32_t>(channels_ * multiplier_), a.dy,
              a.dparams[1], a.accumulate);
  }

 private:
  int image_count(const StepArgs& a) const { return samples_layout_ ? 1 : a.samples; }
  // Samples in lanes want each weight once a lane; with several multipliers each wants its own.
  bool packs() const { return samples_layout_ || multiplier_ > 1; }

  // Every Mth of M * count numbers, each once a lane.
  void repeat(std::int64_t count, const float* from, float* to) const {
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t lane = 0; lane < lanes_; ++lane) *to++ = from[i * multiplier_];
  }

  const float* weights(const StepArgs& a, std::int64_t m) const {
    return packs() ? a.packed + m * packed_one_ : a.params[0];
  }
  const float* bias(const StepArgs& a, std::int64_t m) const {
    if (!bias_) return nullptr;
    return packs() ? weights(a, m) + align_up(taps_ * inner_) : a.params[1];
  }

  // dy: one multiplier's channels of image n.
  void input_gradient(const BackwardArgs& a, int n, std::int64_t m, const float* dy) const {
    float* const dx = a.dx[0] + n * x_pixels_ * inner_;
    float* const one = m == 0 ? dx : a.scratch + y_floats_;
    for (const DepthwisePassTables& t : input_gradient_)
      k_.depthwise(t.pass, dy, weights(a, m), nullptr, one + t.y_origin);
    if (m > 0) k_.add(x_pixels_ * inner_, dx, one, dx);
  }

  void weight_gradient(const BackwardArgs& a, int n, std::int64_t m, const float* dy) const {
    const float* x = a.x[0] + n * x_pixels_ * inner_;
    if (a.order == 2) {
      float* const squares = a.scratch + y_floats_ + x_floats_;
      k_.multiply(x_pixels_ * inner_, x, x, squares);
      x = squares;
    }
    const bool add = a.accumulate || n > 0;
    if (!packs()) return k_.depthwise_wgrad(forward_.pass, x, dy, a.dparams[0], add);
    // The gradient by lane, then by weight, then to where every Mth weight lies.
    float* const by_lane = a.scratch + y_floats_ + 2 * x_floats_;
    float* const by_weight = by_lane + align_up(taps_ * inner_);
    const std::int64_t count = taps_ * channels_;
    if (add) collect(count, 1, multiplier_, m, a.dparams[0], by_weight);
    if (samples_layout_) {
      k_.depthwise_wgrad(forward_.pass, x, dy, by_lane, false);
      k_.bias_grad_samples(1, narrow<std::int32_t>(count), by_lane, by_weight, add);
    } else {
      k_.depthwise_wgrad(forward_.pass, x, dy, by_weight, add);
    }
    spread(count, 1, multiplier_, m, by_weight, a.dparams[0]);
  }

  const KernelTable& k_;
  bool samples_layout_, bias_;
  std::int64_t channels_, multiplier_, lanes_, inner_, taps_, x_pixels_, y_pixels_;
  DepthwisePassTables forward_;
  std::vector<DepthwisePassTables> input_gradient_;
  std::int64_t packed_one_ = 0, x_floats_ = 0, y_floats_ = 0;
};

class DepthwiseConv2D final : public Op {
 public:
  explicit DepthwiseConv2D(DepthwiseConv2DOptions o) : o_(std::move(o)) {}
  const char* kind() const override { return "depthwise_conv2d"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const Window2D w = window(in);
    return {w.h.out, w.w.out, checked_mul(in[0][2], o_.depth_multiplier)};
  }

  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    const std::int64_t c = image_input(in)[2];
    const std::int64_t area = checked_mul(o_.kernel.h, o_.kernel.w);
    ParameterSpec kernel;
    kernel.name = "kernel";
    kernel.shape = {o_.kernel.h, o_.kernel.w, c, o_.depth_multiplier};
    kernel.initializer = o_.kernel_initializer;
    kernel.trainable = o_.trainable;
    // Keras's fans, of the kernel's shape: each output has but `area` weights.
    kernel.fan_in = checked_mul(area, c);
    kernel.fan_out = checked_mul(area, o_.depth_multiplier);
    kernel.count = kernel.shape.size();
    std::vector<ParameterSpec> specs{kernel};
    if (o_.bias) {
      ParameterSpec bias;
      bias.name = "bias";
      bias.shape = {checked_mul(c, o_.depth_multiplier)};
      bias.initializer = o_.bias_initializer;
      bias.trainable = o_.trainable;
      bias.fan_in = kernel.fan_in;
      bias.fan_out = kernel.fan_out;
      bias.count = bias.shape.size();
      specs.push_back(std::move(bias));
    }
    return specs;
  }

  Cost cost(const std::vector<Shape>& in) const override {
    const Shape out = output_shape(in);
    Cost c;
    c.macs = checked_mul(out.size(), checked_mul(o_.kernel.h, o_.kernel.w));
    c.connections = checked_add(c.macs, o_.bias ? out.size() : 0);
    return c;
  }

  bool supports(Layout) const override { return true; }

  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    return std::make_unique<DepthwiseStep>(window(options.inputs), options.inputs[0][2],
                                           o_.depth_multiplier, o_.bias, options);
  }

 private:
  Window2D window(const std::vector<Shape>& in) const {
    return resolve_window(image_input(in), o_.kernel, o_.strides, o_.dilation, o_.padding);
  }
  DepthwiseConv2DOptions o_;
};

}  // namespace

OpPtr depthwise_conv2d(DepthwiseConv2DOptions o) {
  check_extent({o.depth_multiplier, 1}, "depth_multiplier");
  check_extent(o.kernel, "kernel");
  check_extent(o.strides, "strides");
  check_extent(o.dilation, "dilation");
  check_padding(o.padding);
  return std::make_shared<DepthwiseConv2D>(std::move(o));
}

}  // namespace striate
