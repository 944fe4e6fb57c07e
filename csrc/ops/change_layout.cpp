#include "ops/change_layout.h"

namespace striate {
namespace {

class ChangeLayoutStep final : public Step {
 public:
  ChangeLayoutStep(std::int64_t features, Layout to, const KernelTable& k)
      : features_(features), to_(to), k_(k) {}
  void forward(const ForwardArgs& a) const override { move(a.x[0], a.y, to_, a.samples); }
  void backward(const BackwardArgs& a) const override {
    if (!a.dx[0]) return;
    move(a.dy, a.dx[0], to_ == Layout::kSamples ? Layout::kChannels : Layout::kSamples, a.samples);
  }

 private:
  void move(const float* from, float* into, Layout to, int samples) const {
    if (to == Layout::kChannels)
      return k_.samples_to_rows(features_, samples, from, features_, into);
    const float* rows[kLanes];
    for (int n = 0; n < samples; ++n) rows[n] = from + n * features_;
    k_.rows_to_samples(features_, samples, rows, into);
  }
  std::int64_t features_;
  Layout to_;
  const KernelTable& k_;
};

class ChangeLayout final : public Op {
 public:
  explicit ChangeLayout(Layout to) : to_(to) {}
  const char* kind() const override { return "change_layout"; }
  Shape output_shape(const std::vector<Shape>& in) const override { return single_input(in); }
  bool supports(Layout) const override { return true; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<ChangeLayoutStep>(o.inputs[0].size(), to_, *o.kernels);
  }

 private:
  Layout to_;
};

}  // namespace

OpPtr change_layout(Layout to) { return std::make_shared<ChangeLayout>(to); }

}  // namespace striate
