// Operations that merge, move and resize, against the reference and to the bit, on integer data:
// both layouts, every ISA at hand, first and second order.
#include "ops/geometry.h"
#include "ops/reference.h"
#include "ops/reference_spatial.h"
#include "step_bench.h"
#include "striate/error.h"

namespace striate::testing {
namespace {

using reference::LinearMap;
using Rows = std::vector<float>;

constexpr Layout kLayouts[] = {Layout::kChannels, Layout::kSamples};

void multiply_all(Rows* rows, float factor) {
  for (float& v : *rows) v *= factor;
}

Shape random_image(CaseRandom& r, std::int64_t most = 9) {
  return {r.between(1, most), r.between(1, most),
          r.between(0, 3) == 0 ? r.between(15, 40) : r.between(1, 8)};
}

// A linear operation in both layouts at every ISA and order, against its map. `factor` on the data
// keeps quotients whole.
void check_linear(const OpPtr& op, const Shape& in, const LinearMap& map, CaseRandom& r,
                  float factor = 1.0f) {
  const Shape out = op->output_shape({in});
  StepCase c{op, in, static_cast<int>(r.between(1, kLanes)), {}, {}, {}};
  c.x = r.integers(c.samples * in.size());
  c.dy = r.integers(c.samples * out.size());
  multiply_all(&c.x, factor);
  const Rows y = reference::apply(map, c.samples, in, out, c.x);
  for (int order : {1, 2}) {
    StepCase s = c;
    multiply_all(&s.dy, order == 2 ? factor * factor : factor);
    const Rows dx = reference::apply_transposed(map, s.samples, in, out, s.dy, order);
    for (const KernelTable* t : available_tables())
      for (Layout layout : kLayouts) {
        const StepResult got = run_step(s, *t, layout, RunOptions{false, order});
        const std::string what = std::string(op->kind()) + " " + t->isa +
                                 (layout == Layout::kSamples ? " samples " : " channels ") +
                                 in.str() + " -> " + out.str() + " n" + std::to_string(s.samples) +
                                 " order " + std::to_string(order);
        ASSERT_EQ(first_difference(got.y, y), "") << "forward, " << what;
        ASSERT_EQ(first_difference(got.dx, dx), "") << "input gradient, " << what;
      }
  }
}

Padding random_sides(CaseRandom& r, std::int64_t most) {
  Padding p{Padding::Kind::kExplicit, 0, 0, 0, 0};
  for (std::int64_t* side : {&p.top, &p.bottom, &p.left, &p.right}) *side = r.between(0, most);
  return p;
}

TEST(OpsExactSpatial, ZeroPaddingAndCropping) {
  for (std::uint64_t seed = 0; seed < 40 && !HasFailure(); ++seed) {
    CaseRandom r(seed);
    const Padding p = random_sides(r, 3);
    const Shape small = random_image(r);
    const Shape large{small[0] + p.top + p.bottom, small[1] + p.left + p.right, small[2]};
    ASSERT_EQ(zero_padding2d(p)->output_shape({small}), large);
    ASSERT_EQ(cropping2d(p)->output_shape({large}), small);
    check_linear(zero_padding2d(p), small, reference::zero_padding2d(small, p), r);
    check_linear(cropping2d(p), large, reference::cropping2d(large, p), r);
  }
}

TEST(OpsExactSpatial, Permute) {
  const std::vector<std::vector<int>> orders = {{0, 1, 2}, {1, 0, 2}, {2, 0, 1},
                                                {2, 1, 0}, {0, 2, 1}, {1, 2, 0}};
  for (std::uint64_t seed = 0; seed < 36 && !HasFailure(); ++seed) {
    CaseRandom r(100 + seed);
    const Shape s = random_image(r);
    check_linear(permute(orders[seed % 6]), s, reference::permute(s, orders[seed % 6]), r);
  }
  CaseRandom r(1);
  check_linear(permute({0}), {7}, reference::permute({7}, {0}), r);
  check_linear(permute({3, 1, 0, 2}), {2, 3, 4, 5}, reference::permute({2, 3, 4, 5}, {3, 1, 0, 2}),
               r);
}

TEST(OpsExactSpatial, UpSampling) {
  for (std::uint64_t seed = 0; seed < 40 && !HasFailure(); ++seed) {
    CaseRandom r(200 + seed);
    const bool bilinear = seed % 2;
    const Shape s = random_image(r, 5);
    // Powers of two have weights that are exact in binary.
    const std::int64_t sizes[] = {1, 2, 4, bilinear ? 2 : 3};
    const Extent size{sizes[r.between(0, 3)], sizes[r.between(0, 3)]};
    check_linear(upsampling2d(size, bilinear ? "bilinear" : "nearest"), s,
                 reference::upsampling2d(s, size, bilinear), r);
  }
}

TEST(OpsExactSpatial, AdaptiveAveragePool) {
  for (std::uint64_t seed = 0; seed < 50 && !HasFailure(); ++seed) {
    CaseRandom r(300 + seed);
    const Extent out{r.between(1, 7), r.between(1, 7)};
    // Windows of at most 4 x 4 pixels, whose number divides 144.
    const Shape s{r.between(1, 3 * out.h), r.between(1, 3 * out.w), random_image(r)[2]};
    check_linear(adaptive_avg_pool2d(out), s, reference::adaptive_avg_pool2d(s, out), r, 144.0f);
  }
}

TEST(OpsExactSpatial, AdaptiveAveragePoolOfADivisorIsAPool) {
  CaseRandom r(5);
  const Shape s{12, 6, 19};
  Pool2DOptions o;
  o.window = o.strides = {3, 2};
  StepCase c{adaptive_avg_pool2d({4, 3}), s, 5, r.integers(5 * s.size()),
             r.integers(5 * 4 * 3 * 19),  {}};
  StepCase pool = c;
  pool.op = avg_pool2d(o);
  for (const KernelTable* t : available_tables())
    for (Layout layout : kLayouts) {
      const StepResult got = run_step(c, *t, layout), want = run_step(pool, *t, layout);
      EXPECT_EQ(first_difference(got.y, want.y), "");
      EXPECT_EQ(first_difference(got.dx, want.dx), "");
    }
}

TEST(OpsExactSpatial, Reshape) {
  CaseRandom r(6);
  const Shape s{3, 4, 5};
  const LinearMap same = [](const reference::Entry& entry) {
    for (std::int64_t f = 0; f < 60; ++f) entry(f, f, 1.0f);
  };
  EXPECT_EQ(reshape({6, -1})->output_shape({s}), (Shape{6, 10}));
  EXPECT_EQ(reshape({-1})->output_shape({s}), Shape{60});
  check_linear(reshape({5, 2, 6}), s, same, r);
  check_linear(reshape({6, -1}), s, same, r);
  check_linear(flatten(), s, same, r);
}

TEST(OpsExactSpatial, Rescaling) {
  for (std::uint64_t seed = 0; seed < 30 && !HasFailure(); ++seed) {
    CaseRandom r(400 + seed);
    const Shape s = seed % 5 == 0 ? Shape{r.between(1, 40)} : random_image(r);
    const std::int64_t channels = s[s.rank() - 1];
    const Rows scale = r.integers(r.between(0, 1) ? channels : 1);
    const Rows offset = r.integers(r.between(0, 1) ? channels : 1);
    const auto of = [&](const Rows& v, std::size_t i) {
      return v[v.size() == 1 ? 0 : i % static_cast<std::size_t>(channels)];
    };
    for (int order : {1, 2}) {
      StepCase c{rescaling(scale, offset), s, static_cast<int>(r.between(1, kLanes)), {}, {}, {}};
      c.x = r.integers(c.samples * s.size());
      c.dy = r.integers(c.samples * s.size());
      Rows y, dx;
      for (std::size_t i = 0; i < c.x.size(); ++i) {
        const float a = of(scale, i);
        y.push_back(c.x[i] * a + of(offset, i));
        dx.push_back(c.dy[i] * (order == 2 ? a * a : a));
      }
      for (const KernelTable* t : available_tables())
        for (Layout layout : kLayouts) {
          const StepResult got = run_step(c, *t, layout, RunOptions{false, order});
          ASSERT_EQ(first_difference(got.y, y), "") << t->isa << " " << s.str();
          ASSERT_EQ(first_difference(got.dx, dx), "") << t->isa << " " << s.str();
        }
    }
  }
}

// ---- ceil_mode

std::int64_t ceil_outputs(std::int64_t in, std::int64_t window, std::int64_t stride,
                          std::int64_t before, std::int64_t after) {
  std::int64_t count = 0;
  for (std::int64_t o = 0; o * stride < in + before; ++o) {
    ++count;
    if (o * stride + window >= in + before + after) break;  // this window reaches the end
  }
  return count;
}

TEST(OpsExactSpatial, CeilModePools) {
  int ragged = 0;
  for (std::uint64_t seed = 0; seed < 300 && !HasFailure(); ++seed) {
    CaseRandom r(500 + seed);
    const bool max = seed % 2;
    Pool2DOptions o;
    o.ceil_mode = true;
    o.count_include_pad = r.between(0, 1);
    o.window = {r.between(1, 4), r.between(1, 4)};
    o.strides = {r.between(1, 4), r.between(1, 4)};
    if (r.between(0, 1)) o.padding = random_sides(r, std::min(o.window.h, o.window.w) - 1);
    const Padding& pad = o.padding;
    const Shape s{o.window.h + r.between(0, 7), o.window.w + r.between(0, 7), random_image(r)[2]};
    const std::int64_t oh = ceil_outputs(s[0], o.window.h, o.strides.h, pad.top, pad.bottom);
    const std::int64_t ow = ceil_outputs(s[1], o.window.w, o.strides.w, pad.left, pad.right);
    const OpPtr op = max ? max_pool2d(o) : avg_pool2d(o);
    ASSERT_EQ(op->output_shape({s}), (Shape{oh, ow, s[2]})) << s.str();
    const auto i32 = [](std::int64_t v) { return static_cast<std::int32_t>(v); };
    StepCase c{op, s, static_cast<int>(r.between(1, kLanes)), {}, {}, {}};
    PoolPass p{i32(c.samples),
               i32(s[2]),
               i32(s[0]),
               i32(s[1]),
               i32(oh),
               i32(ow),
               i32(o.window.h),
               i32(o.window.w),
               i32(o.strides.h),
               i32(o.strides.w),
               i32(pad.top),
               i32(pad.left),
               0,
               i32(pad.bottom),
               i32(pad.right)};
    if (o.count_include_pad) p.divisor = kPaddedPixels;
    ragged += (oh - 1) * o.strides.h + o.window.h > s[0] + pad.top + pad.bottom;
    c.x = r.integers(c.samples * s.size());
    c.dy = r.integers(c.samples * oh * ow * s[2]);
    if (!max) multiply_all(&c.dy, 144.0f);
    Rows y(c.dy.size()), dx(c.x.size());
    if (max) {
      reference::max_pool(p, c.x.data(), y.data());
      reference::max_pool_backward(p, c.x.data(), c.dy.data(), dx.data());
    } else {
      reference::avg_pool(p, c.x.data(), y.data());
      reference::avg_pool_backward(p, c.dy.data(), dx.data());
    }
    for (const KernelTable* t : available_tables())
      for (Layout layout : kLayouts) {
        const StepResult got = run_step(c, *t, layout);
        ASSERT_EQ(first_difference(got.y, y), "") << seed << " " << t->isa << " " << s.str();
        ASSERT_EQ(first_difference(got.dx, dx), "") << seed << " " << t->isa << " " << s.str();
      }
  }
  EXPECT_GT(ragged, 40);
}

TEST(OpsExactSpatial, CeilModeShapes) {
  const auto shape = [](std::int64_t in, std::int64_t window, std::int64_t stride, Padding pad) {
    Pool2DOptions o;
    o.window = {window, window};
    o.strides = {stride, stride};
    o.padding = pad;
    o.ceil_mode = true;
    return max_pool2d(o)->output_shape({{in, in, 1}})[0];
  };
  EXPECT_EQ(shape(112, 3, 2, Padding::valid()), 56);  // GoogLeNet's pools
  EXPECT_EQ(shape(7, 2, 2, Padding::valid()), 4);
  EXPECT_EQ(shape(6, 2, 2, Padding::valid()), 3);
  EXPECT_EQ(shape(1, 2, 2, Padding::valid()), 1);  // the window runs over the edge
  EXPECT_EQ(shape(6, 3, 3, Padding::all(1)), 3);   // (6 + 2 - 3) / 3 rounded up, and one
  EXPECT_EQ(shape(5, 2, 4, Padding::all(1)), 2);   // a third would start in the padding
  EXPECT_EQ(shape(7, 3, 2, Padding::same()), 4);
  EXPECT_THROW(shape(1, 3, 1, Padding::valid()), ShapeError);
}

// ---- merges

OpPtr merge_op(const std::string& kind) {
  return kind == "add"        ? add()
         : kind == "subtract" ? subtract()
         : kind == "multiply" ? multiply()
         : kind == "average"  ? average()
         : kind == "maximum"  ? maximum()
                              : minimum();
}

// Small numbers, so that products stay exact and maxima often tie.
Rows small_integers(CaseRandom& r, std::int64_t n) {
  Rows rows;
  for (std::int64_t i = 0; i < n; ++i) rows.push_back(static_cast<float>(r.between(-4, 4)));
  return rows;
}

void check_merge(const std::string& kind, const std::vector<Shape>& inputs, CaseRandom& r,
                 const std::vector<bool>& wants_dx = {}) {
  MergeCase c{merge_op(kind), inputs, static_cast<int>(r.between(1, kLanes)), {}, {}, {}, wants_dx};
  const Shape out = c.op->output_shape(inputs);
  for (const Shape& s : inputs) c.x.push_back(small_integers(r, c.samples * s.size()));
  c.dy = small_integers(r, c.samples * out.size());
  if (kind == "average") multiply_all(&c.dy, 144.0f);  // and squared: divisible by 2, 3, 4
  const Rows y = reference::merge(kind, c.samples, inputs, out, c.x);
  for (int order : {1, 2}) {
    const auto dx = reference::merge_backward(kind, c.samples, inputs, out, c.x, c.dy, order);
    for (const KernelTable* t : available_tables())
      for (Layout layout : kLayouts) {
        const MergeResult got = run_step(c, *t, layout, {false, order});
        std::string what = kind + " " + t->isa + " n" + std::to_string(c.samples) + " order " +
                           std::to_string(order);
        for (const Shape& s : inputs) what += " " + s.str();
        ASSERT_EQ(first_difference(got.y, y), "") << "forward, " << what;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          if (!wants_dx.empty() && !wants_dx[i]) continue;
          ASSERT_EQ(first_difference(got.dx[i], dx[i]), "") << "gradient " << i << ", " << what;
        }
      }
  }
}

constexpr const char* kMerges[] = {"add", "subtract", "multiply", "average", "maximum", "minimum"};

TEST(OpsExactSpatial, MergesOfEqualShapes) {
  for (std::uint64_t seed = 0; seed < 60 && !HasFailure(); ++seed) {
    CaseRandom r(600 + seed);
    const std::string kind = kMerges[seed % 6];
    const std::int64_t count = kind == "subtract" ? 2 : r.between(2, 4);
    const Shape s = seed % 7 == 0 ? Shape{r.between(1, 50)} : random_image(r);
    check_merge(kind, std::vector<Shape>(static_cast<std::size_t>(count), s), r);
  }
  CaseRandom r(7);
  for (const char* kind : kMerges) check_merge(kind, {{13, 13, 19}, {13, 13, 19}}, r);  // chunks
}

TEST(OpsExactSpatial, MergesThatBroadcast) {
  const std::vector<std::vector<Shape>> cases = {
      {{5, 4, 19}, {1, 1, 19}},                      // squeeze and excite
      {{1, 1, 19}, {5, 4, 19}},                      // the other way round
      {{5, 4, 19}, {19}},                            // of lower rank
      {{5, 4, 3}, {5, 4, 1}},                        // one map for all channels
      {{5, 4, 3}, {5, 1, 1}},                        // one number a row
      {{5, 4, 3}, {1, 4, 3}},                        // one row for all
      {{5, 1, 3}, {1, 4, 3}},                        // both ways at once
      {{5, 1, 1}, {1, 4, 1}},                        //
      {{5, 4, 3}, {1, 1, 1}},                        // one number
      {{1, 1, 1}, {1}},                              // nothing to repeat
      {{12, 9, 11}, {1}},                            // a run longer than a chunk
      {{1, 37, 41}, {1, 1, 1}},                      //
      {{7}, {1}},                                    // vectors
      {{2, 3, 4, 5}, {3, 1, 5}},                     // more axes
      {{5, 4, 3}, {1, 1, 3}, {5, 4, 1}, {1, 4, 3}},  // all at once
      {{5, 4, 3}, {5, 4, 3}, {1, 1, 3}, {1}},
  };
  for (std::size_t i = 0; i < cases.size(); ++i)
    for (const char* kind : kMerges) {
      if (kind == std::string("subtract") && cases[i].size() != 2) continue;
      CaseRandom r(700 + i);
      check_merge(kind, cases[i], r);
      if (HasFailure()) return;
    }
}

TEST(OpsExactSpatial, MergesGiveOnlyTheGradientsAskedFor) {
  CaseRandom r(8);
  for (const char* kind : kMerges) {
    check_merge(kind, {{5, 4, 3}, {1, 1, 3}}, r, {true, false});
    check_merge(kind, {{5, 4, 3}, {1, 1, 3}}, r, {false, true});
    check_merge(kind, {{5, 4, 3}, {5, 4, 3}}, r, {false, true});
  }
}

TEST(OpsExactSpatial, SixtyFourInputs) {
  CaseRandom r(9);
  for (const char* kind : {"add", "maximum", "minimum"})
    check_merge(kind, std::vector<Shape>(64, Shape{3, 2, 5}), r);
  const std::vector<Shape> many(64, Shape{2, 3, 2});
  EXPECT_EQ(concatenate()->output_shape(many), (Shape{2, 3, 128}));
}

TEST(OpsExactSpatial, TheFirstOfEqualMaximaTakesTheGradient) {
  MergeCase c{maximum(), {{3}, {3}, {3}}, 1, {}, {10, 20, 30}, {}, {}};
  c.x = {{5, 1, 2}, {5, 4, 2}, {0, 4, 2}};
  const MergeResult got = run_step(c, *available_tables().back(), Layout::kChannels);
  EXPECT_EQ(got.y, (Rows{5, 4, 2}));
  EXPECT_EQ(got.dx, (std::vector<Rows>{{10, 0, 30}, {0, 20, 0}, {0, 0, 0}}));
}

TEST(OpsExactSpatial, Concatenate) {
  for (std::uint64_t seed = 0; seed < 40 && !HasFailure(); ++seed) {
    CaseRandom r(800 + seed);
    const int axis = static_cast<int>(seed % 3);
    const Shape first = random_image(r);
    MergeCase c{concatenate(seed % 2 ? axis : axis - 3),
                {},
                static_cast<int>(r.between(1, kLanes)),
                {},
                {},
                {},
                {}};
    std::vector<std::int64_t> joined = first.extents();
    joined[static_cast<std::size_t>(axis)] = 0;
    for (std::int64_t i = r.between(2, 5); i-- > 0;) {
      std::vector<std::int64_t> extents = first.extents();
      extents[static_cast<std::size_t>(axis)] = r.between(1, 20);
      joined[static_cast<std::size_t>(axis)] += extents[static_cast<std::size_t>(axis)];
      c.inputs.emplace_back(extents);
      c.x.push_back(r.integers(c.samples * c.inputs.back().size()));
      c.wants_dx.push_back(r.between(0, 3) != 0);
    }
    const Shape out(joined);
    ASSERT_EQ(c.op->output_shape(c.inputs), out);
    c.dy = r.integers(c.samples * out.size());
    Rows y(c.dy.size(), 0.0f);
    for (std::size_t i = 0; i < c.inputs.size(); ++i) {
      const LinearMap map = reference::concatenate(c.inputs, i, axis, out);
      const Rows part = reference::apply(map, c.samples, c.inputs[i], out, c.x[i]);
      for (std::size_t k = 0; k < y.size(); ++k) y[k] += part[k];
    }
    for (const KernelTable* t : available_tables())
      for (Layout layout : kLayouts) {
        const MergeResult got = run_step(c, *t, layout);
        ASSERT_EQ(first_difference(got.y, y), "") << "axis " << axis << " " << out.str();
        for (std::size_t i = 0; i < c.inputs.size(); ++i) {
          if (!c.wants_dx[i]) continue;
          const Rows dx = reference::apply_transposed(
              reference::concatenate(c.inputs, i, axis, out), c.samples, c.inputs[i], out, c.dy);
          ASSERT_EQ(first_difference(got.dx[i], dx), "") << "axis " << axis << " input " << i;
        }
      }
  }
}

// ---- spatial dropout

TEST(OpsExactSpatial, SpatialDropoutDropsWholeMapsAlikeInBothLayouts) {
  CaseRandom r(10);
  const Shape s{4, 3, 37};
  StepCase c{spatial_dropout2d(0.5f),   s, 11, Rows(static_cast<std::size_t>(11 * s.size()), 1.0f),
             r.integers(11 * s.size()), {}};
  const Rows mask = run_step(c, *available_tables().front(), Layout::kChannels).y;
  int dropped = 0;
  for (std::size_t n = 0; n < 11; ++n)
    for (std::size_t k = 0; k < 37; ++k) {
      const float own = mask[n * 12 * 37 + k];
      dropped += own == 0.0f;
      ASSERT_TRUE(own == 0.0f || own == 2.0f);
      for (std::size_t p = 0; p < 12; ++p) ASSERT_EQ(mask[(n * 12 + p) * 37 + k], own);
    }
  EXPECT_GT(dropped, 130);
  EXPECT_LT(dropped, 280);
  for (int order : {1, 2}) {
    Rows dx;
    for (std::size_t i = 0; i < mask.size(); ++i)
      dx.push_back(c.dy[i] * (order == 2 ? mask[i] * mask[i] : mask[i]));
    for (const KernelTable* t : available_tables())
      for (Layout layout : kLayouts) {
        const StepResult got = run_step(c, *t, layout, RunOptions{false, order});
        EXPECT_EQ(first_difference(got.y, mask), "") << t->isa;
        EXPECT_EQ(first_difference(got.dx, dx), "") << t->isa;
      }
  }
}

// ---- what is refused

template <typename E, typename F>
std::string message(F f) {
  try {
    f();
  } catch (const E& e) {
    return e.what();
  }
  return "nothing was thrown";
}

TEST(OpsExactSpatial, ShapesThatDoNotFit) {
  const auto refused = [](const OpPtr& op, const std::vector<Shape>& in) {
    return message<ShapeError>([&] { op->output_shape(in); });
  };
  EXPECT_EQ(refused(add(), {{8, 8, 16}, {8, 8, 32}}),
            "inputs (8, 8, 16) and (8, 8, 32) do not fit together: every extent must be the same, "
            "or 1; a Conv2D with 1x1 kernels gives one of them the other's channels");
  EXPECT_EQ(refused(add(), {{8, 8, 16}, {1, 1, 16}, {7, 8, 16}}),
            "inputs (8, 8, 16) and (7, 8, 16) do not fit together: every extent must be the same, "
            "or 1; do the strides and paddings on the way agree?");
  EXPECT_EQ(refused(add(), {{8}}), "takes 2 to 64 inputs, got 1");
  EXPECT_EQ(refused(add(), std::vector<Shape>(65, Shape{8})), "takes 2 to 64 inputs, got 65");
  EXPECT_EQ(refused(subtract(), {{8}, {8}, {8}}), "takes exactly 2 inputs, got 3");
  EXPECT_EQ(refused(concatenate(), {{8, 8, 2}, {8, 7, 2}}),
            "inputs (8, 8, 2) and (8, 7, 2) do not fit together: they must agree in every axis but "
            "the one they are joined along, 2 of a sample");
  EXPECT_EQ(refused(concatenate(), {{8}, {8, 8, 2}}).substr(0, 38),
            "inputs (8,) and (8, 8, 2) do not fit t");
  EXPECT_EQ(refused(concatenate(3), {{8, 8, 2}, {8, 8, 2}}),
            "input is (8, 8, 2), which has no axis 3");
  EXPECT_EQ(refused(concatenate(), {{8, 8, 2}}), "takes 2 to 64 inputs, got 1");
  EXPECT_EQ(refused(cropping2d({Padding::Kind::kExplicit, 1, 2, 0, 0}), {{3, 8, 2}}),
            "cropping ((1, 2), (0, 0)) leaves nothing of an input of (3, 8, 2)");
  EXPECT_EQ(refused(reshape({4, 5}), {{3, 7}}),
            "input (3, 7) has 21 values a sample, target_shape (4, 5) wants 20");
  EXPECT_EQ(refused(reshape({4, -1}), {{3, 7}}),
            "input (3, 7) has 21 values a sample, target_shape (4, -1) wants a multiple of 4");
  EXPECT_EQ(refused(permute({1, 0}), {{3, 7, 2}}),
            "input is (3, 7, 2), the order (1, 0) is of 2 axes");
  EXPECT_EQ(refused(rescaling({1, 2, 3}), {{4, 4, 2}}),
            "input (4, 4, 2) has 2 channels, scale is of 3: give one number, or one a channel");
  for (const OpPtr& op : {zero_padding2d(Padding::all(1)), upsampling2d({2, 2}, "nearest"),
                          adaptive_avg_pool2d({1, 1}), spatial_dropout2d(0.5f)})
    EXPECT_EQ(refused(op, {{5}}),
              "input is (5,), expected an image (height, width, channels): does it come after "
              "Flatten?");
}

TEST(OpsExactSpatial, OptionsOutOfTheirDomain) {
  const auto refused = [](auto make) { return message<ValueError>(make); };
  EXPECT_EQ(refused([] { zero_padding2d(Padding::same()); }),
            "zero padding takes ((top, bottom), (left, right))");
  EXPECT_EQ(refused([] { cropping2d(Padding::all(-1)); }),
            "padding must be from 0 to 2^20 - 1, got -1");
  EXPECT_EQ(refused([] { upsampling2d({0, 2}); }),
            "upsampling size must be from 1 to 2^20 - 1, got (0, 2)");
  EXPECT_EQ(refused([] { upsampling2d({2, 2}, "cubic"); }),
            "interpolation must be \"nearest\" or \"bilinear\", got \"cubic\"");
  EXPECT_EQ(refused([] { adaptive_avg_pool2d({0, 1}); }),
            "output size must be from 1 to 2^20 - 1, got (0, 1)");
  EXPECT_EQ(refused([] { reshape({-1, 2, -1}); }),
            "target_shape leaves two sizes open: (-1, 2, -1)");
  EXPECT_EQ(refused([] { reshape({2, 0}); }),
            "target_shape is of positive numbers and at most one -1, got (2, 0)");
  EXPECT_EQ(refused([] { permute({0, 2, 2}); }),
            "an order of axes names each of 0 to 2 once, got (0, 2, 2)");
  EXPECT_EQ(refused([] { rescaling({}); }), "rescaling's scale has no number");
  EXPECT_EQ(refused([] { rescaling({1.0f}, {GuardedBuffer::nan()}); }),
            "rescaling's offset must be finite");
  EXPECT_EQ(refused([] { spatial_dropout2d(1.0f); }),
            "dropout rate must be in [0, 1), got 1.000000");
}

}  // namespace
}  // namespace striate::testing
