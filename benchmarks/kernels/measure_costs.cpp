// Measures the table of csrc/ops/kernel_costs.cpp and prints it, a row for each ISA at hand.
// Winograd: how long 3x3 convolutions of 28x28 images take on Winograd's points and directly, of 16
// to 256 channels to as many, and the three costs that come nearest to it, by least squares of
// relative errors. Lanes: LeNet-5's layers, forward and backward, a block of 16 samples in lanes
// and one sample with channels in lanes.
//   g++ -std=c++17 -O2 -Icsrc -Icsrc/include benchmarks/kernels/measure_costs.cpp
//       build/csrc/libstriate.a -fopenmp -o /tmp/measure_costs && /tmp/measure_costs
// Behind each row stand the root mean square of the relative errors, and of how many shapes the
// faster way is the one that the costs choose.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "core/storage.h"
#include "ops/conv_step.h"
#include "ops/winograd_conv.h"
#include "ops/winograd_step.h"
#include "thread_time.h"

namespace {

using namespace striate;  // NOLINT: a program of one file

constexpr std::int64_t kSide = 28;
constexpr int kRounds = 15, kLayerRounds = 15, kLayerSteps = 20;

Storage numbers(std::int64_t n) {
  Storage s(n);
  for (std::int64_t i = 0; i < n; ++i) s.data()[i] = static_cast<float>(i % 89) * 0.01f - 0.4f;
  return s;
}

// Seconds of one image, the best of some.
double seconds_of(const KernelTable& table, std::int64_t in, std::int64_t out, bool winograd) {
  const ConvGeometry g{kSide, kSide, in, kSide, kSide, out, 3, 3, 1, {1, 1}, {1, 1}, 1, 1};
  StepOptions bind;
  bind.inputs = {{kSide, kSide, in}};
  bind.kernels = &table;
  const std::unique_ptr<Step> step =
      winograd ? bind_winograd(g, false, bind) : bind_conv(g, false, {}, bind);
  const Storage x = numbers(kSide * kSide * in), w = numbers(9 * in * out);
  Storage y(kSide * kSide * out), packed(step->packed_size), scratch(step->scratch_size);
  const float *xs[1] = {x.data()}, *params[1] = {w.data()};
  for (int task = 0; task < step->pack_tasks; ++task)
    step->pack({params, false, task, packed.data()});
  ForwardArgs a;
  a.samples = 1;
  a.x = xs;
  a.params = params;
  a.packed = packed.data();
  a.scratch = scratch.data();
  a.y = y.data();
  double best = 1e9;
  for (int i = 0; i < kRounds; ++i) {
    const double start = thread_seconds();
    step->forward(a);
    best = std::min(best, thread_seconds() - start);
  }
  return best;
}

struct Shape2 {
  double in, out, winograd, direct;  // seconds
};

using Vector = std::array<double, 3>;

// The costs' factors in a tile's time, in multiply-accumulates.
Vector terms(const Shape2& s) { return {kWinogradPoints * s.in * s.out, s.in, s.out}; }

double dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Least squares of 1 = costs . terms / measured, by the normal equations.
Vector fit(const std::vector<Shape2>& shapes, double tiles, double pixels) {
  double m[3][4] = {};
  for (const Shape2& s : shapes) {
    const double mac = s.direct / (9 * pixels * s.in * s.out);
    const Vector t = terms(s);
    for (int i = 0; i < 3; ++i) {
      const auto at = [&](int k) {
        return t[static_cast<std::size_t>(k)] * tiles * mac / s.winograd;
      };
      for (int j = 0; j < 3; ++j) m[i][j] += at(i) * at(j);
      m[i][3] += at(i);
    }
  }
  for (int i = 0; i < 3; ++i)
    for (int r = 0; r < 3; ++r) {
      if (r == i) continue;
      const double factor = m[r][i] / m[i][i];
      for (int c = 0; c < 4; ++c) m[r][c] -= factor * m[i][c];
    }
  return {m[0][3] / m[0][0], m[1][3] / m[1][1], m[2][3] / m[2][2]};
}

// Seconds of a block through a layer and back, the best of some.
double block_seconds(const KernelTable& table, const Op& op, const Shape& in, Layout layout,
                     bool input_gradient) {
  StepOptions bind;
  bind.inputs = {in};
  bind.layout = layout;
  bind.block_samples = layout == Layout::kSamples ? kLanes : 1;
  bind.kernels = &table;
  bind.training = true;
  const std::unique_ptr<Step> step = op.bind(bind);
  const Shape out = op.output_shape({in});
  const std::int64_t x_floats = block_floats(in, layout, bind.block_samples);
  const std::int64_t y_floats = block_floats(out, layout, bind.block_samples);
  const Storage x = numbers(x_floats), dy = numbers(y_floats);
  Storage dx(x_floats), y(y_floats), saved(step->saved_size), packed(step->packed_size),
      packed_backward(step->packed_backward_size),
      scratch(std::max(step->scratch_size, step->scratch_backward_size));
  std::vector<Storage> values, gradients;
  for (const ParameterSpec& p : op.parameters({in})) {
    values.push_back(numbers(p.shape.size()));
    gradients.push_back(Storage(p.shape.size()));
  }
  const float *xs[1] = {x.data()}, *params[2] = {};
  float *dxs[1] = {input_gradient ? dx.data() : nullptr}, *dparams[2] = {};
  for (std::size_t i = 0; i < values.size(); ++i) {
    params[i] = values[i].data();
    dparams[i] = gradients[i].data();
  }
  for (int task = 0; task < step->pack_tasks; ++task) {
    step->pack({params, false, task, packed.data()});
    step->pack({params, true, task, packed_backward.data()});
  }
  const auto fill = [&](StepArgs* a, const Storage& weights) {
    a->samples = bind.block_samples;
    a->training = a->keep = true;
    a->x = xs;
    a->params = params;
    a->packed = weights.data();
    a->saved = saved.data();
    a->scratch = scratch.data();
  };
  ForwardArgs forward;
  fill(&forward, packed);
  forward.y = y.data();
  BackwardArgs backward;
  fill(&backward, packed_backward);
  backward.y = y.data();
  backward.dy = dy.data();
  backward.dx = dxs;
  backward.dparams = dparams;
  double best = 1e9;
  for (int i = 0; i < kLayerRounds; ++i) {
    const double start = thread_seconds();
    for (int k = 0; k < kLayerSteps; ++k) {
      step->forward(forward);
      step->backward(backward);
    }
    best = std::min(best, (thread_seconds() - start) / kLayerSteps);
  }
  return best;
}

double lanes_cost(const KernelTable& table) {
  const auto conv = [](std::int64_t filters, Padding padding) {
    Conv2DOptions o;
    o.filters = filters;
    o.kernel = {5, 5};
    o.padding = padding;
    return conv2d(o);
  };
  const auto fully = [](std::int64_t units) {
    DenseOptions o;
    o.units = units;
    return dense(o);
  };
  const std::vector<OpPtr> layers = {conv(6, Padding::all(2)),
                                     max_pool2d({}),
                                     conv(16, Padding::all(0)),
                                     max_pool2d({}),
                                     flatten(),
                                     fully(120),
                                     fully(84),
                                     fully(10)};
  double lanes = 0, single = 0;
  Shape shape{28, 28, 1};
  for (std::size_t i = 0; i < layers.size(); ++i) {
    lanes += block_seconds(table, *layers[i], shape, Layout::kSamples, i > 0);
    single += block_seconds(table, *layers[i], shape, Layout::kChannels, i > 0);
    shape = layers[i]->output_shape({shape});
  }
  return lanes / single;
}

void measure(const KernelTable& table) {
  std::vector<Shape2> shapes;
  for (const std::int64_t in : {16, 24, 32, 64, 128, 256})
    for (const std::int64_t out : {16, 24, 32, 64, 128, 256})
      shapes.push_back({static_cast<double>(in), static_cast<double>(out),
                        seconds_of(table, in, out, true), seconds_of(table, in, out, false)});
  const double side = (kSide + kWinogradTile - 1) / kWinogradTile, tiles = side * side;
  const double pixels = kSide * kSide;
  const Vector costs = fit(shapes, tiles, pixels);
  double error = 0;
  int right = 0;
  for (const Shape2& s : shapes) {
    const double guess = tiles * dot(costs, terms(s)), direct = 9 * pixels * s.in * s.out;
    error += std::pow(guess / direct * s.direct / s.winograd - 1, 2);
    right += (guess < direct) == (s.winograd < s.direct);
  }
  std::printf("    {\"%s\", %.2f, %.0f, %.0f, %.1f},  // rms %.0f %%, %d of %d chosen right\n",
              table.isa, costs[0], costs[1], costs[2], lanes_cost(table),
              100 * std::sqrt(error / static_cast<double>(shapes.size())), right,
              static_cast<int>(shapes.size()));
}

}  // namespace

int main() {
  for (int i = kIsaCount; i-- > 0;)
    if (const KernelTable* t = kernel_table(static_cast<Isa>(i))) measure(*t);
  return 0;
}
