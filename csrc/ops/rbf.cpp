// LeNet-5's output units (LeCun et al. 1998, eq. 7): the squared Euclidean distance between the
// input and each class's fixed code. The class is the one with the smallest output.
#include <algorithm>

#include "core/checked.h"
#include "ops/op.h"

namespace striate {
namespace {

class RbfStep final : public Step {
 public:
  RbfStep(std::int64_t features, std::int64_t classes) : features_(features), classes_(classes) {
    backward_reads_x = true;
  }

  void forward(const ForwardArgs& a) const override {
    for (int n = 0; n < a.samples; ++n)
      for (std::int64_t i = 0; i < classes_; ++i) {
        const float* x = a.x[0] + n * features_;
        const float* code = a.params[0] + i * features_;
        float sum = 0.0f;
        for (std::int64_t j = 0; j < features_; ++j) sum += (x[j] - code[j]) * (x[j] - code[j]);
        a.y[n * classes_ + i] = sum;
      }
  }

  // Second order: d2y/dx2 = 2 and d2y/dcode2 = 2. (params are squared there and not read.)
  void backward(const BackwardArgs& a) const override {
    if (a.dparams[0]) code_gradient(a);
    if (!a.dx[0]) return;
    for (int n = 0; n < a.samples; ++n) {
      const float* x = a.x[0] + n * features_;
      const float* dy = a.dy + n * classes_;
      float* dx = a.dx[0] + n * features_;
      for (std::int64_t j = 0; j < features_; ++j) dx[j] = 0.0f;
      for (std::int64_t i = 0; i < classes_; ++i) {
        const float* code = a.params[0] + i * features_;
        for (std::int64_t j = 0; j < features_; ++j)
          dx[j] += a.order == 2 ? 2.0f * dy[i] : 2.0f * dy[i] * (x[j] - code[j]);
      }
    }
  }

 private:
  void code_gradient(const BackwardArgs& a) const {
    float* dcode = a.dparams[0];
    if (!a.accumulate) std::fill_n(dcode, classes_ * features_, 0.0f);
    for (int n = 0; n < a.samples; ++n)
      for (std::int64_t i = 0; i < classes_; ++i) {
        const float* x = a.x[0] + n * features_;
        const float* code = a.params[0] + i * features_;
        const float slope = 2.0f * a.dy[n * classes_ + i];
        for (std::int64_t j = 0; j < features_; ++j)
          dcode[i * features_ + j] += a.order == 2 ? slope : slope * (code[j] - x[j]);
      }
  }
  std::int64_t features_, classes_;
};

class Rbf final : public Op {
 public:
  Rbf(std::int64_t classes, std::int64_t features, std::vector<float> codes)
      : classes_(classes), features_(features), codes_(std::move(codes)) {}
  const char* kind() const override { return "rbf"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    const Shape& s = single_input(in);
    if (s != Shape{features_})
      throw ShapeError("input is " + s.str() + ", the codes have " + std::to_string(features_) +
                       " features" + (s.rank() != 1 ? ": is a Flatten missing?" : ""));
    return {classes_};
  }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>&) const override {
    ParameterSpec s;
    s.name = "codes";
    s.shape = {classes_, features_};
    s.trainable = false;
    s.fixed = true;
    s.count = s.shape.size();
    s.values = codes_;
    return {s};
  }
  Cost cost(const std::vector<Shape>&) const override {
    Cost c;
    c.macs = c.connections = classes_ * features_;
    return c;
  }
  bool supports(Layout layout) const override { return layout == Layout::kChannels; }
  std::unique_ptr<Step> bind(const StepOptions&) const override {
    return std::make_unique<RbfStep>(features_, classes_);
  }

 private:
  std::int64_t classes_, features_;
  std::vector<float> codes_;
};

}  // namespace

OpPtr rbf(std::vector<std::vector<float>> codes) {
  if (codes.empty() || codes[0].empty()) throw ValueError("rbf needs at least one code");
  std::vector<float> flat;
  for (const auto& row : codes) {
    if (row.size() != codes[0].size()) throw ValueError("rbf codes must all have the same length");
    flat.insert(flat.end(), row.begin(), row.end());
  }
  return std::make_shared<Rbf>(static_cast<std::int64_t>(codes.size()),
                               static_cast<std::int64_t>(codes[0].size()), std::move(flat));
}

}  // namespace striate
