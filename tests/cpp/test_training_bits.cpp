// An epoch of a small network ends with the same weights at any number of threads: of a LeNet with
// dropout, of a residual network with batch normalisation, of a wide network.
// Prints lines "weights <isa> <batch> <hash>": .ci/run compares the lines of an OpenMP build with
// those of a std::thread build. (Plain TESTs: its filter "TrainingBits*" would miss a parameterised
// suite.)
#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "striate/network.h"
#include "striate/random.h"
#include "striate/system.h"
#include "striate/threads.h"

namespace striate {
namespace {

constexpr std::int64_t kSamples = 331;  // the last batch is ragged, whatever its size
constexpr std::uint64_t kSeed = 1998;

Network small_lenet() {
  Graph g;
  ValueId v = g.input({12, 12, 1});
  Conv2DOptions c1;
  c1.filters = 6;
  c1.kernel = {3, 3};
  c1.padding = Padding::same();
  v = g.add(activation("tanh"), g.add(conv2d(c1), v, "c1"), "c1_tanh");
  v = g.add(dropout(0.2f), g.add(max_pool2d({}), v, "s2"), "drop2");
  Conv2DOptions c3;
  c3.filters = 16;
  c3.kernel = {3, 3};
  c3.strides = {2, 1};
  v = g.add(activation("gelu"), g.add(conv2d(c3), v, "c3"), "c3_gelu");
  v = g.add(dropout(0.5f), g.add(flatten(), v, "flat"), "drop4");
  DenseOptions f5, f6;
  f5.units = 70;
  f6.units = 10;
  v = g.add(activation("silu"), g.add(dense(f5), v, "f5"), "f5_silu");
  v = g.add(activation("softmax"), g.add(dense(f6), v, "f6"), "softmax");
  return Network(std::move(g), v, kSeed);
}

ValueId conv_norm(Graph* g, ValueId v, const std::string& name, std::int64_t filters) {
  Conv2DOptions c;
  c.filters = filters;
  c.kernel = {3, 3};
  c.padding = Padding::same();
  c.bias = false;
  return g->add(batch_normalization({}), g->add(conv2d(c), v, name), name + "_norm");
}

Network small_resnet() {
  Graph g;
  ValueId v = g.add(activation("relu"), conv_norm(&g, g.input({12, 12, 1}), "c1", 8), "c1_relu");
  for (const std::string name : {"r1", "r2"}) {
    const ValueId a = g.add(activation("relu"), conv_norm(&g, v, name + "a", 8), name + "_relu");
    const ValueId sum = g.add(add(), {conv_norm(&g, a, name + "b", 8), v}, name + "_add");
    v = g.add(activation("relu"), sum, name);
  }
  v = g.add(dropout(0.2f), g.add(global_avg_pool2d(), v, "pool"), "drop");
  DenseOptions f;
  f.units = 10;
  v = g.add(activation("softmax"), g.add(dense(f), v, "f"), "softmax");
  return Network(std::move(g), v, kSeed);
}

// Over 2^21 parameters: weight gradients by slices, dense layers by their weights.
Network wide_network() {
  Graph g;
  ValueId v = g.add(activation("relu"), conv_norm(&g, g.input({12, 12, 1}), "c1", 6), "c1_relu");
  v = g.add(flatten(), g.add(max_pool2d({}), v, "s2"), "flat");
  for (const std::int64_t units : {1500, 1290}) {
    DenseOptions f;
    f.units = units;
    const std::string name = "f" + std::to_string(units);
    v = g.add(activation("relu"), g.add(dense(f), v, name), name + "_relu");
    v = g.add(dropout(0.5f), v, name + "_drop");
  }
  DenseOptions f;
  f.units = 10;
  v = g.add(activation("softmax"), g.add(dense(f), v, "f"), "softmax");
  return Network(std::move(g), v, kSeed);
}

struct Epoch {
  Network (*network)() = small_lenet;
  std::int64_t samples = kSamples;
  std::vector<int> threads = {1, 2, 3, 4};
};

struct Samples {
  std::vector<float> x;
  std::vector<std::int64_t> labels;
};

Samples synthetic_samples() {
  const RandomStream stream(kSeed, RandomPurpose::kData, 0);
  Samples s;
  for (std::int64_t i = 0; i < kSamples * 12 * 12; ++i)
    s.x.push_back(stream.uniform(static_cast<std::uint32_t>(i)) - 0.5f);
  const RandomStream classes(kSeed, RandomPurpose::kData, 1);
  for (std::int64_t i = 0; i < kSamples; ++i)
    s.labels.push_back(classes.bits(static_cast<std::uint32_t>(i)) % 10);
  return s;
}

OptimizerOptions adam() {
  OptimizerOptions o;
  o.kind = OptimizerKind::kAdam;
  o.learning_rate = 0.002;
  return o;
}

// The weights after one epoch, in the order of `shuffled`. Every kernel is regularized where
// `regularized`.
std::uint64_t train_epoch(const Epoch& epoch, const Samples& samples, std::int64_t batch_size,
                          int threads, const OptimizerOptions& optimizer, bool regularized) {
  set_num_threads(threads);
  Network network = epoch.network();
  const std::uint64_t start = network.weights_hash();
  network.compile({}, optimizer);
  for (int i = 0; regularized && i < static_cast<int>(network.parameters().size()); i += 2)
    network.set_regularizer(i, 1e-4, 2e-4);
  const std::vector<std::int64_t> order = shuffled(kSamples, kSeed, 0);
  for (std::int64_t at = 0; at < epoch.samples; at += batch_size) {
    Batch batch;
    batch.inputs[0].x = samples.x.data();
    batch.targets[0].labels = samples.labels.data();
    batch.rows = order.data() + at;
    batch.count = std::min(batch_size, epoch.samples - at);
    network.train_batch(batch);
  }
  if (optimizer.use_ema) network.overwrite_with_average();
  set_num_threads(0);
  EXPECT_NE(network.weights_hash(), start) << "nothing was learned";
  return network.weights_hash();
}

std::uint64_t expect_same_bits(std::int64_t batch_size, const std::string& name,
                               const OptimizerOptions& optimizer, int repeats,
                               bool regularized = false, const Epoch& epoch = {}) {
  const Samples samples = synthetic_samples();
  const std::uint64_t alone = train_epoch(epoch, samples, batch_size, 1, optimizer, regularized);
  for (int repeat = 0; repeat < repeats; ++repeat)
    for (int threads : epoch.threads)
      EXPECT_EQ(train_epoch(epoch, samples, batch_size, threads, optimizer, regularized), alone)
          << threads << " threads";
  std::printf("weights %s %s %016" PRIx64 "\n", isa().c_str(), name.c_str(), alone);
  std::fflush(stdout);
  return alone;
}

void expect_same_bits(std::int64_t batch_size) {
  expect_same_bits(batch_size, "batch-" + std::to_string(batch_size), adam(), 2);
}

// Below 8 samples channels in lanes, from there on samples in lanes.
TEST(TrainingBits, Batch1) { expect_same_bits(1); }
TEST(TrainingBits, Batch5) { expect_same_bits(5); }
TEST(TrainingBits, Batch19) { expect_same_bits(19); }
TEST(TrainingBits, Batch128) { expect_same_bits(128); }
TEST(TrainingBits, Batch300SharesShards) { expect_same_bits(300); }

// Each option changes what is learned, and none lets the threads into it.
TEST(TrainingBits, EveryOption) {
  OptimizerOptions clipnorm = adam(), clipvalue = adam(), global = adam(), average = adam(),
                   accumulation = adam();
  clipnorm.clipnorm = 0.05;
  clipvalue.clipvalue = 0.001;
  global.global_clipnorm = 0.1;
  average.use_ema = true;
  average.ema_momentum = 0.5;
  average.ema_overwrite_frequency = 3;
  accumulation.gradient_accumulation_steps = 3;
  OptimizerOptions rising = average;
  rising.ema_schedule.emplace();
  rising.ema_schedule->kind = ScheduleKind::kLinear;
  rising.ema_schedule->boundaries = {0, 5};
  rising.ema_schedule->values = {0.0, 0.9};
  OptimizerOptions all = global;
  all.use_ema = true;
  all.gradient_accumulation_steps = 2;
  all.weight_decay = 0.01;
  const std::set<std::uint64_t> seen{expect_same_bits(128, "plain", adam(), 1),
                                     expect_same_bits(128, "regularized", adam(), 1, true),
                                     expect_same_bits(128, "clipnorm", clipnorm, 1),
                                     expect_same_bits(128, "clipvalue", clipvalue, 1),
                                     expect_same_bits(128, "global_clipnorm", global, 1),
                                     expect_same_bits(128, "ema", average, 1),
                                     expect_same_bits(128, "rising-ema", rising, 1),
                                     expect_same_bits(128, "accumulation", accumulation, 1),
                                     expect_same_bits(128, "all", all, 1, true)};
  EXPECT_EQ(seen.size(), 9u) << "an option did nothing";
}

// The blocks of a batch meet in every normalisation; 19 and 128 run samples in lanes.
TEST(TrainingBits, ResidualNetwork) {
  const Epoch epoch{small_resnet, 150, {2, 3, 4, 7}};
  expect_same_bits(5, "residual-5", adam(), 1, true, epoch);
  expect_same_bits(19, "residual-19", adam(), 1, false, epoch);
  expect_same_bits(128, "residual-128", adam(), 1, false, epoch);
}

TEST(TrainingBits, WideNetwork) {
  OptimizerOptions momentum;
  momentum.kind = OptimizerKind::kSgd;
  momentum.learning_rate = 0.01;
  momentum.momentum = 0.9;
  const Epoch epoch{wide_network, 40, {2, 3, 4, 7}};
  expect_same_bits(3, "wide-3", momentum, 1, false, {wide_network, 8, {2, 7}});
  expect_same_bits(23, "wide-23", momentum, 1, true, epoch);
}

}  // namespace
}  // namespace striate
