// GFLOP/s of the convolution and dense kernels, and their share of the machine's multiply-add
// limit on one core (fma_chain, measured between the kernels, since clocks wander):
//   g++ -std=c++17 -O2 -Icsrc -Icsrc/include benchmarks/kernels/bench_conv.cpp
//       build/csrc/libstriate.a -fopenmp -o /tmp/bench_conv && /tmp/bench_conv [isa]
// Samples in lanes counts all 16 samples' operations.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "kernels/dispatch.h"
#include "thread_time.h"

namespace {

using striate::ConvPass;
using striate::KernelTable;
using striate::kLanes;
using striate::Run;

// Seconds a call, over a millisecond of calls.
template <class F>
double time_calls(F body) {
  int calls = 1;
  for (;; calls *= 2) {
    const double start = thread_seconds();
    for (int i = 0; i < calls; ++i) body();
    const double elapsed = thread_seconds() - start;
    if (elapsed > 0.001) return elapsed / calls;
  }
}

// The kernel and the machine's limit are measured in turn, since clocks and neighbours change; of
// both the best counts.
template <class F>
void report(const KernelTable& t, const char* name, double flops, F body) {
  double best = 1e9, most = 0;
  body();
  for (int i = 0; i < 21; ++i) {
    const double limit =
        static_cast<double>(t.fma_chain(1 << 12)) / time_calls([&] { t.fma_chain(1 << 12); });
    const double seconds = time_calls(body);
    most = limit > most ? limit : most;
    best = seconds < best ? seconds : best;
  }
  std::printf("%-9s %-34s %7.1f GFLOP/s  %5.1f %% of %.0f %9.2f us\n", t.isa, name,
              flops / best / 1e9, 100 * flops / best / most, most / 1e9, best * 1e6);
}

std::vector<float> numbers(std::int64_t n) {
  std::vector<float> v(static_cast<std::size_t>(n));
  for (std::size_t i = 0; i < v.size(); ++i) v[i] = static_cast<float>(i % 89) * 0.01f;
  return v;
}
// On a cache line, as the arena lays buffers out.
float* aligned(std::vector<float>& v) {
  return reinterpret_cast<float*>((reinterpret_cast<std::uintptr_t>(v.data()) + 63) / 64 * 64);
}

// x: height x (cols + kernel - 1) x channels, clipped above and below by `clip` rows.
struct Shape {
  const char* name;
  int rows, cols, channels, outputs, kernel, clip;
};

struct Geometry {
  ConvPass pass{};
  std::vector<Run> runs;
  std::vector<std::int32_t> row_runs;
  std::int64_t x_positions, y_positions;
  double flops = 0;

  explicit Geometry(const Shape& s) {
    const int width = s.cols + s.kernel - 1, height = s.rows + s.kernel - 1 - 2 * s.clip;
    for (int kh = 0; kh < s.kernel; ++kh) {
      runs.push_back({static_cast<std::int64_t>(kh - s.clip) * width * s.channels,
                      s.kernel * s.channels, pass.depth});
      pass.depth += s.kernel * s.channels;
    }
    for (int r = 0; r < s.rows; ++r) {
      const int first = r < s.clip ? s.clip - r : 0;
      const int end = r - s.clip + s.kernel > height ? height - r + s.clip : s.kernel;
      row_runs.push_back(first);
      row_runs.push_back(end);
      flops += 2.0 * s.cols * s.outputs * (end - first) * s.kernel * s.channels;
    }
    pass.rows = s.rows;
    pass.cols = s.cols;
    pass.outputs = s.outputs;
    pass.x_col = s.channels;
    pass.x_row = static_cast<std::int64_t>(width) * s.channels;
    pass.y_col = s.outputs;
    pass.y_row = static_cast<std::int64_t>(s.cols) * s.outputs;
    pass.runs = runs.data();
    pass.row_runs = row_runs.data();
    x_positions = height * pass.x_row;
    y_positions = s.rows * pass.y_row;
  }
};

void bench_samples(const KernelTable& t, const Shape& s) {
  Geometry g(s);
  auto xs = numbers(g.x_positions * kLanes + 16), ys = numbers(g.y_positions * kLanes + 16);
  auto w = numbers(static_cast<std::int64_t>(g.pass.depth) * s.outputs), dw = w;
  float *x = aligned(xs), *y = aligned(ys);
  char name[80];
  std::snprintf(name, sizeof name, "samples %s", s.name);
  report(t, name, g.flops * kLanes, [&] { t.conv_samples(g.pass, x, w.data(), nullptr, 0.0f, y); });
  if (std::strstr(s.name, "dgrad") != nullptr || s.cols == 1) return;
  std::snprintf(name, sizeof name, "samples %s wgrad", s.name);
  report(t, name, g.flops * kLanes,
         [&] { t.conv_wgrad_samples(g.pass, x, y, dw.data(), s.outputs, false); });
}

void bench_dense_wgrad(const KernelTable& t, int inputs, int outputs) {
  auto xs = numbers(inputs * kLanes + 16), dys = numbers(outputs * kLanes + 16);
  auto dw = numbers(static_cast<std::int64_t>(inputs) * outputs + 16);
  char name[80];
  std::snprintf(name, sizeof name, "samples dense wgrad %d-%d", inputs, outputs);
  report(t, name, 2.0 * inputs * outputs * kLanes, [&] {
    t.dense_wgrad_samples(inputs, outputs, aligned(xs), aligned(dys), outputs, aligned(dw), false);
  });
}

void bench_channels(const KernelTable& t, const Shape& s, bool plain, bool wgrad) {
  Geometry g(s);
  auto xs = numbers(g.x_positions + 16), ys = numbers(g.y_positions + 16);
  auto w = numbers(static_cast<std::int64_t>(g.pass.depth) * (s.outputs + 16) + 16), dw = w;
  float *x = aligned(xs), *y = aligned(ys);
  char name[80];
  std::snprintf(name, sizeof name, "channels %s%s", s.name, plain ? " plain" : "");
  report(t, name, g.flops, [&] {
    t.conv_channels(g.pass, x, aligned(w), plain ? s.outputs : 0, {nullptr, nullptr, 0.0f}, y);
  });
  if (!wgrad) return;
  std::snprintf(name, sizeof name, "channels %s wgrad", s.name);
  report(t, name, g.flops, [&] {
    t.conv_wgrad_channels(g.pass, 0, s.kernel, 1, x, 0, y, 0, aligned(dw), s.outputs, false);
  });
}

void bench_one_image(const KernelTable& t) {
  const Shape layers[] = {{"conv1", 28, 28, 1, 6, 5, 2},
                          {"conv2", 10, 10, 6, 16, 5, 0},
                          {"dense1", 1, 1, 400, 120, 1, 0},
                          {"dense2", 1, 1, 120, 84, 1, 0},
                          {"dense3", 1, 1, 84, 10, 1, 0}};
  std::vector<Geometry> g;
  std::vector<std::vector<float>> x, w, y;
  double flops = 0;
  for (const Shape& s : layers) {
    g.emplace_back(s);
    flops += g.back().flops;
    x.push_back(numbers(g.back().x_positions));
    y.push_back(numbers(g.back().y_positions));
    w.push_back(numbers(static_cast<std::int64_t>(g.back().pass.depth) * s.outputs));
  }
  report(t, "LeNet-5, one image, conv + dense", flops, [&] {
    for (std::size_t i = 0; i < g.size(); ++i) {
      t.conv_channels(g[i].pass, x[i].data(), w[i].data(), g[i].pass.outputs,
                      {nullptr, nullptr, 0.0f}, y[i].data());
    }
  });
}

void bench(const KernelTable& t) {
  const Shape lenet[] = {{"conv1 28x28x6 5x5x1", 28, 28, 1, 6, 5, 2},
                         {"conv2 10x10x16 5x5x6", 10, 10, 6, 16, 5, 0},
                         {"conv2 dgrad 14x14x6 5x5x16", 14, 14, 16, 6, 5, 4},
                         {"dense 400-120", 1, 1, 400, 120, 1, 0},
                         {"dense 120-84", 1, 1, 120, 84, 1, 0},
                         {"dense 84-10", 1, 1, 84, 10, 1, 0},
                         {"dense dgrad 120-400", 1, 1, 120, 400, 1, 0},
                         {"dense dgrad 84-120", 1, 1, 84, 120, 1, 0},
                         {"dense dgrad 10-84", 1, 1, 10, 84, 1, 0}};
  for (const Shape& s : lenet) bench_samples(t, s);
  bench_dense_wgrad(t, 400, 120);
  bench_dense_wgrad(t, 120, 84);
  bench_dense_wgrad(t, 84, 10);
  for (int i = 0; i < 6; ++i) {
    if (i != 2) bench_channels(t, lenet[i], true, i < 2);
  }
  bench_one_image(t);
  const Shape wide[] = {
      {"56x56 3x3 64-64", 56, 56, 64, 64, 3, 1},      {"28x28 3x3 128-128", 28, 28, 128, 128, 3, 1},
      {"14x14 3x3 256-256", 14, 14, 256, 256, 3, 1},  {"7x7 3x3 512-512", 7, 7, 512, 512, 3, 1},
      {"32x32 3x3 3-32", 32, 32, 3, 32, 3, 1},        {"56x56 1x1 64-256", 56, 56, 64, 256, 1, 0},
      {"14x14 1x1 1024-256", 14, 14, 1024, 256, 1, 0}};
  for (const Shape& s : wide) bench_channels(t, s, false, true);
}

}  // namespace

int main(int argc, char** argv) {
  for (int i = 0; i < striate::kIsaCount; ++i) {
    const KernelTable* t = striate::kernel_table(static_cast<striate::Isa>(i));
    if (t != nullptr && (argc < 2 || std::strcmp(argv[1], t->isa) == 0)) bench(*t);
  }
  return 0;
}
