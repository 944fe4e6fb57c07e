#include "ops/winograd_step.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/winograd_conv.h"
#include "ops/winograd_weight_gradient.h"

namespace striate {
namespace {

constexpr float kNoFloor = -std::numeric_limits<float>::infinity();
// Vectors of channels that a product needs to be worth its transforms.
constexpr std::int64_t kFewestChannels = 16;
// Panels of a task that owns outputs of the whole batch: each task makes the points anew.
constexpr int kTaskPanels = 4;
// Floats of weights a tile from which all of a block's tiles do not pay for reading them once more
// (from L3 or beyond): the outputs are cut, not the samples.
constexpr std::int64_t kWeightsByTile = 300 * 1000;

int cut_panels(const WinogradGeometry& g, const WinogradConv& conv, int block_samples) {
  const std::int64_t weights = kWinogradPoints * g.in_c * g.out_c;
  if (weights / (g.tiles() * block_samples) < kWeightsByTile) return 0;
  return (conv.panels() + kTaskPanels - 1) / kTaskPanels;
}

class WinogradStep final : public Step {
 public:
  WinogradStep(const ConvGeometry& g, bool bias, const StepOptions& o)
      : g_(g),
        bias_(bias),
        k_(*o.kernels),
        forward_(winograd_forward(g), false, k_),
        input_gradient_(winograd_input_gradient(g), true, k_),
        weight_gradient_(g, o.wide, k_) {
    backward_reads_x = true;
    packed_size = forward_.packed_size();
    packed_backward_size = input_gradient_.packed_size();
    pack_tasks = std::max(forward_.panels(), input_gradient_.panels());
    scratch_size = forward_.scratch_floats();
    scratch_backward_size = input_gradient_.scratch_floats();
    if (!o.wide) {
      scratch_backward_size = std::max(scratch_backward_size, weight_gradient_.scratch_floats());
      return;
    }
    forward_tasks = cut_panels(winograd_forward(g), forward_, o.block_samples);
    backward_tasks = cut_panels(winograd_input_gradient(g), input_gradient_, o.block_samples);
    gradient_tasks = weight_gradient_.tasks() + (bias ? 1 : 0);
    gradient_shares_size = weight_gradient_.shares().floats();
    gradient_sum_tasks = weight_gradient_.shares().sum_tasks();
    task_scratch_size = weight_gradient_.scratch_floats();
    if (forward_tasks) task_scratch_size = std::max(task_scratch_size, forward_.scratch_floats());
    if (backward_tasks)
      task_scratch_size = std::max(task_scratch_size, input_gradient_.scratch_floats());
  }

  void pack(const PackArgs& a) const override {
    (a.backward ? input_gradient_ : forward_).pack(a.params[0], a.task, pack_tasks, a.packed);
  }

  void forward(const ForwardArgs& a) const override { run_forward(a, 0, forward_.panels()); }
  void forward_task(const ForwardArgs& a, int task) const override {
    run_forward(a, task * kTaskPanels, std::min((task + 1) * kTaskPanels, forward_.panels()));
  }

  void backward(const BackwardArgs& a) const override {
    if (a.dparams[0])
      for (int task = 0; task < weight_gradient_.tasks(); ++task)
        weight_gradient_.run(task, a.samples, a.x[0], a.dy, a.accumulate, a.scratch, nullptr,
                             a.dparams[0]);
    if (bias_ && a.dparams[1]) bias_gradient(a);
    if (a.dx[0]) run_input_gradient(a, 0, input_gradient_.panels());
  }
  void backward_task(const BackwardArgs& a, int task) const override {
    run_input_gradient(a, task * kTaskPanels,
                       std::min((task + 1) * kTaskPanels, input_gradient_.panels()));
  }

  // The last task is the bias's.
  void gradient_task(const BackwardArgs& a, int task) const override {
    if (task == weight_gradient_.tasks()) {
      if (a.dparams[1]) bias_gradient(a);
      return;
    }
    if (a.dparams[0])
      weight_gradient_.run(task, a.samples, a.x[0], a.dy, a.accumulate, a.scratch, a.shares,
                           a.dparams[0]);
  }
  void gradient_sum(const BackwardArgs& a, int task) const override {
    if (a.dparams[0]) weight_gradient_.shares().sum(task, a.shares, a.accumulate, k_, a.dparams[0]);
  }

 private:
  void run_forward(const ForwardArgs& a, int first, int end) const {
    forward_.run(a.x[0], a.samples, a.packed, bias_ ? a.params[1] : nullptr, kNoFloor, first, end,
                 a.scratch, a.y);
  }
  void run_input_gradient(const BackwardArgs& a, int first, int end) const {
    input_gradient_.run(a.dy, a.samples, a.packed, nullptr, kNoFloor, first, end, a.scratch,
                        a.dx[0]);
  }
  void bias_gradient(const BackwardArgs& a) const {
    k_.bias_grad_channels(g_.oh * g_.ow * a.samples, static_cast<std::int32_t>(g_.oc), a.dy,
                          a.dparams[1], a.accumulate);
  }

  ConvGeometry g_;
  bool bias_;
  const KernelTable& k_;
  WinogradConv forward_, input_gradient_;
  WinogradWeightGradient weight_gradient_;
};

}  // namespace

bool winograd_is_faster(const ConvGeometry& g, const StepOptions& options) {
  if (!options.winograd || options.layout != Layout::kChannels || !winograd_applies(g))
    return false;
  if (std::min(g.c, g.oc) < kFewestChannels) return false;
  // Multiplications an image with the transforms (some 230 vector operations a tile and vector of
  // inputs, 140 of outputs) against those of the taps.
  const double in = static_cast<double>(g.c), out = static_cast<double>(g.oc);
  const double tiles = static_cast<double>(winograd_forward(g).tiles());
  return tiles * (kWinogradPoints * in * out + 230 * in + 140 * out) <
         static_cast<double>(9 * g.oh * g.ow) * in * out;
}

std::unique_ptr<Step> bind_winograd(const ConvGeometry& g, bool bias, const StepOptions& options) {
  return std::make_unique<WinogradStep>(g, bias, options);
}

}  // namespace striate
