// Elementwise merges of several inputs: add, subtract, multiply, average, maximum, minimum. Inputs
// of 1 in some extent are broadcast (ops/broadcast.h), as a squeeze-and-excite block's factors are.
// Of equal maxima the first input's wins and takes the whole gradient, as in TensorFlow.
#include <algorithm>
#include <cstring>

#include "ops/broadcast.h"
#include "ops/op.h"
#include "striate/error.h"

namespace striate {
namespace {

enum class MergeKind { kAdd, kSubtract, kMultiply, kAverage, kMaximum, kMinimum };

// Numbers that are merged, or broadcast, at once: the passes over them meet in L1.
constexpr std::int64_t kChunk = 1024;

void copy(std::int64_t n, const float* from, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(float));
}

class MergeStep final : public Step {
 public:
  MergeStep(MergeKind kind, const StepOptions& o)
      : kind_(kind), inputs_(o.inputs.size()), broadcast_(o.inputs, o.layout), k_(*o.kernels) {
    backward_reads_x = kind == MergeKind::kMultiply;
    backward_is_identity = kind == MergeKind::kAdd;
    forward_in_place = true;
    if (keeps_index()) saved_size = broadcast_.output_floats(o.block_samples);
    for (std::size_t i = 0; i < inputs_; ++i) one_number_ += broadcast_.run_step(i) == 0;
    // A row merged so far, in backward of a gradient; a row of ones; rows of numbers repeated.
    scratch_size = kChunk * (2 + one_number_);
  }

  void forward(const ForwardArgs& a) const override {
    const auto body = [&](const float* const* x, const std::int64_t*, std::int64_t y,
                          std::int64_t n) {
      if (keeps_index())
        choose(n, x, a.y + y, a.keep ? a.saved + y : nullptr, a.scratch);
      else
        merge(n, x, a.y + y, a.scratch);
    };
    each_chunk(a, true, body);
  }

  void backward(const BackwardArgs& a) const override {
    float* const gradient = a.scratch;  // of a chunk, before it is summed
    float* const ones = gradient + kChunk;
    if (!broadcast_.all_whole()) std::fill(ones, ones + kChunk, 1.0f);
    for (std::size_t i = 0; i < inputs_; ++i)
      if (a.dx[i] && !broadcast_.whole(i))
        std::fill(a.dx[i], a.dx[i] + broadcast_.input_floats(i, a.samples), 0.0f);
    const auto body = [&](const float* const* x, const std::int64_t* at, std::int64_t y,
                          std::int64_t n) {
      for (std::size_t i = 0; i < inputs_; ++i) {
        if (!a.dx[i]) continue;
        float* const dx = a.dx[i] + at[i];
        if (broadcast_.whole(i)) {
          give(i, n, x, y, a, dx);
          continue;
        }
        give(i, n, x, y, a, gradient);
        if (broadcast_.run_step(i)) {
          k_.add(n, dx, gradient, dx);
        } else {
          float sum;
          k_.dot_rows(1, static_cast<std::int32_t>(n), gradient, ones, &sum);
          *dx += sum;
        }
      }
    };
    each_chunk(a, backward_reads_x, body);
  }

 private:
  bool keeps_index() const { return kind_ == MergeKind::kMaximum || kind_ == MergeKind::kMinimum; }

  // Calls body(x, at, y, n) for every n numbers of the output from offset y on: x[i] are input i's
  // numbers for them, repeated where it has one, and at[i] is their offset in input i. Without
  // `reads_x` the x[i] mean nothing.
  template <typename Body>
  void each_chunk(const StepArgs& a, bool reads_x, Body body) const {
    broadcast_.each_run(
        a.samples, [&](const std::int64_t* run, std::int64_t y, std::int64_t length) {
          const float* x[kMaxMergeInputs] = {};
          std::int64_t at[kMaxMergeInputs];
          float* repeated = a.scratch + 2 * kChunk;
          for (std::size_t i = 0; i < inputs_; ++i) {
            if (broadcast_.run_step(i) || !reads_x) continue;
            std::fill(repeated, repeated + std::min(kChunk, length), a.x[i][run[i]]);
            x[i] = repeated;
            repeated += kChunk;
          }
          for (std::int64_t done = 0; done < length; done += kChunk) {
            for (std::size_t i = 0; i < inputs_; ++i) {
              at[i] = run[i] + done * broadcast_.run_step(i);
              if (broadcast_.run_step(i)) x[i] = a.x[i] + at[i];
            }
            body(x, at, y + done, std::min(kChunk, length - done));
          }
        });
  }

  // y, which may be any of the x, is written last: until then `row` has what is merged.
  void merge(std::int64_t n, const float* const* x, float* y, float* row) const {
    const auto combine = kind_ == MergeKind::kSubtract   ? k_.subtract
                         : kind_ == MergeKind::kMultiply ? k_.multiply
                                                         : k_.add;
    const float* so_far = x[0];
    for (std::size_t i = 1; i < inputs_; ++i) {
      float* const to = i + 1 == inputs_ ? y : row;
      combine(n, so_far, x[i], to);
      so_far = to;
    }
    if (kind_ == MergeKind::kAverage) k_.scale(n, share(), y, y);
  }

  void choose(std::int64_t n, const float* const* x, float* y, float* index, float* row) const {
    copy(n, x[0], row);
    if (index) std::fill(index, index + n, 0.0f);
    for (std::size_t i = 1; i < inputs_; ++i)
      k_.keep_extreme(kind_ == MergeKind::kMinimum, n, x[i], static_cast<float>(i), row, index);
    copy(n, row, y);
  }

  // d(loss)/d(input i) of n numbers; second order squares the factor of dy.
  void give(std::size_t i, std::int64_t n, const float* const* x, std::int64_t y,
            const BackwardArgs& a, float* dx) const {
    const float* dy = a.dy + y;
    switch (kind_) {
      case MergeKind::kMaximum:
      case MergeKind::kMinimum:
        return k_.where_index(n, a.saved + y, static_cast<float>(i), dy, dx);
      case MergeKind::kAverage:
        return k_.scale(n, a.order == 2 ? share() * share() : share(), dy, dx);
      case MergeKind::kMultiply:
        for (int power = 0; power < a.order; ++power)
          for (std::size_t j = 0; j < inputs_; ++j) {
            if (j == i) continue;
            k_.multiply(n, dy, x[j], dx);
            dy = dx;
          }
        return;
      case MergeKind::kSubtract:
        if (i == 1 && a.order == 1) return k_.scale(n, -1.0f, dy, dx);
        return copy(n, dy, dx);
      case MergeKind::kAdd:
        if (dx != dy) copy(n, dy, dx);
        return;
    }
  }

  float share() const { return 1.0f / static_cast<float>(inputs_); }

  MergeKind kind_;
  std::size_t inputs_;
  Broadcast broadcast_;
  std::int64_t one_number_ = 0;  // inputs that are one number along a run
  const KernelTable& k_;
};

class Merge final : public Op {
 public:
  Merge(MergeKind kind, const char* name) : kind_(kind), name_(name) {}
  const char* kind() const override { return name_; }
  Shape output_shape(const std::vector<Shape>& in) const override {
    if (kind_ == MergeKind::kSubtract && in.size() != 2)
      throw ShapeError("takes exactly 2 inputs, got " + std::to_string(in.size()));
    check_merge_count(in);
    return broadcast_shape(in);
  }
  bool supports(Layout) const override { return true; }
  bool is_add() const override { return kind_ == MergeKind::kAdd; }
  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    return std::make_unique<MergeStep>(kind_, o);
  }

 private:
  MergeKind kind_;
  const char* name_;
};

}  // namespace

OpPtr add() { return std::make_shared<Merge>(MergeKind::kAdd, "add"); }
OpPtr subtract() { return std::make_shared<Merge>(MergeKind::kSubtract, "subtract"); }
OpPtr multiply() { return std::make_shared<Merge>(MergeKind::kMultiply, "multiply"); }
OpPtr average() { return std::make_shared<Merge>(MergeKind::kAverage, "average"); }
OpPtr maximum() { return std::make_shared<Merge>(MergeKind::kMaximum, "maximum"); }
OpPtr minimum() { return std::make_shared<Merge>(MergeKind::kMinimum, "minimum"); }

}  // namespace striate
