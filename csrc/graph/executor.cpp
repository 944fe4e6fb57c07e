#include "graph/executor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "striate/error.h"

namespace striate {
void Executor::pack(Team& team, const float* const* params, float* packed) const {
  team.for_each(static_cast<std::int64_t>(plan_.steps.size()), [&](std::int64_t i) {
    const PlannedStep& s = plan_.steps[static_cast<std::size_t>(i)];
    if (s.step->packed_size)
      s.step->pack(params + s.first_parameter, packed + s.packed, !plan_.backward.empty());
  });
}

Executor::BlockRange Executor::range(const Batch& batch, std::int64_t block) const {
  const std::int64_t size = plan_.options.blocking.block_samples;
  return {block * size, static_cast<int>(std::min(size, batch.count - block * size))};
}

// Gathers the block's rows into value 0, in its layout.
void Executor::load(const Batch& batch, const BlockRange& r, float* x) const {
  const PlannedValue& in = plan_.values[0];
  const std::int64_t features = in.shape.size();
  if (in.layout == Layout::kSamples) {
    const float* rows[kLanes];
    const std::uint8_t* bytes[kLanes];
    for (int n = 0; n < r.samples; ++n) {
      const std::int64_t at = batch.row(r.first + n) * features;
      if (batch.bytes)
        bytes[n] = batch.bytes + at;
      else
        rows[n] = batch.x + at;
    }
    if (batch.bytes)
      kernels_.bytes_to_samples(features, r.samples, bytes, x);
    else
      kernels_.rows_to_samples(features, r.samples, rows, x);
    return;
  }
  for (int n = 0; n < r.samples; ++n) {
    const std::int64_t at = batch.row(r.first + n) * features;
    if (batch.bytes)
      kernels_.bytes_to_floats(features, batch.bytes + at, x + n * features);
    else
      std::memcpy(x + n * features, batch.x + at,
                  static_cast<std::size_t>(features) * sizeof(float));
  }
}

void Executor::store_rows(int value, const float* from, const BlockRange& r, float* rows) const {
  const PlannedValue& v = plan_.values[static_cast<std::size_t>(value)];
  const std::int64_t features = v.shape.size();
  float* to = rows + r.first * features;
  if (v.layout == Layout::kSamples)
    kernels_.samples_to_rows(features, r.samples, from, features, to);
  else
    std::memcpy(to, from, static_cast<std::size_t>(features * r.samples) * sizeof(float));
}

StepArgs Executor::step_args(const PlannedStep& s, const ParameterView& params, const BlockRange& r,
                             const ExecutorOptions& options, float* arena, const float** x) const {
  for (std::size_t k = 0; k < s.inputs.size(); ++k)
    x[k] = arena + plan_.values[static_cast<std::size_t>(s.inputs[k])].offset;
  StepArgs a;
  a.samples = r.samples;
  a.training = plan_.options.training;
  a.keep = plan_.keeps_for_backward();
  a.random = {options.seed, static_cast<std::uint32_t>(s.node),
              options.first_sample + static_cast<std::uint32_t>(r.first)};
  a.x = x;
  a.params = params.each + s.first_parameter;
  a.packed = params.packed + s.packed;
  a.saved = arena + s.saved;
  return a;
}

void Executor::forward(const Batch& batch, std::int64_t block, const ParameterView& params,
                       const ExecutorOptions& options, float loss_scale, int order, float* arena,
                       float* outputs, BatchResult* result) const {
  const BlockRange r = range(batch, block);
  load(batch, r, arena + plan_.values[0].offset);
  if (options.check_numerics) check(nullptr, 0, arena + plan_.values[0].offset, r, options, false);
  const float* x[kMaxStepInputs];
  for (const PlannedStep& s : plan_.steps) {
    ForwardArgs a;
    static_cast<StepArgs&>(a) = step_args(s, params, r, options, arena, x);
    a.scratch = arena + s.scratch_forward;
    a.y = arena + plan_.values[static_cast<std::size_t>(s.output)].offset;
    s.step->forward(a);
    if (options.check_numerics) check(&s, s.output, a.y, r, options, false);
  }
  if (plan_.loss) run_loss(batch, r, loss_scale, order, arena, result);
  if (!outputs) return;
  const std::int64_t rows = plan_.fused_softmax
                                ? plan_.loss_scratch
                                : plan_.values[static_cast<std::size_t>(plan_.output)].offset;
  store_rows(plan_.output, arena + rows, r, outputs);
}

void Executor::run_loss(const Batch& batch, const BlockRange& r, float scale, int order,
                        float* arena, BatchResult* result) const {
  const PlannedValue& out = plan_.values[static_cast<std::size_t>(plan_.output)];
  const std::int64_t* labels[kLanes];
  const float* targets[kLanes];
  float weights[kLanes];
  LossArgs a;
  a.samples = r.samples;
  a.positions = loss_positions(out.shape);
  a.classes = loss_classes(out.shape);
  for (int n = 0; n < r.samples; ++n) {
    const std::int64_t row = batch.row(r.first + n);
    if (batch.labels) labels[n] = batch.labels + row * a.positions;
    if (batch.targets) targets[n] = batch.targets + row * out.shape.size();
    if (batch.weights) weights[n] = batch.weights[row];
  }
  a.outputs = arena + out.offset;
  a.labels = labels;
  a.targets = batch.targets ? targets : nullptr;
  a.weights = batch.weights ? weights : nullptr;
  a.scale = scale;
  a.gradient = out.gradient_offset >= 0 ? arena + out.gradient_offset : nullptr;
  a.order = order;
  a.scratch = arena + plan_.loss_scratch;
  plan_.loss->run(a);
  result->loss += a.loss;
  result->correct += a.correct;
}

void Executor::backward(const Batch& batch, std::int64_t block, const ParameterView& params,
                        const ExecutorOptions& options, int order, bool accumulate, float* arena,
                        float* const* dparams, float* input_gradient) const {
  const BlockRange r = range(batch, block);
  const float* x[kMaxStepInputs];
  float* dx[kMaxStepInputs];
  float* frozen[kMaxStepInputs] = {};
  for (const BackwardStep& b : plan_.backward) {
    const PlannedStep& s = plan_.steps[static_cast<std::size_t>(b.step)];
    const PlannedValue& y = plan_.values[static_cast<std::size_t>(s.output)];
    BackwardArgs a;
    static_cast<StepArgs&>(a) = step_args(s, params, r, options, arena, x);
    a.scratch = arena + s.scratch_backward;
    a.y = arena + y.offset;
    a.dy = arena + y.gradient_offset;
    for (std::size_t k = 0; k < s.inputs.size(); ++k)
      dx[k] = b.wants_input[k]
                  ? arena + plan_.values[static_cast<std::size_t>(s.inputs[k])].gradient_offset
                  : nullptr;
    a.dx = dx;
    a.dparams = b.wants_parameters ? dparams + s.first_parameter : frozen;
    a.accumulate = accumulate;
    a.order = order;
    s.step->backward(a);
    if (options.check_numerics)
      for (std::size_t k = 0; k < s.inputs.size(); ++k)
        if (dx[k]) check(&s, s.inputs[k], dx[k], r, options, true);
  }
  if (input_gradient) store_rows(0, arena + plan_.values[0].gradient_offset, r, input_gradient);
}

// Names the first layer whose values are not finite, and the sample.
void Executor::check(const PlannedStep* step, int value, const float* data, const BlockRange& r,
                     const ExecutorOptions& options, bool backward) const {
  const PlannedValue& v = plan_.values[static_cast<std::size_t>(value)];
  const bool lanes = v.layout == Layout::kSamples;
  const std::int64_t features = v.shape.size();
  for (std::int64_t f = 0; f < features; ++f)
    for (int n = 0; n < r.samples; ++n) {
      const float e = lanes ? data[f * kLanes + n] : data[n * features + f];
      if (std::isfinite(e)) continue;
      const std::string what = std::isnan(e) ? "NaN" : "infinity";
      const std::string where = " in sample " + std::to_string(r.first + n) +
                                " of the batch, feature " + std::to_string(f) + " of " +
                                v.shape.str();
      if (!step) throw NumericsError("input: " + what + where);
      const std::string name =
          step->node < 0 ? "a change of layout"
                         : options.graph->nodes()[static_cast<std::size_t>(step->node)].name;
      throw NumericsError(name + (backward ? ", gradient of its input: " : ", output: ") + what +
                          where);
    }
}

}  // namespace striate
