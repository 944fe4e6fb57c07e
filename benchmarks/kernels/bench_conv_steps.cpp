// Convolution layers of the deep networks as training runs them, on one core: forward, input
// gradient and weight gradient apart, in GFLOP/s and as a share of the machine's multiply-add limit
// (fma_chain, measured between the layers, since clocks wander). Padded copies and the cutting into
// bands and tasks are included, packing is not. Winograd's points count as the sum over taps.
//   g++ -std=c++17 -O2 -Icsrc -Icsrc/include benchmarks/kernels/bench_conv_steps.cpp
//       build/csrc/libstriate.a -fopenmp -o /tmp/bench_conv_steps
//   /tmp/bench_conv_steps [network [isa [batch]]]         isa: also bfloat16
// The last line of a network weighs its layers by how often they occur.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "core/storage.h"
#include "kernels/dispatch.h"
#include "ops/op.h"
#include "thread_time.h"

namespace {

using namespace striate;  // NOLINT: a program of one file

template <class F>
double seconds_of(F body) {
  const double start = thread_seconds();
  body();
  return thread_seconds() - start;
}

struct Layer {
  int side, channels, kernel, stride, outputs, count;
  int padding = -1;  // other than kernel / 2
};

struct NetworkLayers {
  const char* name;
  std::vector<Layer> layers;
};

const std::vector<NetworkLayers>& networks() {
  static const std::vector<NetworkLayers> all = {
      {"resnet50", {{224, 3, 7, 2, 64, 1},    {56, 64, 1, 1, 64, 1},    {56, 64, 3, 1, 64, 3},
                    {56, 64, 1, 1, 256, 4},   {56, 256, 1, 1, 64, 2},   {56, 256, 1, 1, 128, 1},
                    {56, 128, 3, 2, 128, 1},  {28, 128, 1, 1, 512, 4},  {56, 256, 1, 2, 512, 1},
                    {28, 512, 1, 1, 128, 3},  {28, 128, 3, 1, 128, 3},  {28, 512, 1, 1, 256, 1},
                    {28, 256, 3, 2, 256, 1},  {14, 256, 1, 1, 1024, 6}, {28, 512, 1, 2, 1024, 1},
                    {14, 1024, 1, 1, 256, 5}, {14, 256, 3, 1, 256, 5},  {14, 1024, 1, 1, 512, 1},
                    {14, 512, 3, 2, 512, 1},  {7, 512, 1, 1, 2048, 3},  {14, 1024, 1, 2, 2048, 1},
                    {7, 2048, 1, 1, 512, 2},  {7, 512, 3, 1, 512, 2}}},
      {"googlenet", {{224, 3, 7, 2, 64, 1},   {56, 64, 1, 1, 64, 1},   {56, 64, 3, 1, 192, 1},
                     {28, 192, 1, 1, 64, 1},  {28, 192, 1, 1, 96, 1},  {28, 96, 3, 1, 128, 1},
                     {28, 192, 1, 1, 16, 1},  {28, 16, 3, 1, 32, 1},   {28, 192, 1, 1, 32, 1},
                     {28, 256, 1, 1, 128, 2}, {28, 128, 3, 1, 192, 1}, {28, 256, 1, 1, 32, 1},
                     {28, 32, 3, 1, 96, 1},   {28, 256, 1, 1, 64, 1},  {14, 480, 1, 1, 192, 1},
                     {14, 480, 1, 1, 96, 1},  {14, 96, 3, 1, 208, 1},  {14, 480, 1, 1, 16, 1},
                     {14, 16, 3, 1, 48, 1},   {14, 480, 1, 1, 64, 1},  {14, 512, 1, 1, 160, 1},
                     {14, 512, 1, 1, 112, 1}, {14, 112, 3, 1, 224, 1}, {14, 512, 1, 1, 24, 2},
                     {14, 24, 3, 1, 64, 2},   {14, 512, 1, 1, 64, 3},  {14, 512, 1, 1, 128, 2},
                     {14, 128, 3, 1, 256, 1}, {14, 512, 1, 1, 144, 1}, {14, 144, 3, 1, 288, 1},
                     {14, 512, 1, 1, 32, 1},  {14, 32, 3, 1, 64, 1},   {14, 528, 1, 1, 256, 1},
                     {14, 528, 1, 1, 160, 1}, {14, 160, 3, 1, 320, 1}, {14, 528, 1, 1, 32, 1},
                     {14, 32, 3, 1, 128, 1},  {14, 528, 1, 1, 128, 1}, {7, 832, 1, 1, 256, 1},
                     {7, 832, 1, 1, 160, 1},  {7, 160, 3, 1, 320, 1},  {7, 832, 1, 1, 32, 1},
                     {7, 32, 3, 1, 128, 1},   {7, 832, 1, 1, 128, 2},  {7, 832, 1, 1, 384, 1},
                     {7, 832, 1, 1, 192, 1},  {7, 192, 3, 1, 384, 1},  {7, 832, 1, 1, 48, 1},
                     {7, 48, 3, 1, 128, 1}}},
      {"alexnet",
       {{224, 3, 11, 4, 64, 1, 2},
        {27, 64, 5, 1, 192, 1},
        {13, 192, 3, 1, 384, 1},
        {13, 384, 3, 1, 256, 1},
        {13, 256, 3, 1, 256, 1}}},
      {"vgg16",
       {{224, 3, 3, 1, 64, 1},
        {224, 64, 3, 1, 64, 1},
        {112, 64, 3, 1, 128, 1},
        {112, 128, 3, 1, 128, 1},
        {56, 128, 3, 1, 256, 1},
        {56, 256, 3, 1, 256, 2},
        {28, 256, 3, 1, 512, 1},
        {28, 512, 3, 1, 512, 2},
        {14, 512, 3, 1, 512, 3}}}};
  return all;
}

Storage numbers(std::int64_t n) {
  Storage s(n);
  for (std::int64_t i = 0; i < n; ++i) s.data()[i] = static_cast<float>(i % 89) * 0.01f - 0.4f;
  return s;
}

// One layer with everything it runs on.
class Bench {
 public:
  Bench(const Layer& layer, const KernelTable& table, const Bfloat16Kernels* bfloat16,
        std::int64_t batch)
      : batch_(batch), in_{layer.side, layer.side, layer.channels} {
    Conv2DOptions o;
    o.filters = layer.outputs;
    o.kernel = {layer.kernel, layer.kernel};
    o.strides = {layer.stride, layer.stride};
    const std::int64_t pad = layer.padding >= 0 ? layer.padding : layer.kernel / 2;
    o.padding = Padding::all(pad);
    o.bias = false;
    op_ = conv2d(o);
    out_ = op_->output_shape({in_});
    macs_ = static_cast<double>(op_->cost({in_}).macs) * static_cast<double>(batch);
    StepOptions bind;
    bind.inputs = {in_};
    bind.block_samples = static_cast<int>(
        std::clamp<std::int64_t>((1 << 18) / in_.size(), 1, std::min<std::int64_t>(batch, 16)));
    block_ = bind.block_samples;
    bind.kernels = &table;
    bind.wide = true;
    bind.winograd = true;
    bind.bfloat16 = bfloat16;
    bind.keeps_packs = false;
    step_ = op_->bind(bind);
    const Shape kernel = op_->parameters({in_})[0].shape;
    x_ = numbers(batch * in_.size());
    dx_ = numbers(batch * in_.size());
    y_ = numbers(batch * out_.size());
    dy_ = numbers(batch * out_.size());
    w_ = numbers(kernel.size());
    dw_ = numbers(kernel.size());
    packed_ = Storage(step_->packed_size);
    packed_back_ = Storage(step_->packed_backward_size);
    scratch_ = Storage(
        std::max({step_->scratch_size, step_->scratch_backward_size, step_->task_scratch_size}));
    shares_ = Storage(step_->gradient_shares_size);
    params_[0] = w_.data();
    for (int task = 0; task < step_->pack_tasks; ++task) {
      step_->pack({params_, false, task, packed_.data()});
      step_->pack({params_, true, task, packed_back_.data()});
    }
  }

  double flops() const { return 2 * macs_; }

  void forward() const {
    ForwardArgs whole;
    const float* all[1] = {x_.data()};
    fill(&whole, all, batch_, packed_.data());
    whole.y = y_.data();
    for (int task = 0; task < step_->forward_tasks; ++task) step_->forward_task(whole, task);
    if (step_->forward_tasks) return;
    for (std::int64_t n = 0; n < batch_; n += block_) {
      ForwardArgs a;
      const float* x[1] = {x_.data() + n * in_.size()};
      fill(&a, x, std::min(block_, batch_ - n), packed_.data());
      a.y = y_.data() + n * out_.size();
      step_->forward(a);
    }
  }

  void input_gradient() const {
    float* none[2] = {};
    BackwardArgs whole;
    const float* all[1] = {x_.data()};
    float* dx_all[1] = {dx_.data()};
    fill(&whole, all, batch_, packed_back_.data());
    whole.dy = dy_.data();
    whole.dx = dx_all;
    whole.dparams = none;
    for (int task = 0; task < step_->backward_tasks; ++task) step_->backward_task(whole, task);
    if (step_->backward_tasks) return;
    for (std::int64_t n = 0; n < batch_; n += block_) {
      BackwardArgs a;
      const float* x[1] = {x_.data() + n * in_.size()};
      float* dx[1] = {dx_.data() + n * in_.size()};
      fill(&a, x, std::min(block_, batch_ - n), packed_back_.data());
      a.dy = dy_.data() + n * out_.size();
      a.dx = dx;
      a.dparams = none;
      step_->backward(a);
    }
  }

  void weight_gradient() const {
    BackwardArgs a;
    const float* x[1] = {x_.data()};
    float *none[1] = {}, *dparams[1] = {dw_.data()};
    fill(&a, x, batch_, packed_back_.data());
    a.dy = dy_.data();
    a.dx = none;
    a.dparams = dparams;
    a.shares = shares_.data();
    for (int task = 0; task < step_->gradient_tasks; ++task) step_->gradient_task(a, task);
    for (int task = 0; task < step_->gradient_sum_tasks; ++task) step_->gradient_sum(a, task);
  }

 private:
  void fill(StepArgs* a, const float* const* x, std::int64_t samples, const float* packed) const {
    a->samples = samples;
    a->training = a->keep = true;
    a->x = x;
    a->params = params_;
    a->packed = packed;
    a->scratch = scratch_.data();
  }

  std::int64_t batch_, block_ = 1;
  Shape in_, out_;
  double macs_ = 0;
  OpPtr op_;
  std::unique_ptr<Step> step_;
  mutable Storage x_, dx_, y_, dy_, w_, dw_, packed_, packed_back_, scratch_, shares_;
  const float* params_[1];
};

void bench(const NetworkLayers& network, const KernelTable& table, const Bfloat16Kernels* bfloat16,
           std::int64_t batch) {
  constexpr int kRounds = 3;
  double weighted[3] = {}, at_limit = 0;
  std::printf("%s, %s, batch %d%14s%22s%22s\n", network.name, bfloat16 ? "bfloat16" : table.isa,
              static_cast<int>(batch), "forward", "input gradient", "weight gradient");
  for (const Layer& layer : network.layers) {
    const Bench b(layer, table, bfloat16, batch);
    double best[3] = {1e9, 1e9, 1e9}, limit = 0;
    for (int i = 0; i < kRounds; ++i) {
      double flops = 0;
      const double chain = seconds_of([&] {
        for (int k = 0; k < 64; ++k) flops += static_cast<double>(table.fma_chain(1 << 12));
      });
      limit = std::max(limit, flops / chain);
      best[0] = std::min(best[0], seconds_of([&] { b.forward(); }));
      best[1] = std::min(best[1], seconds_of([&] { b.input_gradient(); }));
      best[2] = std::min(best[2], seconds_of([&] { b.weight_gradient(); }));
    }
    std::printf("%4d %4d %dx%d/%d %4d x%d", layer.side, layer.channels, layer.kernel, layer.kernel,
                layer.stride, layer.outputs, layer.count);
    for (int k = 0; k < 3; ++k) {
      std::printf("  %7.1f ms %5.1f %%", 1e3 * best[k], 100 * b.flops() / best[k] / limit);
      weighted[k] += layer.count * best[k];
    }
    at_limit += layer.count * b.flops() / limit;
    std::printf("\n");
    std::fflush(stdout);
  }
  std::printf("all:             ");
  for (const double seconds : weighted)
    std::printf("  %7.1f ms %5.1f %%", 1e3 * seconds, 100 * at_limit / seconds);
  std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
  const char* isa = argc > 2 ? argv[2] : choose_kernels(nullptr).isa;
  const std::int64_t batch = argc > 3 ? std::atoi(argv[3]) : 16;
  const bool pairs = std::strcmp(isa, "bfloat16") == 0 && bfloat16_kernels();
  for (int i = 0; i < kIsaCount; ++i) {
    const KernelTable* t = kernel_table(static_cast<Isa>(i));
    if (!t || std::strcmp(pairs ? "avx512" : isa, t->isa) != 0) continue;
    for (const NetworkLayers& n : networks())
      if (argc < 2 || std::strcmp(argv[1], n.name) == 0)
        bench(n, *t, pairs ? bfloat16_kernels() : nullptr, batch);
  }
  return 0;
}
