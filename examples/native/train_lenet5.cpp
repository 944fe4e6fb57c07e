// LeNet-5 on MNIST from C++ alone: the same graph, recipe and engine as `striate train lenet5`, and
// with the same seed the same weights, bit for bit (.ci/run compares them).
//
//   train_lenet5 FOLDER [SEED] [EPOCHS]
//
// FOLDER holds MNIST's four IDX files, gzipped or not.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "striate/striate.h"

namespace {

constexpr std::int64_t kBatch = 128;

struct Digits {
  std::vector<float> images;         // [N, 28, 28, 1], 0 to 1
  std::vector<std::int64_t> labels;  // [N]
  std::int64_t count() const { return static_cast<std::int64_t>(labels.size()); }
};

striate::IdxArray read_either(const std::string& path) {
  return std::ifstream(path).good() ? striate::read_idx(path) : striate::read_idx(path + ".gz");
}

Digits read_digits(const std::string& folder, const std::string& part) {
  const striate::IdxArray images = read_either(folder + "/" + part + "-images-idx3-ubyte");
  const striate::IdxArray labels = read_either(folder + "/" + part + "-labels-idx1-ubyte");
  if (images.shape.size() != 3 || images.shape[1] != 28 || images.shape[2] != 28 ||
      labels.shape != std::vector<std::int64_t>{images.shape[0]})
    throw striate::ShapeError(folder + ": " + part + " is not [N, 28, 28] images with [N] labels");
  Digits d;
  d.images.reserve(images.bytes.size());
  for (std::uint8_t pixel : images.bytes) d.images.push_back(static_cast<float>(pixel) / 255.0f);
  d.labels.assign(labels.bytes.begin(), labels.bytes.end());
  return d;
}

striate::Network build(std::uint64_t seed) {
  using namespace striate;
  Graph g;
  Conv2DOptions c1;
  c1.filters = 6;
  c1.kernel = {5, 5};
  c1.padding = Padding::same();
  Conv2DOptions c3 = c1;
  c3.filters = 16;
  c3.padding = Padding::valid();
  const auto units = [](std::int64_t n) {
    DenseOptions o;
    o.units = n;
    return o;
  };
  ValueId x = g.input({28, 28, 1});
  x = g.add(conv2d(c1), x, "c1");
  x = g.add(activation("relu"), x, "c1/relu");
  x = g.add(max_pool2d({}), x, "s2");
  x = g.add(conv2d(c3), x, "c3");
  x = g.add(activation("relu"), x, "c3/relu");
  x = g.add(max_pool2d({}), x, "s4");
  x = g.add(flatten(), x, "flatten");
  x = g.add(dense(units(120)), x, "c5");
  x = g.add(activation("relu"), x, "c5/relu");
  x = g.add(dense(units(84)), x, "f6");
  x = g.add(activation("relu"), x, "f6/relu");
  x = g.add(dense(units(10)), x, "output");
  x = g.add(activation("softmax"), x, "output/softmax");
  return Network(std::move(g), x, seed);
}

void compile(striate::Network& net, std::int64_t steps) {
  striate::OptimizerOptions adamw;
  adamw.kind = striate::OptimizerKind::kAdam;
  adamw.weight_decay = 0.1;
  adamw.beta_2 = 0.95;
  striate::Schedule one_cycle;
  one_cycle.kind = striate::ScheduleKind::kOneCycle;
  one_cycle.initial = adamw.learning_rate = 0.008;
  one_cycle.steps = steps;
  one_cycle.rise_fraction = 0.2;
  net.compile({}, adamw);
  net.set_schedule(one_cycle);
}

striate::Batch batch_of(const Digits& d, const std::int64_t* rows, std::int64_t count) {
  striate::Batch b;
  b.inputs[0].x = d.images.data();
  b.targets[0].labels = d.labels.data();
  b.rows = rows;
  b.count = count;
  return b;
}

void run(const std::string& folder, std::uint64_t seed, std::uint32_t epochs) {
  const Digits train = read_digits(folder, "train"), test = read_digits(folder, "t10k");
  striate::Network net = build(seed);
  compile(net, (train.count() + kBatch - 1) / kBatch * epochs);
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint32_t epoch = 0; epoch < epochs; ++epoch) {
    const std::vector<std::int64_t> order = striate::shuffled(train.count(), seed, epoch);
    double loss = 0.0;
    std::int64_t correct = 0;
    for (std::int64_t at = 0; at < train.count(); at += kBatch) {
      const std::int64_t count = std::min(kBatch, train.count() - at);
      const striate::BatchLoss b = net.train_batch(batch_of(train, order.data() + at, count));
      loss += b.loss * static_cast<double>(count);
      correct += b.outputs[0].correct;
    }
    const auto n = static_cast<double>(train.count());
    std::printf("epoch %u: loss %.4f, accuracy %.4f\n", epoch + 1, loss / n,
                static_cast<double>(correct) / n);
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  const striate::BatchLoss result = net.test_batch(batch_of(test, nullptr, test.count()));
  std::printf("%.2f s, %.0f images/s on %d threads (%s)\n", took.count(),
              static_cast<double>(train.count() * epochs) / took.count(), striate::num_threads(),
              striate::isa().c_str());
  std::printf("test accuracy %.4f\n",
              static_cast<double>(result.outputs[0].correct) / static_cast<double>(test.count()));
  std::printf("weights %016llx\n", static_cast<unsigned long long>(net.weights_hash()));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) {
    std::fprintf(stderr, "usage: train_lenet5 FOLDER [SEED] [EPOCHS]\n");
    return 2;
  }
  try {
    run(argv[1], argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 0,
        argc > 3 ? static_cast<std::uint32_t>(std::strtoul(argv[3], nullptr, 10)) : 5);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "train_lenet5: %s\n", e.what());
    return 1;
  }
  return 0;
}
