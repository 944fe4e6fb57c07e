// Inference of few samples, whose convolutions and pools are cut within them, with a residual and a
// ReLU on top: to the bit on integers, on every ISA, and the same as a block at a time.
#include "exact_cases.h"
#include "ops/conv_step.h"
#include "ops/reference.h"

namespace striate::testing {
namespace {

struct FewCase {
  const char* what;
  Conv2DOptions options;
  Shape input;
  bool winograd = false;
};

Conv2DOptions conv_options(std::int64_t filters, Extent kernel, Extent strides = {1, 1},
                           std::int64_t groups = 1) {
  Conv2DOptions o;
  o.filters = filters;
  o.kernel = kernel;
  o.strides = strides;
  o.groups = groups;
  o.padding = Padding::same();
  return o;
}

ConvGeometry geometry_of(const Conv2DOptions& o, const Shape& input) {
  const Window2D w = resolve_window(input, o.kernel, o.strides, o.dilation, o.padding);
  return {input[0],   input[1], input[2],  w.h.out,    w.w.out,    o.filters, o.kernel.h,
          o.kernel.w, o.groups, o.strides, o.dilation, w.h.before, w.w.before};
}

// All samples' y: by tasks where the step has some, else in one go.
std::vector<float> forward(const Op& op, const StepOptions& bind, const std::vector<float>& x,
                           const std::vector<float>* residual,
                           const std::vector<const float*>& params, std::int64_t samples,
                           int* tasks) {
  const auto step = op.bind(bind);
  GuardedBuffer packed(step->packed_size);
  for (int task = 0; task < step->pack_tasks; ++task)
    step->pack({params.data(), false, task, packed.data()});
  GuardedBuffer y(samples * op.output_shape(bind.inputs).size());
  const float* xs[2] = {x.data(), residual ? residual->data() : nullptr};
  ForwardArgs a;
  a.samples = samples;
  a.x = xs;
  a.params = params.data();
  a.packed = packed.data();
  a.y = y.data();
  *tasks = step->forward_tasks;
  for (int task = std::max(1, step->forward_tasks); task-- > 0;) {
    GuardedBuffer scratch(step->forward_tasks ? step->task_scratch_size : step->scratch_size);
    a.scratch = scratch.data();
    step->forward_tasks ? step->forward_task(a, task) : step->forward(a);
    EXPECT_TRUE(scratch.guards_intact());
  }
  EXPECT_TRUE(y.guards_intact() && packed.guards_intact());
  return std::vector<float>(y.data(), y.data() + y.size());
}

const std::vector<FewCase>& cases() {
  static const std::vector<FewCase> all = {
      {"rows, padded", conv_options(40, {3, 3}), {50, 46, 20}},
      {"rows, strided", conv_options(64, {5, 3}, {2, 2}), {61, 57, 24}},
      {"rows of groups", conv_options(48, {3, 3}, {1, 1}, 3), {50, 50, 48}},
      {"rows, 1x1", conv_options(35, {1, 1}), {60, 60, 64}},
      {"outputs first", conv_options(530, {1, 1}), {7, 7, 400}},
      {"outputs and rows", conv_options(70, {3, 3}), {9, 9, 600}},
      {"tiles", conv_options(40, {3, 3}), {50, 46, 24}, true},
      {"tiles and panels", conv_options(200, {3, 3}), {30, 30, 40}, true},
      {"panels", conv_options(300, {3, 3}), {14, 14, 80}, true}};
  return all;
}

TEST(OpsFewSamples, ConvolutionsAreCutWithinASample) {
  CaseRandom r(81000);
  for (const FewCase& c : cases())
    for (int samples : {1, 3})
      for (bool extras : {false, true}) {
        const OpPtr op = conv2d(c.options);
        const ConvGeometry g = geometry_of(c.options, c.input);
        const auto density = std::min(1.0, 4000.0 / static_cast<double>(9 * g.c));
        const std::vector<float> x = r.integers(samples * c.input.size(), c.winograd ? 0.02 : 1.0);
        std::vector<float> w = r.integers(g.kh * g.kw * g.group_in() * g.oc, density);
        if (c.winograd)
          for (float& v : w) v = 576.0f * std::fmod(v, 2.0f);
        const std::vector<float> bias = r.integers(g.oc);
        const std::vector<float> residual = r.integers(samples * g.oh * g.ow * g.oc);
        std::vector<float> want(residual.size());
        reference::conv2d(samples, g, x.data(), w.data(), bias.data(), want.data());
        for (std::size_t i = 0; extras && i < want.size(); ++i)
          want[i] = std::max(0.0f, want[i] + residual[i]);
        for (const KernelTable* t : available_tables())
          for (bool cut : {false, true}) {
            StepOptions bind;
            bind.inputs = {c.input};
            bind.block_samples = samples;
            bind.kernels = t;
            bind.winograd = c.winograd;
            bind.relu = bind.adds = extras;
            bind.cut = cut;
            int tasks;
            const std::vector<float> got = forward(*op, bind, x, extras ? &residual : nullptr,
                                                   {w.data(), bias.data()}, samples, &tasks);
            EXPECT_EQ(first_difference(got, want), "")
                << c.what << ", " << t->isa << ", " << samples << " samples, " << tasks << " tasks";
            if (cut) {
              EXPECT_GT(tasks, 1) << c.what << ", " << t->isa;
            }
          }
        if (HasFailure()) return;
      }
}

TEST(OpsFewSamples, MaxPoolsAreCutByRows) {
  CaseRandom r(82000);
  Pool2DOptions overlapping;
  overlapping.window = {3, 3};
  overlapping.strides = {2, 2};
  overlapping.padding = Padding::all(1);
  Pool2DOptions dense = overlapping;
  dense.strides = {1, 1};
  for (const Pool2DOptions& o : {overlapping, dense})
    for (const KernelTable* t : available_tables()) {
      const OpPtr op = max_pool2d(o);
      StepOptions bind;
      bind.inputs = {{83, 75, 67}};
      bind.block_samples = 2;
      bind.kernels = t;
      const std::vector<float> x = r.integers(2 * bind.inputs[0].size());
      int tasks;
      const std::vector<float> want = forward(*op, bind, x, nullptr, {}, 2, &tasks);
      EXPECT_EQ(tasks, 0);
      bind.cut = true;
      EXPECT_EQ(first_difference(forward(*op, bind, x, nullptr, {}, 2, &tasks), want), "");
      EXPECT_GT(tasks, 1);
    }
}

}  // namespace
}  // namespace striate::testing
