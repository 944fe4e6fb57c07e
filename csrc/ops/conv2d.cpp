// 2-D convolution (cross-correlation, as every framework means it): any kernel, strides, padding,
// dilation, groups, bias, and a connection table from input to output maps.
//   y[oh, ow, o] = b[o] + sum_{kh, kw, c} x[oh*sh - pt + kh*dh, ow*sw - pl + kw*dw, c] W[kh, kw, c,
//   o]
#include <limits>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/conv_pass.h"
#include "ops/dense_step.h"
#include "ops/op.h"

namespace striate {
namespace {

constexpr float kNoFloor = -std::numeric_limits<float>::infinity();

// One pass's weights in the packed buffer, group after group.
struct PackedPass {
  ConvPassTables tables;
  std::int64_t at, group_size;
};

class ConvStep : public Step {
 public:
  ConvStep(const ConvGeometry& g, bool bias, std::vector<float> mask, const StepOptions& o)
      : g_(g),
        bias_(bias),
        mask_(std::move(mask)),
        k_(*o.kernels),
        samples_layout_(o.layout == Layout::kSamples),
        x_padding_(forward_padding(g)),
        dy_padding_(input_gradient_padding(g)) {
    backward_reads_x = true;
    forward_ = place(forward_pass(g, x_padding_), &packed_size);
    for (ConvPassTables& t : input_gradient_passes(g, dy_padding_))
      input_gradient_.push_back(place(std::move(t), &packed_backward_size));
    images_ = samples_layout_ ? 1 : o.block_samples;
    position_floats_ = samples_layout_ ? kLanes : 1;
    x_floats_ = align_up(x_padding_.positions() * position_floats_);
    dy_floats_ = align_up(dy_padding_.positions() * position_floats_);
    scratch_size = images_ * x_floats_ + dy_floats_;
  }

  void pack(const PackArgs& a) const override {
    if (!a.backward) return pack_pass(forward_, a.params[0], a.packed);
    for (const PackedPass& p : input_gradient_) pack_pass(p, a.params[0], a.packed);
  }

  void forward(const ForwardArgs& a) const override {
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    for (int n = 0; n < image_count(a); ++n) {
      const float* x = a.x[0] + n * x_image;
      if (x_padding_.needed()) {
        x_padding_.copy(x, position_floats_, a.scratch);
        x = a.scratch;
      }
      run(forward_, x, a.packed, bias_ ? a.params[1] : nullptr, a.y + n * y_image);
    }
  }

  void backward(const BackwardArgs& a) const override {
    if (a.dparams[0]) weight_gradient(a);
    if (a.dx[0]) input_gradient(a);
  }

 private:
  int image_count(const StepArgs& a) const {
    return samples_layout_ ? 1 : static_cast<int>(a.samples);
  }

  int tile(const ConvPass& p) const {
    return samples_layout_ ? k_.samples_tile(p.cols, p.outputs) : k_.channels_tile;
  }

  PackedPass place(ConvPassTables tables, std::int64_t* total) {
    const std::int64_t pad = samples_layout_ ? 1 : k_.vector_width;
    const std::int64_t width = (tables.pass.outputs + pad - 1) / pad * pad;
    const std::int64_t size = align_up(checked_mul(tables.pass.depth, width));
    PackedPass p{std::move(tables), *total, size};
    *total = checked_add(*total, checked_mul(size, g_.groups));
    return p;
  }

  void pack_pass(const PackedPass& p, const float* w, float* packed) const {
    const ConvPass& pass = p.tables.pass;
    for (std::int64_t g = 0; g < g_.groups; ++g)
      k_.pack(w + g * p.tables.w_group, p.tables.weight_rows.data(), p.tables.weight_step,
              pass.outputs, pass.depth, tile(pass), samples_layout_ ? 1 : k_.vector_width,
              packed + p.at + g * p.group_size);
  }

  // One image (or one block of samples in lanes), every group.
  void run(const PackedPass& p, const float* x, const float* packed, const float* bias,
           float* y) const {
    const ConvPassTables& t = p.tables;
    for (std::int64_t g = 0; g < g_.groups; ++g) {
      const float* xg = x + (t.x_origin + g * t.x_group) * position_floats_;
      const float* wg = packed + p.at + g * p.group_size;
      const float* bg = bias ? bias + g * g_.group_out() : nullptr;
      float* yg = y + (t.y_origin + g * t.y_group) * position_floats_;
      if (samples_layout_)
        k_.conv_samples(t.pass, xg, wg, bg, kNoFloor, yg);
      else
        k_.conv_channels(t.pass, xg, wg, 0, bg, kNoFloor, yg);
    }
  }

  // x with its columns padded, squared for the second order; in scratch unless neither is needed.
  const float* prepared_x(const BackwardArgs& a, std::int64_t* image) const {
    const std::int64_t x_image = g_.h * g_.w * g_.c * position_floats_;
    *image = x_image;
    if (!x_padding_.needed() && a.order == 1) return a.x[0];
    *image = x_floats_;
    for (int n = 0; n < image_count(a); ++n) {
      float* to = a.scratch + n * x_floats_;
      x_padding_.copy(a.x[0] + n * x_image, position_floats_, to);
      if (a.order == 2) k_.multiply(x_padding_.positions() * position_floats_, to, to, to);
    }
    return a.scratch;
  }

  void weight_gradient(const BackwardArgs& a) const {
    const ConvPassTables& t = forward_.tables;
    std::int64_t x_image;
    const float* x = prepared_x(a, &x_image);
    const std::int64_t pixels = g_.oh * g_.ow;
    for (std::int64_t g = 0; g < g_.groups; ++g) {
      const float* xg = x + (t.x_origin + g * t.x_group) * position_floats_;
      const float* dyg = a.dy + g * t.y_group * position_floats_;
      float* dwg = a.dparams[0] + g * t.w_group;
      if (samples_layout_)
        k_.conv_wgrad_samples(t.pass, xg, dyg, dwg, g_.oc, a.accumulate);
      else
        k_.conv_wgrad_channels(t.pass, image_count(a), xg, x_image, dyg, pixels * g_.oc, dwg, g_.oc,
                               a.accumulate);
    }
    if (!mask_.empty())
      k_.multiply(static_cast<std::int64_t>(mask_.size()), a.dparams[0], mask_.data(),
                  a.dparams[0]);
    if (!bias_) return;
    const auto bias_grad = samples_layout_ ? k_.bias_grad_samples : k_.bias_grad_channels;
    bias_grad(pixels * image_count(a), static_cast<std::int32_t>(g_.oc), a.dy, a.dparams[1],
              a.accumulate);
  }

  void input_gradient(const BackwardArgs& a) const {
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    float* padded = a.scratch + images_ * x_floats_;
    for (int n = 0; n < image_count(a); ++n) {
      const float* dy = a.dy + n * y_image;
      if (dy_padding_.needed()) {
        dy_padding_.copy(dy, position_floats_, padded);
        dy = padded;
      }
      for (const PackedPass& p : input_gradient_)
        run(p, dy, a.packed, nullptr, a.dx[0] + n * x_image);
    }
  }

  ConvGeometry g_;
  bool bias_;
  std::vector<float> mask_;
  const KernelTable& k_;
  bool samples_layout_;
  ColumnPadding x_padding_, dy_padding_;
  PackedPass forward_{};
  std::vector<PackedPass> input_gradient_;
  std::int64_t images_, position_floats_, x_floats_, dy_floats_;
};

class Conv2D final : public Op {
 public:
  explicit Conv2D(Conv2DOptions o) : o_(std::move(o)) {}
  const char* kind() const override { return "conv2d"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const ConvGeometry g = geometry(in);
    return {g.oh, g.ow, g.oc};
  }

  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    const ConvGeometry g = geometry(in);
    const std::int64_t area = checked_mul(g.kh, g.kw);
    ParameterSpec kernel;
    kernel.name = "kernel";
    kernel.shape = {g.kh, g.kw, g.group_in(), g.oc};
    kernel.initializer = o_.kernel_initializer;
    kernel.trainable = o_.trainable;
    kernel.fan_in = checked_mul(area, g.group_in());
    kernel.fan_out = checked_mul(area, g.group_out());
    kernel.count = kernel.shape.size();
    if (!o_.connections.empty()) describe_connections(area, &kernel);
    std::vector<ParameterSpec> specs{kernel};
    if (o_.bias) {
      ParameterSpec bias;
      bias.name = "bias";
      bias.shape = {g.oc};
      bias.initializer = o_.bias_initializer;
      bias.trainable = o_.trainable;
      bias.fan_in = kernel.fan_in;
      bias.fan_out = kernel.fan_out;
      bias.fan_in_by_output = kernel.fan_in_by_output;
      bias.count = g.oc;
      specs.push_back(std::move(bias));
    }
    return specs;
  }

  Cost cost(const std::vector<Shape>& in) const override {
    const ConvGeometry g = geometry(in);
    const std::int64_t pixels = checked_mul(g.oh, g.ow);
    Cost c;
    c.macs = checked_mul(pixels, parameters(in)[0].count);
    c.connections = checked_add(c.macs, o_.bias ? checked_mul(pixels, g.oc) : 0);
    return c;
  }

  bool supports(Layout) const override { return true; }
  bool folds_scale() const override { return true; }

  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    const ConvGeometry g = geometry(options.inputs);
    std::vector<float> mask;
    const ParameterSpec kernel = parameters(options.inputs)[0];
    mask.assign(kernel.mask.begin(), kernel.mask.end());
    // A kernel that covers its whole input is a dense layer on the same memory, and the dense
    // weight gradient needs no horizontal sum per weight (LeNet-5's C5).
    const bool covers = g.groups == 1 && g.oh == 1 && g.ow == 1 && g.kh == g.h && g.kw == g.w &&
                        g.pad_top == 0 && g.pad_left == 0;
    const bool bias = o_.bias || options.folds;
    if (covers) return bind_dense({options.inputs[0].size(), g.oc, bias, std::move(mask)}, options);
    return std::make_unique<ConvStep>(g, bias, std::move(mask), options);
  }

 private:
  ConvGeometry geometry(const std::vector<Shape>& in) const {
    const Shape& s = image_input(in);
    const std::int64_t c = s[2];
    if (c % o_.groups != 0)
      throw ShapeError("input has " + std::to_string(c) +
                       " channels, not a multiple of groups=" + std::to_string(o_.groups));
    if (!o_.connections.empty() && static_cast<std::int64_t>(o_.connections.size()) != c)
      throw ShapeError("input has " + std::to_string(c) + " channels, the connection table has " +
                       std::to_string(o_.connections.size()) + " rows");
    const Window2D win = resolve_window(s, o_.kernel, o_.strides, o_.dilation, o_.padding);
    return {s[0],        s[1],      c,          win.h.out,   win.w.out,    o_.filters,  o_.kernel.h,
            o_.kernel.w, o_.groups, o_.strides, o_.dilation, win.h.before, win.w.before};
  }

  void describe_connections(std::int64_t area, ParameterSpec* kernel) const {
    const std::size_t outputs = static_cast<std::size_t>(o_.filters);
    kernel->fan_in_by_output.assign(outputs, 0);
    std::int64_t present = 0;
    for (const auto& row : o_.connections)
      for (std::size_t j = 0; j < outputs; ++j) {
        kernel->fan_in_by_output[j] += row[j] ? area : 0;
        present += row[j];
      }
    kernel->count = present * area;
    for (std::int64_t t = 0; t < area; ++t)
      for (const auto& row : o_.connections)
        kernel->mask.insert(kernel->mask.end(), row.begin(), row.end());
  }

  Conv2DOptions o_;
};

}  // namespace

OpPtr conv2d(Conv2DOptions o) {
  check_extent({o.filters, o.groups}, "filters and groups");
  check_extent(o.kernel, "kernel");
  check_extent(o.strides, "strides");
  check_extent(o.dilation, "dilation");
  check_padding(o.padding);
  if (o.filters % o.groups != 0)
    throw ValueError("filters=" + std::to_string(o.filters) +
                     " is not a multiple of groups=" + std::to_string(o.groups));
  if (!o.connections.empty()) {
    if (o.groups != 1) throw ValueError("a connection table and groups exclude each other");
    for (std::size_t j = 0; j < static_cast<std::size_t>(o.filters); ++j) {
      bool any = false;
      for (const auto& row : o.connections) {
        if (row.size() != static_cast<std::size_t>(o.filters))
          throw ValueError("the connection table needs a column for each of " +
                           std::to_string(o.filters) + " filters, a row has " +
                           std::to_string(row.size()));
        any |= row[j];
      }
      if (!any) throw ValueError("output map " + std::to_string(j) + " has no connection");
    }
  }
  return std::make_shared<Conv2D>(std::move(o));
}

}  // namespace striate
