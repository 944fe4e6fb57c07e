// An epoch of a small LeNet with dropout ends with the same weights at any number of threads.
// Prints lines "weights <isa> <batch> <hash>": .ci/run compares the lines of an OpenMP build with
// those of a std::thread build. (Plain TESTs: its filter "TrainingBits*" would miss a parameterised
// suite.)
#include <gtest/gtest.h>

#include <algorithm>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
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

// The weights after one epoch, in the order of `shuffled`.
std::uint64_t train_epoch(const Samples& samples, std::int64_t batch_size, int threads) {
  set_num_threads(threads);
  Network network = small_lenet();
  const std::uint64_t start = network.weights_hash();
  OptimizerOptions adam;
  adam.kind = OptimizerKind::kAdam;
  adam.learning_rate = 0.002;
  network.compile({}, adam);
  const std::vector<std::int64_t> order = shuffled(kSamples, kSeed, 0);
  for (std::int64_t at = 0; at < kSamples; at += batch_size) {
    Batch batch;
    batch.inputs[0].x = samples.x.data();
    batch.targets[0].labels = samples.labels.data();
    batch.rows = order.data() + at;
    batch.count = std::min(batch_size, kSamples - at);
    network.train_batch(batch);
  }
  set_num_threads(0);
  EXPECT_NE(network.weights_hash(), start) << "nothing was learned";
  return network.weights_hash();
}

void expect_same_bits(std::int64_t batch_size) {
  const Samples samples = synthetic_samples();
  const std::uint64_t alone = train_epoch(samples, batch_size, 1);
  for (int repeat = 0; repeat < 2; ++repeat)
    for (int threads : {1, 2, 3, 4})
      EXPECT_EQ(train_epoch(samples, batch_size, threads), alone) << threads << " threads";
  std::printf("weights %s batch-%" PRId64 " %016" PRIx64 "\n", isa().c_str(), batch_size, alone);
  std::fflush(stdout);
}

// Below 8 samples channels in lanes, from there on samples in lanes.
TEST(TrainingBits, Batch1) { expect_same_bits(1); }
TEST(TrainingBits, Batch5) { expect_same_bits(5); }
TEST(TrainingBits, Batch19) { expect_same_bits(19); }
TEST(TrainingBits, Batch128) { expect_same_bits(128); }
TEST(TrainingBits, Batch300SharesShards) { expect_same_bits(300); }

}  // namespace
}  // namespace striate
