// 2-D convolution (cross-correlation, as every framework means it): any kernel, strides, padding,
// dilation, groups, bias, and a connection table from input to output maps.
//   y[oh, ow, o] = b[o] + sum_{kh, kw, c} x[oh*sh - pt + kh*dh, ow*sw - pl + kw*dw, c] W[kh, kw, c,
//   o]
#include "core/checked.h"
#include "ops/conv_step.h"
#include "ops/dense_step.h"
#include "ops/op.h"
#include "ops/winograd_step.h"

namespace striate {
namespace {

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
    kernel.fan_out = checked_mul(area, g.oc);  // Keras's: of the kernel's shape, whatever groups
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
  bool takes_relu() const override { return true; }
  bool takes_add(const std::vector<Shape>& in) const override { return !covers(geometry(in)); }

  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    const ConvGeometry g = geometry(options.inputs);
    std::vector<float> mask;
    const ParameterSpec kernel = parameters(options.inputs)[0];
    mask.assign(kernel.mask.begin(), kernel.mask.end());
    const bool bias = o_.bias || options.folds;
    if (covers(g))
      return bind_dense({options.inputs[0].size(), g.oc, bias, std::move(mask)}, options);
    if (mask.empty() && winograd_is_faster(g, options)) return bind_winograd(g, bias, options);
    return bind_conv(g, bias, std::move(mask), options);
  }

 private:
  // A kernel that covers its whole input is a dense layer on the same memory, and the dense weight
  // gradient needs no horizontal sum per weight (LeNet-5's C5).
  static bool covers(const ConvGeometry& g) {
    return g.groups == 1 && g.oh == 1 && g.ow == 1 && g.kh == g.h && g.kw == g.w &&
           g.pad_top == 0 && g.pad_left == 0;
  }

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
