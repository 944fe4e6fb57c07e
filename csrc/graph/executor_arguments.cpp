// What an executor hands to steps: pointers into arenas, parameters and packed weights.
#include "core/storage.h"
#include "graph/executor.h"

namespace striate {

StepArgs Executor::step_args(const PlannedStep& s, const ParameterView& params, const Where& w,
                             bool backward, Pointers* p) const {
  for (std::size_t k = 0; k < s.inputs.size(); ++k) p->x[k] = value(s.inputs[k], w);
  StepArgs a;
  a.samples = w.range.samples;
  a.training = plan_.options.training;
  a.keep = plan_.keeps_for_backward();
  a.random = {w.call.seed, static_cast<std::uint32_t>(s.node),
              w.call.first_sample + static_cast<std::uint32_t>(w.range.first)};
  a.x = p->x;
  a.params = params.each + s.first_parameter;
  const Place& packed = backward ? s.packed_backward : s.packed;
  a.packed = plan_.packs_persist ? params.packed + packed.offset : at(packed, w);
  if (s.folded >= 0) {
    p->folded[0] = params.packed + s.folded_weights.offset;
    p->folded[1] = p->folded[0] + align_up(s.folded_kernel);
    a.params = p->folded;
  }
  a.common = at(s.common, w);
  a.saved = at(s.saved, w);
  return a;
}

ForwardArgs Executor::forward_args(const PlannedStep& s, const Where& w, Pointers* p) const {
  ForwardArgs a;
  static_cast<StepArgs&>(a) = step_args(s, w.call.params, w, false, p);
  a.scratch = at(s.scratch, w);
  a.y = value(s.output, w);
  return a;
}

BackwardArgs Executor::backward_args(const PlannedBackward& b, const Where& w, Pointers* p) const {
  static float* const kFrozen[kMaxStepInputs] = {};
  const PlannedStep& s = plan_.steps[index(b.step)];
  BackwardArgs a;
  static_cast<StepArgs&>(a) = step_args(s, w.call.backward_params, w, true, p);
  a.scratch = at(s.scratch_backward, w);
  a.y = value(s.output, w);
  a.dy = gradient(s.output, w);
  for (std::size_t k = 0; k < s.inputs.size(); ++k)
    p->dx[k] = !b.wants_input[k] ? nullptr
               : b.adds_input[k] ? at(b.added[k], w)
                                 : gradient(s.inputs[k], w);
  a.dx = p->dx;
  a.dparams = b.wants_parameters ? w.call.dparams[w.shard] + s.first_parameter : kFrozen;
  // The shard's first block overwrites.
  const bool later =
      !plan_.options.blocking.wide && w.range.block > w.shard * w.blocks / w.call.shards;
  a.accumulate = b.adds_parameters || later;
  a.order = w.call.order;
  return a;
}

MeetArgs Executor::meet_args(const PlannedStep& s, bool backward, const Where& w) const {
  MeetArgs m;
  m.parts = at(backward ? s.parts_backward : s.parts, w);
  m.part_floats = (backward ? s.parts_backward : s.parts).floats;
  m.blocks = w.blocks;
  m.block_samples = plan_.options.blocking.block_samples;
  m.samples = w.call.batch->count;
  m.params = (backward ? w.call.backward_params : w.call.params).each + s.first_parameter;
  m.common = at(s.common, w);
  return m;
}

}  // namespace striate
