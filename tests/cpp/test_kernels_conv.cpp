// Convolution and dense kernels of every ISA against four nested loops, over random geometries:
// several runs, clipped rows, negative offsets, strided rows and columns, all tails.
#include "test_kernels.h"

namespace striate::testing {
namespace {

constexpr int kPasses = 400;

// A pass with exactly the memory that it reads and writes; what it may not touch is a NaN.
struct Case {
  ConvPass pass{};
  std::vector<Run> runs;
  std::vector<std::int32_t> row_runs;
  int lanes;
  std::int64_t x_size = 0, x_origin = 0, y_size = 0;

  Case(Random& random, int lanes_in) : lanes(lanes_in) {
    pass.rows = random.integer(1, 5);
    pass.cols = random.coin() ? random.integer(1, 5) : random.integer(1, 45);
    pass.outputs = random.coin() ? random.integer(1, 9) : random.integer(1, 70);
    if (random.integer(0, 7) == 0) {  // a dense layer
      pass.rows = pass.cols = 1;
      pass.outputs = random.integer(1, 130);
    }
    const int taps = random.integer(1, 4), channels = random.integer(1, 9);
    pass.x_col = channels * random.integer(1, 2);
    pass.x_row = random.integer(0, 60);
    pass.y_col = pass.outputs + random.integer(0, 3);
    pass.y_row = pass.cols * pass.y_col + random.integer(0, 5);
    const int count = random.integer(1, 5);
    for (int q = 0; q < count; ++q) {
      // Both runs over (tap, channel), as a stride-1 convolution's, and odd ones.
      const int length = random.coin() ? taps * channels : random.integer(1, 40);
      runs.push_back({random.integer(-50, 200), length, pass.depth});
      pass.depth += length;
    }
    for (int r = 0; r < pass.rows; ++r) {
      const int begin = random.coin() ? 0 : random.integer(0, count);
      row_runs.push_back(begin);
      row_runs.push_back(random.coin() ? count : random.integer(begin, count));
    }
    pass.runs = runs.data();
    pass.row_runs = row_runs.data();
    measure();
  }
  Case(const Case&) = delete;

  template <class Visit>  // visit(row, col, depth, position of x)
  void each_read(Visit visit) const {
    for (int r = 0; r < pass.rows; ++r) {
      for (int c = 0; c < pass.cols; ++c) {
        for (int q = row_runs[2 * r]; q < row_runs[2 * r + 1]; ++q) {
          for (int k = 0; k < runs[q].length; ++k) {
            visit(r, c, runs[q].depth + k, r * pass.x_row + c * pass.x_col + runs[q].x + k);
          }
        }
      }
    }
  }
  void measure() {
    std::int64_t low = std::numeric_limits<std::int64_t>::max(), high = -low;
    each_read([&](int, int, int, std::int64_t at) {
      low = at < low ? at : low;
      high = at > high ? at : high;
    });
    if (low > high) low = high = 0;
    x_origin = -low * lanes;
    x_size = (high - low + 1) * lanes;
    y_size = ((pass.rows - 1) * pass.y_row + (pass.cols - 1) * pass.y_col + pass.outputs) * lanes;
  }
  void fill_x(Random& random, float* x) const {  // x: the origin
    each_read([&](int, int, int, std::int64_t at) {
      for (int n = 0; n < lanes; ++n) x[at * lanes + n] = random.value();
    });
  }
  std::int64_t y_at(int r, int c, int o) const {
    return (r * pass.y_row + c * pass.y_col + o) * lanes;
  }
  // Every written float of y, in order.
  template <class Visit>
  void each_output(Visit visit) const {
    for (int r = 0; r < pass.rows; ++r) {
      for (int c = 0; c < pass.cols; ++c) {
        for (int o = 0; o < pass.outputs; ++o) {
          for (int n = 0; n < lanes; ++n) visit(r, c, o, y_at(r, c, o) + n);
        }
      }
    }
  }
};

// y by the definition in kernels.h; w: [depth][outputs].
std::vector<float> expected_outputs(const Case& c, const float* x, const std::vector<float>& w,
                                    const Epilogue& e) {
  std::vector<float> y(static_cast<std::size_t>(c.y_size), canary());
  c.each_output([&](int, int, int o, std::int64_t at) { y[at] = e.bias ? e.bias[o] : 0.0f; });
  c.each_read([&](int r, int col, int k, std::int64_t at) {
    for (int o = 0; o < c.pass.outputs; ++o) {
      for (int n = 0; n < c.lanes; ++n) {
        y[c.y_at(r, col, o) + n] += x[at * c.lanes + n] * w[k * c.pass.outputs + o];
      }
    }
  });
  c.each_output([&](int, int, int, std::int64_t at) {
    if (e.add) y[at] += e.add[at];
    y[at] = y[at] > e.floor ? y[at] : e.floor;
  });
  return y;
}

void expect_same(const std::vector<float>& expected, Guarded& actual, const std::string& what) {
  ASSERT_TRUE(actual.intact()) << what << ": wrote outside";
  int wrong = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const float got = actual[static_cast<std::int64_t>(i)];
    const bool same = is_canary(expected[i]) ? is_canary(got) : expected[i] == got;
    if (!same && ++wrong <= 3) {
      ADD_FAILURE() << what << ": [" << i << "] is " << got << ", expected " << expected[i];
    }
  }
  ASSERT_EQ(wrong, 0) << what;
}

std::string describe(const Case& c, int seed) {
  return "seed " + std::to_string(seed) + ": " + std::to_string(c.pass.rows) + "x" +
         std::to_string(c.pass.cols) + " pixels, depth " + std::to_string(c.pass.depth) + ", " +
         std::to_string(c.pass.outputs) + " outputs";
}

class KernelsConv : public KernelTest {
 protected:
  // A matrix with its packed form, in every storage order that pack takes.
  void make_weights(Random& random, const Case& c, std::int32_t tile, std::int32_t pad) {
    const int depth = c.pass.depth, outputs = c.pass.outputs;
    w_.resize(static_cast<std::size_t>(depth) * outputs);
    for (float& v : w_) v = random.value();
    const bool transposed = random.coin(), reversed = random.integer(0, 3) == 0;
    const int stride = transposed ? 1 : outputs + random.integer(0, 3);
    const int step = transposed ? depth + random.integer(0, 3) : 1;
    Guarded source((depth - 1) * stride + (outputs - 1) * step + 1);
    std::vector<std::int64_t> offsets;
    for (int k = 0; k < depth; ++k) {
      offsets.push_back(static_cast<std::int64_t>(reversed ? depth - 1 - k : k) * stride);
      for (int o = 0; o < outputs; ++o) source[offsets[k] + o * step] = w_[k * outputs + o];
    }
    const std::int64_t padded = (outputs + pad - 1) / pad * pad;
    packed_ = std::vector<float>();
    Guarded packed(padded * depth);
    kernels().pack(source.data(), offsets.data(), step, outputs, depth, tile, pad, packed.data());
    ASSERT_TRUE(packed.intact());
    for (std::int64_t i = 0; i < packed.size(); ++i) ASSERT_FALSE(is_canary(packed[i]));
    packed_.assign(packed.data(), packed.data() + packed.size());
  }
  void make_bias(Random& random, int outputs) {
    bias_.clear();
    for (int o = 0; o < outputs; ++o) bias_.push_back(random.value());
    y_has_add_ = false;
    const float floors[] = {-std::numeric_limits<float>::infinity(), 0.0f, 7.0f};
    epilogue_ = {random.integer(0, 3) > 0 ? bias_.data() : nullptr, nullptr,
                 floors[random.integer(0, 2)]};
  }
  // Numbers of y's layout on top of the sums, or none; `y` itself takes them in half of the cases.
  void make_add(Random& random, const Case& c, Guarded& y) {
    add_.assign(static_cast<std::size_t>(c.y_size), canary());
    if (random.coin()) return;
    c.each_output([&](int, int, int, std::int64_t at) { add_[at] = random.value(); });
    epilogue_.add = add_.data();
    if (random.coin()) return;
    c.each_output([&](int, int, int, std::int64_t at) { y[at] = add_[at]; });
    in_place_ = epilogue_;
    in_place_.add = y.data();
    y_has_add_ = true;
  }
  const Epilogue& run_with() const { return y_has_add_ ? in_place_ : epilogue_; }
  std::vector<float> w_, packed_, bias_, add_;
  Epilogue epilogue_, in_place_;
  bool y_has_add_ = false;
};
STRIATE_EVERY_ISA(KernelsConv);

TEST_P(KernelsConv, SamplesInLanes) {
  for (int seed = 0; seed < kPasses; ++seed) {
    Random random(seed);
    const Case c(random, kLanes);
    Guarded x(c.x_size), y(c.y_size);
    c.fill_x(random, x.data() + c.x_origin);
    make_weights(random, c, kernels().samples_tile(c.pass.cols, c.pass.outputs), 1);
    make_bias(random, c.pass.outputs);
    kernels().conv_samples(c.pass, x.data() + c.x_origin, packed_.data(), epilogue_.bias,
                           epilogue_.floor, y.data());
    expect_same(expected_outputs(c, x.data() + c.x_origin, w_, epilogue_), y, describe(c, seed));
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelsConv, ChannelsInLanesPacked) {
  for (int seed = 0; seed < kPasses; ++seed) {
    Random random(1000 + seed);
    const Case c(random, 1);
    Guarded x(c.x_size), y(c.y_size);
    c.fill_x(random, x.data() + c.x_origin);
    make_weights(random, c, kernels().channels_tile, kernels().vector_width);
    make_bias(random, c.pass.outputs);
    make_add(random, c, y);
    kernels().conv_channels(c.pass, x.data() + c.x_origin, packed_.data(), 0, run_with(), y.data());
    expect_same(expected_outputs(c, x.data() + c.x_origin, w_, epilogue_), y, describe(c, seed));
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelsConv, ChannelsInLanesPlain) {
  for (int seed = 0; seed < kPasses; ++seed) {
    Random random(2000 + seed);
    const Case c(random, 1);
    Guarded x(c.x_size), y(c.y_size);
    c.fill_x(random, x.data() + c.x_origin);
    make_weights(random, c, kernels().channels_tile, kernels().vector_width);
    make_bias(random, c.pass.outputs);
    const int step = c.pass.outputs + random.integer(0, 2);
    Guarded plain((c.pass.depth - 1) * step + c.pass.outputs);
    for (int k = 0; k < c.pass.depth; ++k) {
      for (int o = 0; o < c.pass.outputs; ++o) plain[k * step + o] = w_[k * c.pass.outputs + o];
    }
    make_add(random, c, y);
    kernels().conv_channels(c.pass, x.data() + c.x_origin, plain.data(), step, run_with(),
                            y.data());
    expect_same(expected_outputs(c, x.data() + c.x_origin, w_, epilogue_), y, describe(c, seed));
    if (HasFatalFailure()) return;
  }
}

// dw by the definition, one image.
void add_expected_gradient(const Case& c, const float* x, float* dy, std::int64_t dw_step,
                           float* dw) {
  c.each_read([&](int r, int col, int k, std::int64_t at) {
    for (int o = 0; o < c.pass.outputs; ++o) {
      for (int n = 0; n < c.lanes; ++n) {
        dw[k * dw_step + o] += x[at * c.lanes + n] * dy[c.y_at(r, col, o) + n];
      }
    }
  });
}

// The start of dw: canaries between rows, old values to add to in them.
struct Gradient {
  std::int64_t step;
  Guarded dw;
  std::vector<float> expected;
  Gradient(Random& random, int depth, int outputs, bool accumulate)
      : step(outputs + random.integer(0, 2)), dw((depth - 1) * step + outputs) {
    expected.assign(static_cast<std::size_t>(dw.size()), canary());
    for (int k = 0; k < depth; ++k) {
      for (int o = 0; o < outputs; ++o) {
        expected[k * step + o] = accumulate ? random.value() : 0.0f;
        if (accumulate) dw[k * step + o] = expected[k * step + o];
      }
    }
  }
};

TEST_P(KernelsConv, WeightGradientSamples) {
  for (int seed = 0; seed < kPasses; ++seed) {
    Random random(3000 + seed);
    const Case c(random, kLanes);
    const bool accumulate = random.coin();
    Guarded x(c.x_size), dy(c.y_size);
    c.fill_x(random, x.data() + c.x_origin);
    c.each_output([&](int, int, int, std::int64_t at) { dy[at] = random.value(); });
    Gradient g(random, c.pass.depth, c.pass.outputs, accumulate);
    add_expected_gradient(c, x.data() + c.x_origin, dy.data(), g.step, g.expected.data());
    kernels().conv_wgrad_samples(c.pass, x.data() + c.x_origin, dy.data(), g.dw.data(), g.step,
                                 accumulate);
    expect_same(g.expected, g.dw, describe(c, seed));
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelsConv, WeightGradientChannels) {
  for (int seed = 0; seed < kPasses; ++seed) {
    Random random(4000 + seed);
    const Case c(random, 1);
    const bool accumulate = random.coin();
    const int images = random.integer(1, 3);
    const std::int64_t x_image = c.x_size + random.integer(0, 4);
    const std::int64_t dy_image = c.y_size + random.integer(0, 4);
    Guarded x(x_image * (images - 1) + c.x_size), dy(dy_image * (images - 1) + c.y_size);
    Gradient g(random, c.pass.depth, c.pass.outputs, accumulate);
    for (int n = 0; n < images; ++n) {
      float* const xn = x.data() + c.x_origin + n * x_image;
      float* const dyn = dy.data() + n * dy_image;
      c.fill_x(random, xn);
      c.each_output([&](int, int, int, std::int64_t at) { dyn[at] = random.value(); });
      add_expected_gradient(c, xn, dyn, g.step, g.expected.data());
    }
    kernels().conv_wgrad_channels(c.pass, 0, static_cast<std::int32_t>(c.runs.size()), images,
                                  x.data() + c.x_origin, x_image, dy.data(), dy_image, g.dw.data(),
                                  g.step, accumulate);
    expect_same(g.expected, g.dw, describe(c, seed));
    if (HasFatalFailure()) return;
  }
}

// Weight rows of some runs at a time: those of the other runs stay as they are.
TEST_P(KernelsConv, WeightGradientChannelsByRuns) {
  for (int seed = 0; seed < kPasses / 2; ++seed) {
    Random random(4500 + seed);
    const Case c(random, 1);
    Guarded x(c.x_size), dy(c.y_size);
    c.fill_x(random, x.data() + c.x_origin);
    c.each_output([&](int, int, int, std::int64_t at) { dy[at] = random.value(); });
    Gradient g(random, c.pass.depth, c.pass.outputs, false);
    add_expected_gradient(c, x.data() + c.x_origin, dy.data(), g.step, g.expected.data());
    const int count = static_cast<int>(c.runs.size()), skipped = random.integer(-1, count - 1);
    for (int begin = 0; begin < count;) {
      int end = random.integer(begin + 1, count);
      if (skipped >= begin && skipped < end) end = skipped == begin ? begin + 1 : skipped;
      if (begin != skipped)
        kernels().conv_wgrad_channels(c.pass, begin, end, 1, x.data() + c.x_origin, 0, dy.data(), 0,
                                      g.dw.data(), g.step, false);
      begin = end;
    }
    for (int k = 0; skipped >= 0 && k < c.runs[skipped].length; ++k)
      for (int o = 0; o < c.pass.outputs; ++o)
        g.expected[(c.runs[skipped].depth + k) * g.step + o] = canary();
    expect_same(g.expected, g.dw, describe(c, seed));
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelsConv, DenseWeightGradientSamples) {
  for (int seed = 0; seed < kPasses; ++seed) {
    Random random(5000 + seed);
    const int inputs = random.integer(1, 50), outputs = random.integer(1, 130);
    const int dy_step = outputs + random.integer(0, 5);
    const bool accumulate = random.coin();
    Guarded x(inputs * kLanes), dy((kLanes - 1) * dy_step + outputs), dw(inputs * outputs);
    random.fill(x);
    for (int n = 0; n < kLanes; ++n) {
      for (int o = 0; o < outputs; ++o) dy[n * dy_step + o] = random.value();
    }
    std::vector<float> expected;
    for (int i = 0; i < inputs; ++i) {
      for (int o = 0; o < outputs; ++o) {
        float sum = accumulate ? random.value() : 0.0f;
        if (accumulate) dw[i * outputs + o] = sum;
        for (int n = 0; n < kLanes; ++n) sum += x[i * kLanes + n] * dy[n * dy_step + o];
        expected.push_back(sum);
      }
    }
    kernels().dense_wgrad_samples(inputs, outputs, x.data(), dy.data(), dy_step, dw.data(),
                                  accumulate);
    expect_same(expected, dw, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

TEST_P(KernelsConv, DotRows) {
  for (int seed = 0; seed < 100; ++seed) {
    Random random(6000 + seed);
    const int rows = random.integer(1, 30), outputs = random.integer(1, 100);
    Guarded w(rows * outputs), v(outputs), y(rows);
    random.fill(w);
    random.fill(v);
    std::vector<float> expected(rows, 0.0f);
    for (int i = 0; i < rows * outputs; ++i) expected[i / outputs] += w[i] * v[i % outputs];
    kernels().dot_rows(rows, outputs, w.data(), v.data(), y.data());
    expect_same(expected, y, "seed " + std::to_string(seed));
    if (HasFatalFailure()) return;
  }
}

// The tile must be the one that the kernel itself will take, whatever the geometry.
TEST_P(KernelsConv, TilesAreNeverWiderThanTheOutputs) {
  for (int cols = 1; cols <= 300; ++cols) {
    for (int outputs = 1; outputs <= 300; ++outputs) {
      const int tile = kernels().samples_tile(cols, outputs);
      ASSERT_GE(tile, 1);
      ASSERT_LE(tile, outputs) << cols << " columns";
    }
  }
  EXPECT_EQ(kernels().channels_tile % kernels().vector_width, 0);
}

// Real-valued data: the same call twice gives the same bits.
TEST_P(KernelsConv, BitsRepeat) {
  Random random(77);
  const Case c(random, kLanes);
  Guarded x(c.x_size), first(c.y_size), second(c.y_size);
  for (std::int64_t i = 0; i < c.x_size; ++i) x[i] = random.uniform(-1, 1);
  make_weights(random, c, kernels().samples_tile(c.pass.cols, c.pass.outputs), 1);
  for (float& w : packed_) w = random.uniform(-1, 1);
  for (Guarded* y : {&first, &second}) {
    kernels().conv_samples(c.pass, x.data() + c.x_origin, packed_.data(), nullptr, 0.0f, y->data());
  }
  EXPECT_EQ(std::memcmp(first.data(), second.data(), sizeof(float) * c.y_size), 0);
}

}  // namespace
}  // namespace striate::testing
