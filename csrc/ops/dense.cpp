// Dense layer: y[o] = sum_i x[i] W[i, o] + b[o].
#include "core/checked.h"
#include "ops/dense_step.h"
#include "ops/op.h"

namespace striate {
namespace {

class Dense final : public Op {
 public:
  explicit Dense(DenseOptions o) : o_(std::move(o)) {}
  const char* kind() const override { return "dense"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = single_input(in);
    if (s.rank() != 1)
      throw ShapeError("input is " + s.str() + ", expected a vector: is a Flatten missing?");
    return {o_.units};
  }

  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    const std::int64_t i = in[0].size(), count = checked_mul(i, o_.units);
    std::vector<ParameterSpec> specs;
    ParameterSpec kernel{
        "kernel", {i, o_.units}, o_.kernel_initializer, o_.trainable, i, o_.units, count, {}, {},
        {}};
    specs.push_back(std::move(kernel));
    if (o_.bias)
      specs.push_back({"bias",
                       {o_.units},
                       o_.bias_initializer,
                       o_.trainable,
                       i,
                       o_.units,
                       o_.units,
                       {},
                       {},
                       {}});
    return specs;
  }

  Cost cost(const std::vector<Shape>& in) const override {
    Cost c;
    c.macs = checked_mul(in[0].size(), o_.units);
    c.connections = c.macs + (o_.bias ? o_.units : 0);
    return c;
  }

  bool supports(Layout) const override { return true; }
  bool folds_scale() const override { return true; }
  bool takes_relu() const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    return bind_dense({options.inputs[0].size(), o_.units, o_.bias || options.folds, {}}, options);
  }

 private:
  DenseOptions o_;
};

}  // namespace

OpPtr dense(DenseOptions options) {
  if (options.units < 1 || options.units >= (std::int64_t{1} << 31))
    throw ValueError("units must be from 1 to 2^31 - 1, got " + std::to_string(options.units));
  return std::make_shared<Dense>(std::move(options));
}

}  // namespace striate
