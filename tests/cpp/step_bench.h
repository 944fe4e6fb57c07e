#pragma once
// Runs one operation's step on rows of samples, in either layout and at any ISA, with every buffer
// guarded: NaN before and after, so a read outside shows up as NaN and a write as a changed guard.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "core/storage.h"
#include "ops/op.h"

namespace striate::testing {

constexpr std::int64_t kGuard = 64;

class GuardedBuffer {
 public:
  explicit GuardedBuffer(std::int64_t n)
      : size_(n), values_(static_cast<std::size_t>(n + 2 * kGuard), nan()) {}
  float* data() { return values_.data() + kGuard; }
  std::int64_t size() const { return size_; }
  void fill(float v) { std::fill(data(), data() + size_, v); }
  bool guards_intact() const {
    for (std::int64_t i = 0; i < kGuard; ++i)
      if (!std::isnan(values_[static_cast<std::size_t>(i)]) ||
          !std::isnan(values_[values_.size() - 1 - static_cast<std::size_t>(i)]))
        return false;
    return true;
  }
  static float nan() { return std::numeric_limits<float>::quiet_NaN(); }

 private:
  std::int64_t size_;
  std::vector<float> values_;
};

struct StepResult {
  std::vector<float> y, dx;
  std::vector<std::vector<float>> dparams;
};

struct StepCase {
  OpPtr op;
  Shape input;
  int samples;               // 1..kLanes
  std::vector<float> x, dy;  // rows
  std::vector<std::vector<float>> params;
};

// The same for several inputs: x and dx by input.
struct MergeResult {
  std::vector<float> y;
  std::vector<std::vector<float>> dx;
  std::vector<std::vector<float>> dparams;
};

struct MergeCase {
  OpPtr op;
  std::vector<Shape> inputs;
  int samples;
  std::vector<std::vector<float>> x;
  std::vector<float> dy;
  std::vector<std::vector<float>> params;
  std::vector<bool> wants_dx;  // by input; empty: all
};

struct RunOptions {
  bool accumulate = false;  // gradients start from 1 and must be added to
  int order = 1;            // 2: params are squares
  bool folds = false;       // params have a bias, whether the op has one or not
  bool winograd = false;    // 3x3 convolutions on Winograd's points, where they are faster
  const Bfloat16Kernels* bfloat16 = nullptr;
  bool keeps_packs = true;
};

inline std::vector<const KernelTable*> available_tables() {
  std::vector<const KernelTable*> tables;
  for (int i = 0; i < kIsaCount; ++i)
    if (const KernelTable* t = kernel_table(static_cast<Isa>(i))) tables.push_back(t);
  return tables;
}

// Copies rows [n][F] into a block's buffer; lanes beyond stay zero.
inline void to_block(const std::vector<float>& rows, std::int64_t features, Layout layout,
                     GuardedBuffer* block) {
  block->fill(0.0f);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::int64_t n = static_cast<std::int64_t>(i) / features;
    const std::int64_t f = static_cast<std::int64_t>(i) % features;
    block->data()[layout == Layout::kSamples ? f * kLanes + n : n * features + f] = rows[i];
  }
}

inline std::vector<float> from_block(GuardedBuffer& block, std::int64_t features, int samples,
                                     Layout layout) {
  std::vector<float> rows;
  for (std::int64_t n = 0; n < samples; ++n)
    for (std::int64_t f = 0; f < features; ++f)
      rows.push_back(block.data()[layout == Layout::kSamples ? f * kLanes + n : n * features + f]);
  return rows;
}

// Runs a step again with y in the memory of each x of its size, and with dx in dy's, where it says
// that it may.
inline void expect_same_in_place(const Step& step, ForwardArgs f, BackwardArgs b,
                                 const std::vector<GuardedBuffer>& x, const GuardedBuffer& dy) {
  const auto bytes = sizeof(float) * static_cast<std::size_t>(dy.size());
  const float* const y = f.y;
  const float* const* const apart = f.x;
  for (std::size_t k = 0; step.forward_in_place && k < x.size(); ++k) {
    if (x[k].size() != dy.size()) continue;
    GuardedBuffer both = x[k];
    std::vector<const float*> xs(apart, apart + x.size());
    xs[k] = both.data();
    f.x = xs.data();
    f.y = both.data();
    step.forward(f);
    EXPECT_EQ(std::memcmp(both.data(), y, bytes), 0) << "forward in place of input " << k;
    EXPECT_TRUE(both.guards_intact());
  }
  f.x = apart;
  // Of several inputs' gradients one may be in place, or all of them where they are dy.
  float* const* const gradients = b.dx;
  float* frozen[16] = {};
  b.dparams = frozen;
  for (std::size_t k = 0; k < x.size(); ++k) {
    if (!(step.backward_is_identity || step.backward_in_place) || !gradients[k]) continue;
    if (x[k].size() != dy.size()) continue;
    GuardedBuffer both = dy;
    std::vector<float*> dxs(gradients, gradients + x.size());
    std::vector<GuardedBuffer> others(x.begin(), x.end());
    for (std::size_t i = 0; i < x.size(); ++i) {
      const bool shares = i == k || (step.backward_is_identity && x[i].size() == dy.size());
      if (dxs[i]) dxs[i] = shares ? both.data() : others[i].data();
    }
    b.dy = both.data();
    b.dx = dxs.data();
    step.backward(b);
    for (std::size_t i = 0; i < x.size(); ++i)
      if (dxs[i]) {
        EXPECT_EQ(std::memcmp(dxs[i], gradients[i],
                              sizeof(float) * static_cast<std::size_t>(x[i].size())),
                  0)
            << "gradient " << i << " with that of input " << k << " in place";
      }
    EXPECT_TRUE(both.guards_intact());
  }
}

// Forward and backward, and both in place where the step says that it may run so.
inline MergeResult run_step(const MergeCase& c, const KernelTable& table, Layout layout,
                            const RunOptions& options = {}) {
  const int block = layout == Layout::kSamples ? kLanes : c.samples;
  StepOptions bind;
  bind.inputs = c.inputs;
  bind.layout = layout;
  bind.block_samples = block;
  bind.kernels = &table;
  bind.folds = options.folds;
  bind.winograd = options.winograd;
  const auto step = c.op->bind(bind);
  const Shape out = c.op->output_shape(c.inputs);
  std::vector<GuardedBuffer> x, dx;
  std::vector<const float*> xs;
  std::vector<float*> dxs;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    x.emplace_back(block_floats(c.inputs[i], layout, block));
    dx.emplace_back(x.back().size());
    to_block(c.x[i], c.inputs[i].size(), layout, &x.back());
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    xs.push_back(x[i].data());
    dxs.push_back(c.wants_dx.empty() || c.wants_dx[i] ? dx[i].data() : nullptr);
  }
  GuardedBuffer y(block_floats(out, layout, block)), dy(y.size());
  GuardedBuffer packed(step->packed_size), packed_backward(step->packed_backward_size),
      saved(step->saved_size), scratch(std::max(step->scratch_size, step->scratch_backward_size));
  to_block(c.dy, out.size(), layout, &dy);
  std::vector<GuardedBuffer> dparams;
  std::vector<const float*> params;
  std::vector<float*> gradients;
  for (const auto& p : c.params) {
    params.push_back(p.data());
    dparams.emplace_back(static_cast<std::int64_t>(p.size()));
    if (options.accumulate) dparams.back().fill(1.0f);
  }
  for (GuardedBuffer& d : dparams) gradients.push_back(d.data());
  for (int task = 0; task < step->pack_tasks; ++task) {
    step->pack({params.data(), false, task, packed.data()});
    step->pack({params.data(), true, task, packed_backward.data()});
  }
  ForwardArgs f;
  f.samples = c.samples;
  f.training = f.keep = true;
  f.x = xs.data();
  f.params = params.data();
  f.packed = packed.data();
  f.saved = saved.data();
  f.scratch = scratch.data();
  f.y = y.data();
  step->forward(f);
  BackwardArgs b;
  static_cast<StepArgs&>(b) = f;
  b.packed = packed_backward.data();
  b.y = y.data();
  b.dy = dy.data();
  b.dx = dxs.data();
  b.dparams = gradients.data();
  b.accumulate = options.accumulate;
  b.order = options.order;
  step->backward(b);
  expect_same_in_place(*step, f, b, x, dy);
  EXPECT_TRUE(y.guards_intact() && dy.guards_intact() && packed.guards_intact() &&
              packed_backward.guards_intact() && saved.guards_intact() && scratch.guards_intact());
  MergeResult r{from_block(y, out.size(), c.samples, layout), {}, {}};
  for (std::size_t i = 0; i < x.size(); ++i) {
    EXPECT_TRUE(x[i].guards_intact() && dx[i].guards_intact());
    r.dx.push_back(from_block(dx[i], c.inputs[i].size(), c.samples, layout));
  }
  for (GuardedBuffer& d : dparams) {
    EXPECT_TRUE(d.guards_intact());
    r.dparams.emplace_back(d.data(), d.data() + d.size());
  }
  return r;
}

inline StepResult run_step(const StepCase& c, const KernelTable& table, Layout layout,
                           const RunOptions& options = {}) {
  MergeResult r = run_step(MergeCase{c.op, {c.input}, c.samples, {c.x}, c.dy, c.params, {}}, table,
                           layout, options);
  return {std::move(r.y), std::move(r.dx[0]), std::move(r.dparams)};
}

inline StepResult run_step(const StepCase& c, const KernelTable& table, Layout layout,
                           bool accumulate) {
  return run_step(c, table, layout, RunOptions{accumulate, 1});
}

// A small fast generator for shapes and integer data (SplitMix64, Steele et al. 2014): what the
// tests draw must not depend on what they test.
class CaseRandom {
 public:
  explicit CaseRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  // Uniform on low..high, both included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(high - low + 1));
  }
  // Integers in [-32, 32]: every partial sum below 2^24 is exact in float, so any order of
  // summation gives the same bits. Beyond 16384 terms the caller thins them out.
  std::vector<float> integers(std::int64_t n, double density = 1.0) {
    std::vector<float> v;
    for (std::int64_t i = 0; i < n; ++i) {
      const float value = static_cast<float>(between(-32, 32));
      const bool keep = density >= 1.0 || static_cast<double>(next() % 65536) < density * 65536.0;
      v.push_back(keep ? value : 0.0f);
    }
    return v;
  }

 private:
  std::uint64_t state_;
};

inline std::string first_difference(const std::vector<float>& got, const std::vector<float>& want) {
  if (got.size() != want.size()) return "sizes differ";
  for (std::size_t i = 0; i < got.size(); ++i)
    if (!(got[i] == want[i]))
      return "at " + std::to_string(i) + ": got " + std::to_string(got[i]) + ", want " +
             std::to_string(want[i]);
  return "";
}

}  // namespace striate::testing
