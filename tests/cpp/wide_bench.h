#pragma once
// Runs one operation's step as a wide network does: all samples in a row, weight gradients (and
// what else the step cuts) by tasks over the whole batch, the rest block by block.
#include <algorithm>
#include <utility>

#include "step_bench.h"

namespace striate::testing {

class WideRun {
 public:
  // c.samples: any number. block: samples of a block.
  WideRun(const StepCase& c, const KernelTable& table, int block, const RunOptions& options)
      : case_(c), options_(options), block_(block), out_(c.op->output_shape({c.input})) {
    StepOptions bind;
    bind.inputs = {c.input};
    bind.block_samples = block;
    bind.kernels = &table;
    bind.wide = true;
    bind.folds = options.folds;
    bind.winograd = options.winograd;
    bind.bfloat16 = options.bfloat16;
    bind.keeps_packs = options.keeps_packs;
    step_ = c.op->bind(bind);
    for (const auto& p : c.params) params_.push_back(p.data());
  }
  const Step& step() const { return *step_; }

  StepResult run() {
    GuardedBuffer packed(step_->packed_size), packed_back(step_->packed_backward_size);
    for (int task = step_->pack_tasks; task-- > 0;) {
      step_->pack({params_.data(), false, task, packed.data()});
      step_->pack({params_.data(), true, task, packed_back.data()});
    }
    EXPECT_TRUE(packed.guards_intact() && packed_back.guards_intact());
    StepResult r;
    r.y = forward(packed.data());
    r.dparams = gradients(packed_back.data());
    r.dx = input_gradient(packed_back.data());
    return r;
  }

 private:
  StepArgs args(std::int64_t samples) const {
    StepArgs a;
    a.samples = samples;
    a.training = a.keep = true;
    a.params = params_.data();
    return a;
  }

  // body(first sample, how many)
  template <typename Body>
  void each_block(Body body) const {
    for (std::int64_t n = 0; n < case_.samples; n += block_)
      body(n, std::min<std::int64_t>(block_, case_.samples - n));
  }
  // Tasks in any order, each with scratch of its own that nobody filled.
  template <typename Body>
  void each_task(int count, Body body) const {
    for (int task = count; task-- > 0;) {
      GuardedBuffer scratch(step_->task_scratch_size);
      body(task, scratch.data());
      EXPECT_TRUE(scratch.guards_intact()) << "task " << task;
    }
  }

  std::vector<float> forward(const float* packed) const {
    GuardedBuffer y(case_.samples * out_.size());
    const float* x[1] = {case_.x.data()};
    ForwardArgs f;
    static_cast<StepArgs&>(f) = args(case_.samples);
    f.packed = packed;
    f.x = x;
    f.y = y.data();
    each_task(step_->forward_tasks, [&](int task, float* scratch) {
      f.scratch = scratch;
      step_->forward_task(f, task);
    });
    if (!step_->forward_tasks)
      each_block([&](std::int64_t n, std::int64_t count) {
        GuardedBuffer scratch(step_->scratch_size);
        const float* xn[1] = {case_.x.data() + n * case_.input.size()};
        f.x = xn;
        f.samples = count;
        f.scratch = scratch.data();
        f.y = y.data() + n * out_.size();
        step_->forward(f);
        EXPECT_TRUE(scratch.guards_intact());
      });
    EXPECT_TRUE(y.guards_intact());
    return std::vector<float>(y.data(), y.data() + y.size());
  }

  BackwardArgs backward_args(const float* packed, std::int64_t n, std::int64_t count,
                             const float** x) const {
    BackwardArgs b;
    static_cast<StepArgs&>(b) = args(count);
    *x = case_.x.data() + n * case_.input.size();
    b.x = x;
    b.packed = packed;
    b.dy = case_.dy.data() + n * out_.size();
    b.order = options_.order;
    return b;
  }

  std::vector<std::vector<float>> gradients(const float* packed) const {
    std::vector<GuardedBuffer> buffers;
    std::vector<float*> pointers;
    for (const auto& p : case_.params) {
      buffers.emplace_back(static_cast<std::int64_t>(p.size()));
      if (options_.accumulate) buffers.back().fill(1.0f);
    }
    for (GuardedBuffer& d : buffers) pointers.push_back(d.data());
    const float* x;
    float* none[1] = {nullptr};
    GuardedBuffer shares(step_->gradient_shares_size);
    each_task(step_->gradient_tasks, [&](int task, float* scratch) {
      BackwardArgs b = backward_args(packed, 0, case_.samples, &x);
      b.dparams = pointers.data();
      b.dx = none;
      b.scratch = scratch;
      b.accumulate = options_.accumulate;
      b.shares = shares.data();
      step_->gradient_task(b, task);
    });
    each_task(step_->gradient_sum_tasks, [&](int task, float*) {
      BackwardArgs b = backward_args(packed, 0, case_.samples, &x);
      b.dparams = pointers.data();
      b.shares = shares.data();
      b.accumulate = options_.accumulate;
      step_->gradient_sum(b, task);
    });
    EXPECT_TRUE(shares.guards_intact());
    if (!step_->gradient_tasks)
      each_block([&](std::int64_t n, std::int64_t count) {
        GuardedBuffer scratch(std::max(step_->scratch_size, step_->scratch_backward_size));
        BackwardArgs b = backward_args(packed, n, count, &x);
        b.dparams = pointers.data();
        b.dx = none;
        b.scratch = scratch.data();
        b.accumulate = options_.accumulate || n > 0;
        step_->backward(b);
        EXPECT_TRUE(scratch.guards_intact());
      });
    std::vector<std::vector<float>> result;
    for (GuardedBuffer& d : buffers) {
      EXPECT_TRUE(d.guards_intact());
      result.emplace_back(d.data(), d.data() + d.size());
    }
    return result;
  }

  std::vector<float> input_gradient(const float* packed) const {
    GuardedBuffer dx(case_.samples * case_.input.size());
    const float* x;
    float* none[4] = {};
    each_task(step_->backward_tasks, [&](int task, float* scratch) {
      BackwardArgs b = backward_args(packed, 0, case_.samples, &x);
      float* to[1] = {dx.data()};
      b.dparams = none;
      b.dx = to;
      b.scratch = scratch;
      step_->backward_task(b, task);
    });
    if (!step_->backward_tasks)
      each_block([&](std::int64_t n, std::int64_t count) {
        GuardedBuffer scratch(std::max(step_->scratch_size, step_->scratch_backward_size));
        BackwardArgs b = backward_args(packed, n, count, &x);
        float* to[1] = {dx.data() + n * case_.input.size()};
        b.dparams = none;
        b.dx = to;
        b.scratch = scratch.data();
        step_->backward(b);
        EXPECT_TRUE(scratch.guards_intact());
      });
    EXPECT_TRUE(dx.guards_intact());
    return std::vector<float>(dx.data(), dx.data() + dx.size());
  }

  const StepCase& case_;
  RunOptions options_;
  int block_;
  Shape out_;
  std::unique_ptr<Step> step_;
  std::vector<const float*> params_;
};

}  // namespace striate::testing
