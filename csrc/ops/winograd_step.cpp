#include "ops/winograd_step.h"

#include <algorithm>

#include "ops/epilogue.h"
#include "ops/kernel_costs.h"
#include "ops/task_cut.h"
#include "ops/winograd_conv.h"
#include "ops/winograd_weight_gradient.h"

namespace striate {
namespace {

// Vectors of channels that a product needs to be worth its transforms.
constexpr std::int64_t kFewestChannels = 16;
// Panels of a task that owns outputs of the whole batch: each task makes the points anew.
constexpr int kTaskPanels = 4;
// Tiles of a task that owns part of a sample, at least.
constexpr std::int64_t kTaskTiles = 28;
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
        adds_(o.adds),
        floor_(floor_of(o.relu)),
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
      cut_forward(o);
      scratch_backward_size = std::max(scratch_backward_size, weight_gradient_.scratch_floats());
      return;
    }
    forward_cut_ = {1, cut_panels(winograd_forward(g), forward_, o.block_samples)};
    backward_tasks = cut_panels(winograd_input_gradient(g), input_gradient_, o.block_samples);
    gradient_tasks = weight_gradient_.tasks() + (bias ? 1 : 0);
    gradient_shares_size = weight_gradient_.shares().floats();
    gradient_sum_tasks = weight_gradient_.shares().sum_tasks();
    task_scratch_size = weight_gradient_.scratch_floats();
    cut_forward(o);
    if (backward_tasks)
      task_scratch_size = std::max(task_scratch_size, input_gradient_.scratch_floats());
  }

  const char* method() const override { return "Winograd F(4x4,3x3)"; }
  void pack(const PackArgs& a) const override {
    (a.backward ? input_gradient_ : forward_).pack(a.params[0], a.task, pack_tasks, a.packed);
  }

  void forward(const ForwardArgs& a) const override { run_forward(a, forward_.whole(a.samples)); }
  void forward_task(const ForwardArgs& a, int task) const override {
    const WinogradConv::Part whole = forward_.whole(a.samples);
    const std::int64_t row = task / forward_cut_.output_parts;
    const std::int64_t output = task % forward_cut_.output_parts;
    const auto panel = [&](std::int64_t i) {
      return static_cast<int>(whole.end_panel * i / forward_cut_.output_parts);
    };
    run_forward(
        a, {whole.end_tile * row / forward_cut_.row_parts,
            whole.end_tile * (row + 1) / forward_cut_.row_parts, panel(output), panel(output + 1)});
  }

  void backward(const BackwardArgs& a) const override {
    if (a.dparams[0])
      for (int task = 0; task < weight_gradient_.tasks(); ++task)
        weight_gradient_.run(task, a.samples, a.x[0], a.dy, a.accumulate, a.scratch, nullptr,
                             a.dparams[0]);
    if (bias_ && a.dparams[1]) bias_gradient(a);
    if (a.dx[0]) run_input_gradient(a, input_gradient_.whole(a.samples));
  }
  void backward_task(const BackwardArgs& a, int task) const override {
    WinogradConv::Part part = input_gradient_.whole(a.samples);
    part.first_panel = part.end_panel * task / backward_tasks;
    part.end_panel = part.end_panel * (task + 1) / backward_tasks;
    run_input_gradient(a, part);
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
  // Few samples are cut by tiles, and into panels where there are few tiles.
  void cut_forward(const StepOptions& o) {
    const WinogradGeometry g = winograd_forward(g_);
    if (o.cut)
      forward_cut_ = cut_within_sample(g.tiles() * kWinogradPoints * g.in_c * g.out_c,
                                       std::max<std::int64_t>(g.tiles() / kTaskTiles, 1),
                                       (forward_.panels() + 1) / 2, false);
    if (forward_cut_.tasks() < (o.cut ? 2 : 1)) return;
    forward_tasks = forward_cut_.tasks();
    task_scratch_size = std::max(task_scratch_size, forward_.scratch_floats());
  }
  void run_forward(const ForwardArgs& a, const WinogradConv::Part& part) const {
    forward_.run(a.x[0], a.packed, part,
                 {bias_ ? a.params[1] : nullptr, adds_ ? a.x[1] : nullptr, floor_}, a.scratch, a.y);
  }
  void run_input_gradient(const BackwardArgs& a, const WinogradConv::Part& part) const {
    input_gradient_.run(a.dy, a.packed, part, {}, a.scratch, a.dx[0]);
  }
  void bias_gradient(const BackwardArgs& a) const {
    k_.bias_grad_channels(g_.oh * g_.ow * a.samples, static_cast<std::int32_t>(g_.oc), a.dy,
                          a.dparams[1], a.accumulate);
  }

  ConvGeometry g_;
  bool bias_, adds_;
  float floor_;
  const KernelTable& k_;
  WinogradConv forward_, input_gradient_;
  WinogradWeightGradient weight_gradient_;
  TaskCut forward_cut_{1, 0};
};

}  // namespace

bool winograd_is_faster(const ConvGeometry& g, const StepOptions& options) {
  if (!options.winograd || options.layout != Layout::kChannels || !winograd_applies(g))
    return false;
  if (std::min(g.c, g.oc) < kFewestChannels) return false;
  const KernelCosts& cost = kernel_costs(*options.kernels);
  const double in = static_cast<double>(g.c), out = static_cast<double>(g.oc);
  const double tiles = static_cast<double>(winograd_forward(g).tiles());
  return tiles * (cost.winograd_product * kWinogradPoints * in * out + cost.winograd_input * in +
                  cost.winograd_output * out) <
         static_cast<double>(9 * g.oh * g.ow) * in * out;
}

std::unique_ptr<Step> bind_winograd(const ConvGeometry& g, bool bias, const StepOptions& options) {
  return std::make_unique<WinogradStep>(g, bias, options);
}

}  // namespace striate
