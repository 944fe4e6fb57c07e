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

// Forward and backward. `accumulate`: gradients start from 1 and must be added to.
inline StepResult run_step(const StepCase& c, const KernelTable& table, Layout layout,
                           bool accumulate = false) {
  const int block = layout == Layout::kSamples ? kLanes : c.samples;
  StepOptions options;
  options.inputs = {c.input};
  options.layout = layout;
  options.block_samples = block;
  options.kernels = &table;
  const auto step = c.op->bind(options);
  const Shape out = c.op->output_shape({c.input});
  GuardedBuffer x(block_floats(c.input, layout, block)), dx(x.size());
  GuardedBuffer y(block_floats(out, layout, block)), dy(y.size());
  GuardedBuffer packed(step->packed_size), packed_backward(step->packed_backward_size),
      saved(step->saved_size), scratch(step->scratch_size);
  to_block(c.x, c.input.size(), layout, &x);
  to_block(c.dy, out.size(), layout, &dy);
  std::vector<GuardedBuffer> dparams;
  std::vector<const float*> params;
  std::vector<float*> gradients;
  for (const auto& p : c.params) {
    params.push_back(p.data());
    dparams.emplace_back(static_cast<std::int64_t>(p.size()));
    if (accumulate) dparams.back().fill(1.0f);
  }
  for (GuardedBuffer& d : dparams) gradients.push_back(d.data());
  for (int task = 0; task < step->pack_tasks; ++task) {
    step->pack({params.data(), false, task, packed.data()});
    step->pack({params.data(), true, task, packed_backward.data()});
  }
  const float* xs[] = {x.data()};
  float* dxs[] = {dx.data()};
  ForwardArgs f;
  f.samples = c.samples;
  f.training = f.keep = true;
  f.x = xs;
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
  b.dx = dxs;
  b.dparams = gradients.data();
  b.accumulate = accumulate;
  step->backward(b);
  EXPECT_TRUE(x.guards_intact() && dx.guards_intact() && y.guards_intact() && dy.guards_intact() &&
              packed.guards_intact() && packed_backward.guards_intact() && saved.guards_intact() &&
              scratch.guards_intact());
  StepResult r{from_block(y, out.size(), c.samples, layout),
               from_block(dx, c.input.size(), c.samples, layout),
               {}};
  for (GuardedBuffer& d : dparams) {
    EXPECT_TRUE(d.guards_intact());
    r.dparams.emplace_back(d.data(), d.data() + d.size());
  }
  return r;
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
