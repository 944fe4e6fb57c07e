#include "train/layer_bench.h"

#include <algorithm>

#include "striate/error.h"
#include "striate/threads.h"

namespace striate {
namespace {

// As choose_blocking() cuts a network of many layers of this size: samples in lanes while 16 of
// them stay near L2, else a sample a block.
constexpr std::int64_t kLanesUpTo = std::int64_t{1} << 16;
constexpr std::int64_t kShards = 16;

Storage numbers(std::int64_t n) {
  Storage s(n);
  for (std::int64_t i = 0; i < n; ++i) s.data()[i] = static_cast<float>(i % 89) * 0.01f - 0.4f;
  return s;
}

}  // namespace

LayerBench::LayerBench(const Graph& graph, ValueId value, std::int64_t batch, bool wide)
    : k_(kernels()), wide_(wide), batch_(batch) {
  const Shape& out = graph.shape(value);
  const Node& node = graph.nodes()[static_cast<std::size_t>(value)];
  if (!node.op || node.inputs.size() != 1) throw ValueError("a layer of one input is benchmarked");
  if (batch < 1) throw ValueError("the batch is empty");
  const Shape& in = graph.shape(node.inputs[0]);
  samples_layout_ = !wide && node.op->supports(Layout::kSamples) && batch >= kLanes / 2 &&
                    in.size() + out.size() <= kLanesUpTo;
  StepOptions o;
  o.inputs = {in};
  o.layout = samples_layout_ ? Layout::kSamples : Layout::kChannels;
  block_samples_ = samples_layout_ ? kLanes : 1;
  o.block_samples = static_cast<int>(block_samples_);
  o.kernels = &k_;
  o.training = true;
  o.wide = wide;
  o.winograd = true;
  step_ = node.op->bind(o);
  blocks_ = (batch + block_samples_ - 1) / block_samples_;
  shards_ = wide ? 1 : std::min(blocks_, kShards);
  x_floats_ = block_floats(in, o.layout, o.block_samples);
  y_floats_ = block_floats(out, o.layout, o.block_samples);
  x_ = numbers(blocks_ * x_floats_);
  dx_ = numbers(blocks_ * x_floats_);
  y_ = numbers(blocks_ * y_floats_);
  dy_ = numbers(blocks_ * y_floats_);
  saved_ = Storage(blocks_ * step_->saved_size);
  common_ = Storage(step_->common_size);
  parts_ = Storage(blocks_ * std::max(step_->part_size, step_->part_size_backward));
  shares_ = Storage(step_->gradient_shares_size);
  packed_ = Storage(step_->packed_size);
  packed_backward_ = Storage(step_->packed_backward_size);
  gradients_.resize(static_cast<std::size_t>(shards_));
  gradient_pointers_.resize(gradients_.size());
  for (const ParameterSpec& p : node.op->parameters({in})) {
    sizes_.push_back(p.shape.size());
    params_.push_back(numbers(p.shape.size()));
    for (std::size_t s = 0; s < gradients_.size(); ++s) {
      gradients_[s].push_back(Storage(p.shape.size()));
      gradient_pointers_[s].push_back(gradients_[s].back().data());
    }
  }
  for (const Storage& p : params_) param_pointers_.push_back(p.data());
  no_gradients_.assign(std::max<std::size_t>(params_.size(), 1), nullptr);
  for (std::int64_t b = 0; b < blocks_; ++b) {
    block_x_.push_back(x_.data() + b * x_floats_);
    block_dx_.push_back(dx_.data() + b * x_floats_);
  }
  for (int task = 0; task < step_->pack_tasks; ++task) {
    step_->pack({param_pointers_.data(), false, task, packed_.data()});
    step_->pack({param_pointers_.data(), true, task, packed_backward_.data()});
  }
  run("forward");  // what gradients read
}

std::vector<std::string> LayerBench::passes() const {
  if (step_->part_size_backward) return {"forward", "all gradients"};
  std::vector<std::string> all{"forward", "input gradient"};
  if (!params_.empty()) all.push_back("weight gradient");
  return all;
}

void LayerBench::run(const std::string& pass) {
  const std::vector<std::string> all = passes();
  if (std::find(all.begin(), all.end(), pass) == all.end())
    throw ValueError("the layer has no pass \"" + pass + "\"");
  const int threads = num_threads();
  if (scratch_.size() < static_cast<std::size_t>(threads))
    scratch_.resize(static_cast<std::size_t>(threads));
  for (Storage& s : scratch_)
    s.reserve(
        std::max({step_->scratch_size, step_->scratch_backward_size, step_->task_scratch_size}));
  parallel_region(threads, [&](Team& team) {
    if (pass == "forward") return forward(team);
    if (pass == "input gradient") return input_gradient(team);
    if (pass == "weight gradient") return weight_gradient(team);
    all_gradients(team);
  });
}

LayerBench::Block LayerBench::block(std::int64_t i) const {
  return {i, std::min(block_samples_, batch_ - i * block_samples_)};
}

void LayerBench::for_blocks(Team& team, FunctionRef<void(const Block&, float*)> body) {
  team.for_each(blocks_, [&](std::int64_t i) {
    body(block(i), scratch_[static_cast<std::size_t>(team.rank())].data());
  });
}

void LayerBench::for_tasks(Team& team, int count, TaskBody body) {
  team.for_each(count, [&](std::int64_t task) {
    body(static_cast<int>(task), scratch_[static_cast<std::size_t>(team.rank())].data());
  });
}

void LayerBench::fill(StepArgs* a, const Block& b, bool backward) const {
  a->samples = b.samples;
  a->training = a->keep = true;
  a->x = block_x_.data() + b.index;
  a->params = param_pointers_.data();
  a->packed = backward ? packed_backward_.data() : packed_.data();
  a->common = common_.data();
}

BackwardArgs LayerBench::backward_args(const Block& b, bool input, bool weights,
                                       std::int64_t shard) {
  BackwardArgs a;
  fill(&a, b, true);
  a.saved = saved_.data() + b.index * step_->saved_size;
  a.y = y_.data() + b.index * y_floats_;
  a.dy = dy_.data() + b.index * y_floats_;
  static float* const kNone[1] = {nullptr};
  a.dx = input ? block_dx_.data() + b.index : kNone;
  a.dparams =
      weights ? gradient_pointers_[static_cast<std::size_t>(shard)].data() : no_gradients_.data();
  a.shares = shares_.data();
  return a;
}

MeetArgs LayerBench::meet_args(bool backward) {
  MeetArgs m;
  m.parts = parts_.data();
  m.part_floats = backward ? step_->part_size_backward : step_->part_size;
  m.blocks = blocks_;
  m.block_samples = block_samples_;
  m.samples = batch_;
  m.params = param_pointers_.data();
  m.common = common_.data();
  m.dparams = backward ? gradient_pointers_[0].data() : nullptr;
  return m;
}

void LayerBench::forward(Team& team) {
  const auto args = [&](const Block& b, float* scratch) {
    ForwardArgs a;
    fill(&a, b, false);
    a.saved = saved_.data() + b.index * step_->saved_size;
    a.scratch = scratch;
    a.y = y_.data() + b.index * y_floats_;
    return a;
  };
  if (step_->forward_tasks)
    return for_tasks(team, step_->forward_tasks, [&](int task, float* scratch) {
      step_->forward_task(args({0, batch_}, scratch), task);
    });
  if (meets()) {
    for_blocks(team, [&](const Block& b, float* scratch) {
      step_->gather(args(b, scratch), parts_.data() + b.index * step_->part_size);
    });
    team.for_each(1, [&](std::int64_t) { step_->meet(meet_args(false)); });
  }
  for_blocks(team, [&](const Block& b, float* scratch) { step_->forward(args(b, scratch)); });
}

void LayerBench::input_gradient(Team& team) {
  if (step_->backward_tasks)
    return for_tasks(team, step_->backward_tasks, [&](int task, float* scratch) {
      BackwardArgs a = backward_args({0, batch_}, true, false, 0);
      a.scratch = scratch;
      step_->backward_task(a, task);
    });
  for_blocks(team, [&](const Block& b, float* scratch) {
    BackwardArgs a = backward_args(b, true, false, 0);
    a.scratch = scratch;
    step_->backward(a);
  });
}

void LayerBench::weight_gradient(Team& team) {
  if (wide_ && step_->gradient_tasks) {
    const auto run = [&](int task, float* scratch, bool sum) {
      BackwardArgs a = backward_args({0, batch_}, false, true, 0);
      a.scratch = scratch;
      sum ? step_->gradient_sum(a, task) : step_->gradient_task(a, task);
    };
    for_tasks(team, step_->gradient_tasks,
              [&](int task, float* scratch) { run(task, scratch, false); });
    if (step_->gradient_sum_tasks)
      for_tasks(team, step_->gradient_sum_tasks,
                [&](int task, float* scratch) { run(task, scratch, true); });
    return;
  }
  team.for_each(shards_, [&](std::int64_t shard) {
    const std::int64_t first = shard * blocks_ / shards_;
    for (std::int64_t i = first; i < (shard + 1) * blocks_ / shards_; ++i) {
      BackwardArgs a = backward_args(block(i), false, true, shard);
      a.scratch = scratch_[static_cast<std::size_t>(team.rank())].data();
      a.accumulate = i > first;
      step_->backward(a);
    }
  });
  if (shards_ == 1) return;
  team.for_each(static_cast<std::int64_t>(sizes_.size()), [&](std::int64_t p) {
    const float* parts[kShards];
    for (std::int64_t s = 0; s < shards_; ++s)
      parts[s] = gradient_pointers_[static_cast<std::size_t>(s)][static_cast<std::size_t>(p)];
    k_.sum_tree(sizes_[static_cast<std::size_t>(p)], static_cast<std::int32_t>(shards_), parts,
                gradient_pointers_[0][static_cast<std::size_t>(p)]);
  });
}

void LayerBench::all_gradients(Team& team) {
  for_blocks(team, [&](const Block& b, float* scratch) {
    BackwardArgs a = backward_args(b, true, false, 0);
    a.scratch = scratch;
    step_->gather_backward(a, parts_.data() + b.index * step_->part_size_backward);
  });
  team.for_each(1, [&](std::int64_t) { step_->meet_backward(meet_args(true)); });
  for_blocks(team, [&](const Block& b, float* scratch) {
    BackwardArgs a = backward_args(b, true, false, 0);
    a.scratch = scratch;
    step_->backward(a);
  });
}

}  // namespace striate
