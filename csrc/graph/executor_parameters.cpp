// What an executor does with parameters: folds, packs, and lets moving statistics take in a batch.
#include <vector>

#include "core/storage.h"
#include "graph/executor.h"

namespace striate {

void Executor::fold(const PlannedStep& s, const ParameterView& params) const {
  const float* const* own = params.each + s.first_parameter;
  const int first = table_.first(s.folded);
  float* kernel = params.packed + s.folded_weights.offset;
  float* bias = kernel + align_up(s.folded_kernel);
  std::vector<float> scale(index(static_cast<int>(s.folded_channels)));
  graph_.nodes()[index(s.folded)].op->fold(s.folded_channels, params.each + first, scale.data(),
                                           bias);
  const auto channels = static_cast<std::int32_t>(s.folded_channels);
  kernels_.channel_affine_channels(s.folded_kernel / s.folded_channels, channels, scale.data(),
                                   own[0], {}, kernel);
  if (s.parameter_count > 1)  // a bias of the layer's own
    kernels_.channel_affine_channels(1, channels, scale.data(), own[1], {bias}, bias);
}

void Executor::pack_step(const PlannedStep& s, bool backward, int task, const ParameterView& params,
                         float* packed) const {
  PackArgs a;
  const float* folded[2];
  a.params = params.each + s.first_parameter;
  if (s.folded >= 0) {
    folded[0] = params.packed + s.folded_weights.offset;
    folded[1] = folded[0] + align_up(s.folded_kernel);
    a.params = folded;
  }
  a.backward = backward;
  a.task = task;
  a.packed = packed;
  s.step->pack(a);
}

void Executor::pack(Team& team, const ParameterView& params, bool backward) const {
  const auto steps = static_cast<std::int64_t>(plan_.steps.size());
  bool folds = false;
  for (const PlannedStep& s : plan_.steps) folds |= s.folded >= 0;
  if (folds)
    team.for_each(steps, [&](std::int64_t i) {
      const PlannedStep& s = plan_.steps[static_cast<std::size_t>(i)];
      if (s.folded >= 0) fold(s, params);
    });
  if (!plan_.packs_persist) return;
  team.for_each(steps, [&](std::int64_t i) {
    const PlannedStep& s = plan_.steps[static_cast<std::size_t>(i)];
    for (int task = 0; task < s.step->pack_tasks; ++task) {
      if (s.packed.floats) pack_step(s, false, task, params, params.packed + s.packed.offset);
      if (backward && s.packed_backward.floats)
        pack_step(s, true, task, params, params.packed + s.packed_backward.offset);
    }
  });
}

void Executor::commit(const ExecutorCall& call, float* const* parameters) const {
  const Where w{call, nullptr, {0, 0, 0}, 0, block_count(call.batch->count)};
  for (const PlannedStep& s : plan_.steps)
    if (s.step->has_state) s.step->commit(at(s.common, w), parameters + s.first_parameter);
}

}  // namespace striate
