// Transposed convolution: the gradient of a convolution by its input, as a layer.
//   y[i*sh - pt + kh*dh, j*sw - pl + kw*dw, o] += sum_c x[i, j, c] W[kh, kw, o, c], plus b[o]
// The mirror convolution takes y's shape to x's: what is its input gradient is this forward pass,
// its forward pass this input gradient, and its weight gradient has x and dy change places.
#include <algorithm>
#include <utility>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/op.h"
#include "ops/packed_passes.h"

namespace striate {
namespace {

class Conv2DTransposeStep final : public Step {
 public:
  // g: of the mirror convolution.
  Conv2DTransposeStep(const ConvGeometry& g, bool bias, const StepOptions& o)
      : g_(g),
        bias_(bias),
        k_(*o.kernels),
        samples_layout_(o.layout == Layout::kSamples),
        position_floats_(samples_layout_ ? kLanes : 1),
        x_padding_(input_gradient_padding(g)),
        dy_padding_(forward_padding(g)),
        forward_(input_gradient_passes(g, x_padding_), x_padding_, 1, o.layout, k_),
        input_gradient_(one(forward_pass(g, dy_padding_)), dy_padding_, 1, o.layout, k_) {
    backward_reads_x = true;
    packed_size = forward_.packed_size();
    packed_backward_size = input_gradient_.packed_size();
    // The weight gradient's: x squared (second order), and dy with its columns padded.
    x_floats_ = align_up(g.oh * g.ow * g.oc * position_floats_);
    const std::int64_t dy_floats = align_up(dy_padding_.positions() * position_floats_);
    scratch_size = std::max({forward_.scratch_floats(), input_gradient_.scratch_floats(),
                             checked_add(x_floats_, dy_floats)});
  }

  void pack(const PackArgs& a) const override {
    (a.backward ? input_gradient_ : forward_).pack(a.params[0], 0, 1, a.packed);
  }

  void forward(const ForwardArgs& a) const override {
    for (int n = 0; n < image_count(a); ++n)
      forward_.run(a.x[0] + n * x_image(), a.packed, {bias_ ? a.params[1] : nullptr}, a.scratch,
                   a.y + n * y_image());
  }

  void backward(const BackwardArgs& a) const override {
    for (int n = 0; n < image_count(a); ++n) {
      const float* dy = a.dy + n * y_image();
      if (a.dparams[0]) weight_gradient(a, n, dy);
      if (a.dx[0]) input_gradient_.run(dy, a.packed, {}, a.scratch, a.dx[0] + n * x_image());
    }
    if (!bias_ || !a.dparams[1]) return;
    const auto bias_grad = samples_layout_ ? k_.bias_grad_samples : k_.bias_grad_channels;
    bias_grad(g_.h * g_.w * image_count(a), static_cast<std::int32_t>(g_.c), a.dy, a.dparams[1],
              a.accumulate);
  }

 private:
  static std::vector<ConvPassTables> one(ConvPassTables tables) {
    std::vector<ConvPassTables> v;
    v.push_back(std::move(tables));
    return v;
  }

  int image_count(const StepArgs& a) const {
    return samples_layout_ ? 1 : static_cast<int>(a.samples);
  }
  std::int64_t x_image() const { return g_.oh * g_.ow * g_.oc * position_floats_; }
  std::int64_t y_image() const { return g_.h * g_.w * g_.c * position_floats_; }

  // dy: of image n.
  void weight_gradient(const BackwardArgs& a, int n, const float* dy) const {
    if (dy_padding_.needed()) {
      dy_padding_.copy(dy, position_floats_, 0, dy_padding_.rows, a.scratch + x_floats_);
      dy = a.scratch + x_floats_;
    }
    const float* x = a.x[0] + n * x_image();
    if (a.order == 2) {
      k_.multiply(x_image(), x, x, a.scratch);
      x = a.scratch;
    }
    const ConvPassTables& t = input_gradient_[0];
    const float* const from = dy + t.x_origin * position_floats_;
    const bool add = a.accumulate || n > 0;
    if (samples_layout_)
      k_.conv_wgrad_samples(t.pass, from, x, a.dparams[0], g_.oc, add);
    else
      k_.conv_wgrad_channels(t.pass, 0, static_cast<std::int32_t>(t.runs.size()), 1, from, 0, x, 0,
                             a.dparams[0], g_.oc, add);
  }

  ConvGeometry g_;
  bool bias_;
  const KernelTable& k_;
  bool samples_layout_;
  std::int64_t position_floats_;
  ColumnPadding x_padding_, dy_padding_;
  PackedPasses forward_, input_gradient_;
  std::int64_t x_floats_ = 0;
};

// Output pixels of one axis, and of them how many lie before the first whole window position.
struct TransposedAxis {
  std::int64_t out, before;
};

class Conv2DTranspose final : public Op {
 public:
  explicit Conv2DTranspose(Conv2DTransposeOptions o) : o_(std::move(o)) {}
  const char* kind() const override { return "conv2d_transpose"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const ConvGeometry g = geometry(in);
    return {g.h, g.w, g.c};
  }

  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    const std::int64_t c = image_input(in)[2];
    const std::int64_t area = checked_mul(o_.kernel.h, o_.kernel.w);
    ParameterSpec kernel;
    kernel.name = "kernel";
    kernel.shape = {o_.kernel.h, o_.kernel.w, o_.filters, c};
    kernel.initializer = o_.kernel_initializer;
    kernel.trainable = o_.trainable;
    // Keras's fans, of the kernel's shape: those of the mirror convolution.
    kernel.fan_in = checked_mul(area, o_.filters);
    kernel.fan_out = checked_mul(area, c);
    kernel.count = kernel.shape.size();
    std::vector<ParameterSpec> specs{kernel};
    if (o_.bias) {
      ParameterSpec bias;
      bias.name = "bias";
      bias.shape = {o_.filters};
      bias.initializer = o_.bias_initializer;
      bias.trainable = o_.trainable;
      bias.fan_in = kernel.fan_in;
      bias.fan_out = kernel.fan_out;
      bias.count = o_.filters;
      specs.push_back(std::move(bias));
    }
    return specs;
  }

  // Products as of the mirror convolution, those with cropped pixels included.
  Cost cost(const std::vector<Shape>& in) const override {
    const ConvGeometry g = geometry(in);
    Cost c;
    c.macs = checked_mul(checked_mul(g.oh, g.ow), parameters(in)[0].count);
    c.connections = checked_add(c.macs, o_.bias ? output_shape(in).size() : 0);
    return c;
  }

  bool supports(Layout) const override { return true; }

  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    return std::make_unique<Conv2DTransposeStep>(geometry(options.inputs), o_.bias, options);
  }

 private:
  ConvGeometry geometry(const std::vector<Shape>& in) const {
    const Shape& s = image_input(in);
    const TransposedAxis h = axis(s[0], true), w = axis(s[1], false);
    return {h.out,       w.out, o_.filters, s[0],        s[1],     s[2],    o_.kernel.h,
            o_.kernel.w, 1,     o_.strides, o_.dilation, h.before, w.before};
  }

  TransposedAxis axis(std::int64_t in, bool vertical) const {
    const auto of = [=](const Extent& e) { return vertical ? e.h : e.w; };
    const std::int64_t stride = of(o_.strides);
    const std::int64_t reach = checked_add(checked_mul(of(o_.dilation), of(o_.kernel) - 1), 1);
    const std::int64_t steps = checked_mul(in - 1, stride);
    const std::int64_t more = o_.output_padding ? of(*o_.output_padding) : 0;
    TransposedAxis a{};
    switch (o_.padding.kind) {
      case Padding::Kind::kValid:
        a.out = steps + (o_.output_padding ? reach + more : std::max(reach, stride));
        break;
      case Padding::Kind::kSame:
        a.out = steps + (o_.output_padding ? reach % 2 + more : stride);
        a.before = std::max<std::int64_t>(steps + reach - a.out, 0) / 2;
        break;
      case Padding::Kind::kExplicit:
        a.before = vertical ? o_.padding.top : o_.padding.left;
        a.out = steps + reach + more - a.before - (vertical ? o_.padding.bottom : o_.padding.right);
        break;
    }
    if (a.out < 1)
      throw ShapeError(std::string("input ") + (vertical ? "height " : "width ") +
                       std::to_string(in) + " leaves no output: use less padding, a larger " +
                       "window, or a larger image");
    return a;
  }

  Conv2DTransposeOptions o_;
};

void check_output_padding(std::int64_t padding, std::int64_t stride, std::int64_t dilation) {
  if (padding < 0 || padding >= std::max(stride, dilation))
    throw ValueError("output_padding must be at least 0 and below the larger of stride and " +
                     std::string("dilation, ") + std::to_string(std::max(stride, dilation)) +
                     ", got " + std::to_string(padding));
}

}  // namespace

OpPtr conv2d_transpose(Conv2DTransposeOptions o) {
  check_extent({o.filters, 1}, "filters");
  check_extent(o.kernel, "kernel");
  check_extent(o.strides, "strides");
  check_extent(o.dilation, "dilation");
  check_padding(o.padding);
  if (o.output_padding) {
    check_output_padding(o.output_padding->h, o.strides.h, o.dilation.h);
    check_output_padding(o.output_padding->w, o.strides.w, o.dilation.w);
  }
  return std::make_shared<Conv2DTranspose>(std::move(o));
}

}  // namespace striate
