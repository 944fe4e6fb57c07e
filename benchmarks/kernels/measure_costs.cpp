// Measures the table of csrc/ops/kernel_costs.cpp and prints it, a row for each ISA at hand: how
// long 3x3 convolutions of 28x28 images take on Winograd's points and directly, of 16 to 256
// channels to as many, and the three costs that come nearest to it, by least squares of relative
// errors.
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
constexpr int kRounds = 15;

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
  std::printf("    {\"%s\", %.2f, %.0f, %.0f},  // rms %.0f %%, %d of %d chosen right\n", table.isa,
              costs[0], costs[1], costs[2],
              100 * std::sqrt(error / static_cast<double>(shapes.size())), right,
              static_cast<int>(shapes.size()));
}

}  // namespace

int main() {
  for (int i = kIsaCount; i-- > 0;)
    if (const KernelTable* t = kernel_table(static_cast<Isa>(i))) measure(*t);
  return 0;
}
