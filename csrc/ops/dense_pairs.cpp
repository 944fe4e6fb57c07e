// Dense layers of inference whose weights are kept packed in bfloat16: half the bytes, which is
// what bounds a wide layer on few samples (AlexNet's first, 38 million weights).
#include <algorithm>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/dense_step.h"
#include "ops/epilogue.h"
#include "ops/pairs.h"
#include "ops/product_pass.h"

namespace striate {
namespace {

constexpr std::int64_t kTaskOutputs = 128;
constexpr std::int64_t kTogether = 32;  // samples that pass the weights at once
constexpr int kPackTasks = 16;

class DensePairs final : public Step {
 public:
  DensePairs(DenseShape shape, const StepOptions& o)
      : s_(std::move(shape)), k_(*o.kernels), pairs_(*o.bfloat16), floor_(floor_of(o.relu)) {
    const std::int64_t vector = k_.vector_width;
    words_ = (s_.inputs + 1) / 2;
    packed_size = checked_mul(words_, (s_.outputs + vector - 1) / vector * vector);
    pack_tasks = kPackTasks;
    task_scratch_size = checked_mul(words_, kTogether);
    forward_tasks = static_cast<int>((s_.outputs + kTaskOutputs - 1) / kTaskOutputs);
    weights_.weight_step = 1;
    for (std::int64_t i = 0; i < 2 * words_; ++i)
      weights_.weight_rows.push_back(i < s_.inputs ? i * s_.outputs : -1);
    weights_.finish();
    weights_.pass.depth = narrow<std::int32_t>(words_);
  }

  const char* method() const override { return "product, pairs of bfloat16"; }

  void pack(const PackArgs& a) const override {
    if (a.backward) return;
    const std::int64_t tile = k_.channels_tile;
    for (std::int64_t o = a.task * tile; o < s_.outputs; o += pack_tasks * tile)
      pack_pairs(k_, pairs_, weights_, a.params[0] + o,
                 static_cast<std::int32_t>(std::min(tile, s_.outputs - o)), a.packed + o * words_);
  }

  // Every task rounds the samples anew: a hundredth of its products.
  void forward_task(const ForwardArgs& a, int task) const override {
    const std::int64_t first = task * kTaskOutputs;
    for (std::int64_t n = 0; n < a.samples; n += kTogether) {
      ProductPass p(std::min(kTogether, a.samples - n), words_,
                    std::min(kTaskOutputs, s_.outputs - first));
      p.pass.y_col = s_.outputs;
      pairs_.pair_channels(p.pass.cols, static_cast<std::int32_t>(s_.inputs),
                           a.x[0] + n * s_.inputs, a.scratch);
      const Epilogue epilogue{s_.bias ? a.params[1] + first : nullptr, nullptr, floor_};
      pairs_.conv_channels(p.pass, a.scratch, a.packed + first * words_, 0, epilogue,
                           a.y + n * s_.outputs + first);
    }
  }

  void forward(const ForwardArgs&) const override {}    // by tasks
  void backward(const BackwardArgs&) const override {}  // inference alone

 private:
  DenseShape s_;
  const KernelTable& k_;
  const Bfloat16Kernels& pairs_;
  float floor_;
  std::int64_t words_ = 0;
  ConvPassTables weights_;  // where they lie, for pack_pairs
};

}  // namespace

std::unique_ptr<Step> bind_dense_pairs(DenseShape shape, const StepOptions& options) {
  return std::make_unique<DensePairs>(std::move(shape), options);
}

}  // namespace striate
