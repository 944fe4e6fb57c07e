#include "ops/dense_step.h"

#include <algorithm>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/epilogue.h"
#include "ops/product_pass.h"

namespace striate {
namespace {

// Below this many samples a block, packing weights costs more than reading them in place: at
// batch 1 it would touch 2 * I * O floats for I * O multiply-accumulates.
constexpr int kPackFrom = 4;

class DenseStep : public Step {
 public:
  DenseStep(DenseShape shape, const StepOptions& o)
      : s_(std::move(shape)), k_(*o.kernels), floor_(floor_of(o.relu)) {
    backward_reads_x = true;
    for (std::int64_t i = 0; i < s_.inputs; ++i) forward_rows_.push_back(i * s_.outputs);
    for (std::int64_t i = 0; i < s_.outputs; ++i) backward_rows_.push_back(i);
  }

 protected:
  std::int32_t inputs() const { return static_cast<std::int32_t>(s_.inputs); }
  std::int32_t outputs() const { return static_cast<std::int32_t>(s_.outputs); }
  const float* bias(const StepArgs& a) const { return s_.bias ? a.params[1] : nullptr; }
  // Packs W for the forward product, or W transposed for the input gradient's.
  void pack_product(const PackArgs& a, int tile, int pad) const {
    if (a.backward)
      k_.pack(a.params[0], backward_rows_.data(), s_.outputs, inputs(), outputs(), tile, pad,
              a.packed);
    else
      k_.pack(a.params[0], forward_rows_.data(), 1, outputs(), inputs(), tile, pad, a.packed);
  }
  void mask_gradient(float* dw) const {
    if (!s_.weight_mask.empty()) k_.multiply(s_.inputs * s_.outputs, dw, s_.weight_mask.data(), dw);
  }

  DenseShape s_;
  const KernelTable& k_;
  float floor_;

 private:
  std::vector<std::int64_t> forward_rows_, backward_rows_;
};

class DenseSamples final : public DenseStep {
 public:
  DenseSamples(DenseShape shape, const StepOptions& o) : DenseStep(std::move(shape), o) {
    packed_size = packed_backward_size = s_.inputs * s_.outputs;
    dy_step_ = align_up(s_.outputs);
    // dy transposed, then (second order) x squared.
    scratch_size = dy_step_ * kLanes + s_.inputs * kLanes;
  }

  const char* method() const override { return "product, samples in lanes"; }
  void pack(const PackArgs& a) const override {
    pack_product(a, k_.samples_tile(1, a.backward ? inputs() : outputs()), 1);
  }

  void forward(const ForwardArgs& a) const override {
    const ProductPass p(1, s_.inputs, s_.outputs);
    k_.conv_samples(p.pass, a.x[0], a.packed, bias(a), floor_, a.y);
  }

  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) {
      const ProductPass p(1, s_.outputs, s_.inputs);
      k_.conv_samples(p.pass, a.dy, a.packed, nullptr, floor_of(false), a.dx[0]);
    }
    if (!a.dparams[0]) return;
    const float* x = a.x[0];
    if (a.order == 2) {
      float* squared = a.scratch + dy_step_ * kLanes;
      k_.multiply(s_.inputs * kLanes, x, x, squared);
      x = squared;
    }
    k_.samples_to_rows(s_.outputs, kLanes, a.dy, dy_step_, a.scratch);
    k_.dense_wgrad_samples(inputs(), outputs(), x, a.scratch, dy_step_, a.dparams[0], a.accumulate);
    mask_gradient(a.dparams[0]);
    if (s_.bias) k_.bias_grad_samples(1, outputs(), a.dy, a.dparams[1], a.accumulate);
  }

 private:
  std::int64_t dy_step_;
};

class DenseChannels final : public DenseStep {
 public:
  DenseChannels(DenseShape shape, const StepOptions& o)
      : DenseStep(std::move(shape), o), packs_(o.block_samples >= kPackFrom) {
    scratch_size = s_.inputs * o.block_samples;  // x squared (second order)
    if (!packs_) return;
    const auto padded = [&](std::int64_t n) {
      return (n + k_.vector_width - 1) / k_.vector_width * k_.vector_width;
    };
    packed_size = checked_mul(s_.inputs, padded(s_.outputs));
    packed_backward_size = checked_mul(s_.outputs, padded(s_.inputs));
  }

  const char* method() const override { return "product, channels in lanes"; }
  void pack(const PackArgs& a) const override {
    if (packs_) pack_product(a, k_.channels_tile, k_.vector_width);
  }

  void forward(const ForwardArgs& a) const override {
    const ProductPass p(a.samples, s_.inputs, s_.outputs);
    k_.conv_channels(p.pass, a.x[0], packs_ ? a.packed : a.params[0], packs_ ? 0 : s_.outputs,
                     {bias(a), nullptr, floor_}, a.y);
  }

  void backward(const BackwardArgs& a) const override {
    if (a.dx[0]) input_gradient(a);
    if (!a.dparams[0]) return;
    const float* x = a.x[0];
    if (a.order == 2) {
      k_.multiply(s_.inputs * a.samples, x, x, a.scratch);
      x = a.scratch;
    }
    const ProductPass p(a.samples, s_.inputs, s_.outputs);
    k_.conv_wgrad_channels(p.pass, 0, 1, 1, x, 0, a.dy, 0, a.dparams[0], s_.outputs, a.accumulate);
    mask_gradient(a.dparams[0]);
    if (s_.bias) k_.bias_grad_channels(a.samples, outputs(), a.dy, a.dparams[1], a.accumulate);
  }

 private:
  void input_gradient(const BackwardArgs& a) const {
    if (packs_) {
      const ProductPass p(a.samples, s_.outputs, s_.inputs);
      k_.conv_channels(p.pass, a.dy, a.packed, 0, {}, a.dx[0]);
      return;
    }
    for (int n = 0; n < a.samples; ++n)
      k_.dot_rows(inputs(), outputs(), a.params[0], a.dy + n * s_.outputs, a.dx[0] + n * s_.inputs);
  }

  bool packs_;
};

// In wide networks: the whole batch at once, cut by weights, each read once and where it lies.
class DenseWide final : public DenseStep {
 public:
  DenseWide(DenseShape shape, const StepOptions& o) : DenseStep(std::move(shape), o) {
    const auto count = [](std::int64_t n, std::int64_t size) {
      return static_cast<int>((n + size - 1) / size);
    };
    forward_tasks = count(s_.outputs, kTaskOutputs);
    backward_tasks = count(s_.inputs, kTaskInputs);
    if (s_.weight_mask.empty()) gradient_tasks = backward_tasks + (s_.bias ? 1 : 0);
    scratch_size = s_.inputs * o.block_samples;  // x squared (second order)
  }

  const char* method() const override { return "product, cut by weights"; }
  // kDepth rows of weights stay in L2 while all samples pass them. 64, 16 KiB apart, fill its sets.
  void forward_task(const ForwardArgs& a, int task) const override {
    const std::int64_t o = task * kTaskOutputs, n = std::min(kTaskOutputs, s_.outputs - o);
    const float* start = bias(a) ? bias(a) + o : nullptr;
    std::int64_t start_step = 0;
    for (std::int64_t k = 0; k < s_.inputs; k += kDepth) {
      k_.product(samples(a), narrow32(std::min(kDepth, s_.inputs - k)), narrow32(n), a.x[0] + k,
                 s_.inputs, a.params[0] + k * s_.outputs + o, s_.outputs, start, start_step,
                 a.y + o, s_.outputs);
      start = a.y + o;
      start_step = s_.outputs;
    }
    for (std::int64_t i = 0; floor_ == 0.0f && i < a.samples; ++i) {
      float* const y = a.y + i * s_.outputs + o;
      k_.activation(ActivationKind::kRelu, 0.0f, n, y, y);
    }
  }

  void backward_task(const BackwardArgs& a, int task) const override {
    const std::int64_t i = task * kTaskInputs, n = std::min(kTaskInputs, s_.inputs - i);
    k_.product_transposed(samples(a), narrow32(n), outputs(), a.dy, s_.outputs,
                          a.params[0] + i * s_.outputs, s_.outputs, a.dx[0] + i, s_.inputs);
  }

  void gradient_task(const BackwardArgs& a, int task) const override {
    if (task == backward_tasks) {
      if (a.dparams[1])
        k_.bias_grad_channels(a.samples, outputs(), a.dy, a.dparams[1], a.accumulate);
      return;
    }
    if (!a.dparams[0]) return;
    const std::int64_t end = std::min((task + 1) * kTaskInputs, s_.inputs);
    // A tile's rows across all outputs: that many streams of stores.
    for (std::int64_t i = task * kTaskInputs; i < end; i += kStreams) {
      if (a.order == 2)
        squared_rows(a, std::min(kStreams, end - i), i);
      else
        weight_rows(a, a.x[0] + i, std::min(kStreams, end - i), i);
    }
  }

  // Block by block only for what has no tasks: masked weights, which nothing deep has.
  void forward(const ForwardArgs&) const override {}
  void backward(const BackwardArgs& a) const override {
    if (!a.dparams[0]) return;
    const float* x = a.x[0];
    if (a.order == 2) {
      k_.multiply(s_.inputs * a.samples, x, x, a.scratch);
      x = a.scratch;
    }
    weight_rows(a, x, s_.inputs, 0);
    mask_gradient(a.dparams[0]);
    if (s_.bias) k_.bias_grad_channels(a.samples, outputs(), a.dy, a.dparams[1], a.accumulate);
  }

 private:
  static constexpr std::int64_t kTaskOutputs = 512, kTaskInputs = 112, kDepth = 64, kStreams = 14;
  static std::int32_t narrow32(std::int64_t n) { return static_cast<std::int32_t>(n); }
  static std::int32_t samples(const StepArgs& a) { return narrow<std::int32_t>(a.samples); }

  void weight_rows(const BackwardArgs& a, const float* x, std::int64_t rows,
                   std::int64_t first) const {
    ProductPass p(a.samples, rows, s_.outputs);
    p.pass.x_col = s_.inputs;
    k_.conv_wgrad_channels(p.pass, 0, 1, 1, x, 0, a.dy, 0, a.dparams[0] + first * s_.outputs,
                           s_.outputs, a.accumulate);
  }

  // Of squares of x (second order), some samples at a time.
  void squared_rows(const BackwardArgs& a, std::int64_t rows, std::int64_t first) const {
    float squared[kLanes * kStreams];
    for (std::int64_t n = 0; n < a.samples; n += kLanes) {
      const std::int64_t count = std::min<std::int64_t>(kLanes, a.samples - n);
      for (std::int64_t k = 0; k < count; ++k) {
        const float* x = a.x[0] + (n + k) * s_.inputs + first;
        k_.multiply(rows, x, x, squared + k * rows);
      }
      const ProductPass p(count, rows, s_.outputs);
      k_.conv_wgrad_channels(p.pass, 0, 1, 1, squared, 0, a.dy + n * s_.outputs, 0,
                             a.dparams[0] + first * s_.outputs, s_.outputs, a.accumulate || n > 0);
    }
  }
};

}  // namespace

std::unique_ptr<Step> bind_dense(DenseShape shape, const StepOptions& options) {
  const bool wide = options.wide && options.layout == Layout::kChannels;
  if (wide && options.bfloat16 && options.keeps_packs && shape.weight_mask.empty())
    return bind_dense_pairs(std::move(shape), options);
  if (wide) return std::make_unique<DenseWide>(std::move(shape), options);
  if (options.layout == Layout::kSamples)
    return std::make_unique<DenseSamples>(std::move(shape), options);
  return std::make_unique<DenseChannels>(std::move(shape), options);
}

}  // namespace striate
