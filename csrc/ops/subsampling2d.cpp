// Trainable subsampling, LeNet-5's S layers (LeCun et al. 1998, section II.B):
//   y[oh, ow, c] = coefficient[c] * (sum over the window of x) + bias[c]
#include "core/checked.h"
#include "core/storage.h"
#include "ops/geometry.h"
#include "ops/op.h"

namespace striate {
namespace {

class SubsampleStep final : public Step {
 public:
  SubsampleStep(const PoolPass& pass, const StepOptions& o)
      : pass_(pass),
        k_(*o.kernels),
        samples_layout_(o.layout == Layout::kSamples),
        channels_(pass.inner),
        pixels_(std::int64_t{pass.out_height} * pass.out_width) {
    if (samples_layout_) pass_.inner *= kLanes;
    saved_size = pixels_ * channels_ * (samples_layout_ ? kLanes : o.block_samples);
    scratch_size = 2 * align_up(saved_size);
  }

  void forward(const ForwardArgs& a) const override {
    // The sums are kept: the coefficient's gradient needs them.
    float* sums = a.keep ? a.saved : a.scratch;
    k_.avg_pool(block_pass(a), a.x[0], sums);
    const auto affine = samples_layout_ ? k_.channel_affine_samples : k_.channel_affine_channels;
    affine(pixel_count(a), channels_, a.params[0], sums, {a.params[1]}, a.y);
  }

  void backward(const BackwardArgs& a) const override {
    const std::int64_t pixels = pixel_count(a);
    const std::int64_t n = pixels * channels_ * (samples_layout_ ? kLanes : 1);
    if (a.dparams[0]) {
      const float* sums = a.saved;
      if (a.order == 2) {
        k_.multiply(n, sums, sums, a.scratch);
        sums = a.scratch;
      }
      const auto dot = samples_layout_ ? k_.channel_dot_samples : k_.channel_dot_channels;
      dot(pixels, channels_, a.dy, sums, a.dparams[0], a.accumulate);
      const auto bias = samples_layout_ ? k_.bias_grad_samples : k_.bias_grad_channels;
      bias(pixels, channels_, a.dy, a.dparams[1], a.accumulate);
    }
    if (!a.dx[0]) return;
    float* ds = a.scratch + align_up(saved_size);
    const auto affine = samples_layout_ ? k_.channel_affine_samples : k_.channel_affine_channels;
    affine(pixels, channels_, a.params[0], a.dy, {}, ds);
    k_.avg_pool_backward(block_pass(a), ds, a.dx[0], a.order);
  }

 private:
  PoolPass block_pass(const StepArgs& a) const {
    PoolPass p = pass_;
    p.images = samples_layout_ ? 1 : a.samples;
    return p;
  }
  std::int64_t pixel_count(const StepArgs& a) const {
    return pixels_ * (samples_layout_ ? 1 : a.samples);
  }

  PoolPass pass_;
  const KernelTable& k_;
  bool samples_layout_;
  std::int32_t channels_;
  std::int64_t pixels_;
};

class Subsample2D final : public Op {
 public:
  explicit Subsample2D(Subsample2DOptions o) : o_(o) {}
  const char* kind() const override { return "subsample2d"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const Window2D w = window(in);
    return {w.h.out, w.w.out, in[0][2]};
  }

  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    const std::int64_t c = image_input(in)[2], area = checked_mul(o_.window.h, o_.window.w);
    const auto spec = [&](const char* name, const Initializer& init) {
      ParameterSpec s;
      s.name = name;
      s.shape = {c};
      s.initializer = init;
      s.trainable = o_.trainable;
      s.fan_in = s.fan_out = area;
      s.count = c;
      return s;
    };
    return {spec("coefficient", o_.coefficient_initializer), spec("bias", o_.bias_initializer)};
  }

  // The paper's count: each output connects to its window and to a bias.
  Cost cost(const std::vector<Shape>& in) const override {
    const std::int64_t outputs = output_shape(in).size();
    Cost c;
    c.macs = outputs;
    c.connections = checked_mul(outputs, o_.window.h * o_.window.w + 1);
    return c;
  }

  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    const Shape& s = options.inputs[0];
    const PoolPass pass = pool_pass(s, window(options.inputs), 1);
    return std::make_unique<SubsampleStep>(pass, options);
  }

 private:
  Window2D window(const std::vector<Shape>& in) const {
    return resolve_window(image_input(in), o_.window, o_.strides, {1, 1}, Padding::valid());
  }
  Subsample2DOptions o_;
};

}  // namespace

OpPtr subsample2d(Subsample2DOptions options) {
  check_extent(options.window, "subsampling window");
  check_extent(options.strides, "strides");
  return std::make_shared<Subsample2D>(options);
}

}  // namespace striate
