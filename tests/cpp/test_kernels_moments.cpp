// Batch normalisation's kernels: integer data whose means are integers exactly, and statistics of
// numbers far from zero against double.
#include "test_kernels.h"

namespace striate::testing {
namespace {

// An activation in either layout, of which the first `samples` lanes count.
struct Maps {
  int pixels, channels, samples;
  bool lanes;
  Guarded data;
  Maps(int pixels_in, int channels_in, int samples_in, bool lanes_in)
      : pixels(pixels_in),
        channels(channels_in),
        samples(samples_in),
        lanes(lanes_in),
        data(static_cast<std::int64_t>(pixels) * channels * (lanes ? kLanes : samples)) {}
  std::int64_t index(int p, int c, int n) const {
    if (lanes) return (static_cast<std::int64_t>(p) * channels + c) * kLanes + n;
    return (static_cast<std::int64_t>(n) * pixels + p) * channels + c;
  }
  float& at(int p, int c, int n) { return data[index(p, c, n)]; }
  template <typename Visit>
  void each(Visit visit) {
    for (int p = 0; p < pixels; ++p)
      for (int c = 0; c < channels; ++c)
        for (int n = 0; n < samples; ++n) visit(p, c, n);
  }
  // What the lanes without a sample hold.
  void fill_idle(float value) {
    for (int p = 0; lanes && p < pixels; ++p)
      for (int c = 0; c < channels; ++c)
        for (int n = samples; n < kLanes; ++n) at(p, c, n) = value;
  }
  std::string describe() const {
    return std::to_string(pixels) + " pixels, " + std::to_string(channels) + " channels, " +
           std::to_string(samples) + (lanes ? " samples in lanes" : " samples");
  }
};

// A ReLU's mask of one of three kinds: all passes, where y > 0, where an affine map of x is.
class Masked {
 public:
  Masked(Random& random, const Maps& x)
      : kind_(random.integer(0, 2)), y_(x), scale_(x.channels), offset_(x.channels) {
    random.fill(y_.data);
    random.fill(scale_);
    random.fill(offset_);
  }
  ReluMask mask() const {
    if (kind_ == 1) return {y_.data.data(), nullptr, nullptr};
    if (kind_ == 2) return {nullptr, scale_.data(), offset_.data()};
    return {};
  }
  bool passes(Maps& x, int p, int c, int n) const {
    if (kind_ == 1) return y_.at(p, c, n) > 0.0f;
    return kind_ == 0 || scale_[c] * x.at(p, c, n) + offset_[c] > 0.0f;
  }

 private:
  int kind_;
  mutable Maps y_;
  mutable Guarded scale_, offset_;
};

class KernelsMoments : public KernelTest {
 protected:
  void moments(Maps& x, Guarded& mean, Guarded& m2) {
    if (x.lanes)
      kernels().channel_moments_samples(x.pixels, x.channels, x.samples, x.data.data(), mean.data(),
                                        m2.data());
    else
      kernels().channel_moments_channels(static_cast<std::int64_t>(x.pixels) * x.samples,
                                         x.channels, x.data.data(), mean.data(), m2.data());
    ASSERT_TRUE(mean.intact() && m2.intact()) << x.describe();
  }
};
STRIATE_EVERY_ISA(KernelsMoments);

// Counts that are powers of two, up to two chunks of pixels: no mean is rounded.
TEST_P(KernelsMoments, IntegersAreExact) {
  for (int seed = 0; seed < 300; ++seed) {
    Random random(static_cast<std::uint32_t>(seed));
    const bool lanes = random.coin();
    const int samples = 1 << random.integer(0, lanes ? 4 : 3);
    const int pixels = 1 << random.integer(0, lanes ? 6 : 4);
    Maps x(pixels, random.integer(1, 70), samples, lanes);
    const int count = pixels * samples;
    // Deviations that cancel, around an integer mean.
    std::vector<int> means;
    for (int c = 0; c < x.channels; ++c) means.push_back(random.integer(-30, 30));
    std::vector<float> want(static_cast<std::size_t>(x.channels), 0.0f);
    x.each([&](int p, int c, int n) {
      const int i = n * pixels + p;
      const auto size = static_cast<float>(1 + (i / 2 + c) % 13);
      const float deviation = count == 1 ? 0.0f : i % 2 ? -size : size;
      x.at(p, c, n) = static_cast<float>(means[static_cast<std::size_t>(c)]) + deviation;
      want[static_cast<std::size_t>(c)] += deviation * deviation;
    });
    Guarded mean(x.channels), m2(x.channels);
    moments(x, mean, m2);
    for (int c = 0; c < x.channels; ++c) {
      ASSERT_EQ(mean[c], means[static_cast<std::size_t>(c)]) << x.describe() << ", channel " << c;
      ASSERT_EQ(m2[c], want[static_cast<std::size_t>(c)]) << x.describe() << ", channel " << c;
    }
  }
}

// Any count, around a mean that has no digits to lose: 1e4 + k / 16 is exact. (Lanes without a
// sample hold NaN: they must not be read.)
TEST_P(KernelsMoments, FarFromZero) {
  for (const float offset : {0.0f, 1e4f}) {
    for (int seed = 0; seed < 60; ++seed) {
      Random random(static_cast<std::uint32_t>(seed));
      const bool lanes = seed % 2 == 0;
      const int pixels = seed < 6 ? 3000 : random.integer(1, 300);
      Maps x(pixels, random.integer(1, 20), random.integer(1, lanes ? kLanes : 5), lanes);
      const double count = x.pixels * x.samples;
      std::vector<double> sum(static_cast<std::size_t>(x.channels), 0.0), square = sum;
      x.each([&](int p, int c, int n) {
        x.at(p, c, n) = offset + random.value() / 16.0f;
        sum[static_cast<std::size_t>(c)] += x.at(p, c, n);
      });
      x.each([&](int p, int c, int n) {
        const double d = x.at(p, c, n) - sum[static_cast<std::size_t>(c)] / count;
        square[static_cast<std::size_t>(c)] += d * d;
      });
      Guarded mean(x.channels), m2(x.channels);
      moments(x, mean, m2);
      for (int c = 0; c < x.channels; ++c) {
        const double exact = sum[static_cast<std::size_t>(c)] / count;
        // 1e4's last place is 1 / 1024. Channels in lanes merge chunks' means, each time rounded.
        const double merges = lanes ? 0.0 : count / 64.0;
        const double unit = offset == 0.0f ? 5e-7 : std::sqrt(1.0 + merges) / 1023.0;
        ASSERT_LE(std::abs(mean[c] - exact), unit) << x.describe();
        // Of deviations from means that are off by a unit: (d + u)^2 = d^2 + 2du + u^2.
        const double want = square[static_cast<std::size_t>(c)];
        const double slack = unit * std::sqrt(want * count) + unit * unit * count;
        ASSERT_NEAR(m2[c], want, 1e-5 * want + slack) << x.describe();
      }
    }
  }
}

TEST_P(KernelsMoments, GradientSums) {
  for (int seed = 0; seed < 200; ++seed) {
    Random random(static_cast<std::uint32_t>(2000 + seed));
    const bool lanes = random.coin();
    Maps x(random.integer(1, 150), random.integer(1, 70), random.integer(1, lanes ? kLanes : 3),
           lanes);
    Maps dy(x.pixels, x.channels, x.samples, lanes);
    Guarded mean(x.channels), sum(x.channels), dot(x.channels);
    random.fill(mean);
    const Masked mask(random, x);
    std::vector<float> sums(static_cast<std::size_t>(x.channels), 0.0f), dots = sums;
    x.each([&](int p, int c, int n) {
      x.at(p, c, n) = random.value();
      dy.at(p, c, n) = random.value();
      const float g = mask.passes(x, p, c, n) ? dy.at(p, c, n) : 0.0f;
      sums[static_cast<std::size_t>(c)] += g;
      dots[static_cast<std::size_t>(c)] += g * (x.at(p, c, n) - mean[c]);
    });
    x.fill_idle(77.0f);
    dy.fill_idle(0.0f);
    const auto gradient =
        lanes ? kernels().channel_gradient_samples : kernels().channel_gradient_channels;
    gradient(lanes ? x.pixels : static_cast<std::int64_t>(x.pixels) * x.samples, x.channels,
             dy.data.data(), x.data.data(), mean.data(), mask.mask(), sum.data(), dot.data());
    ASSERT_TRUE(sum.intact() && dot.intact());
    for (int c = 0; c < x.channels; ++c) {
      ASSERT_EQ(sum[c], sums[static_cast<std::size_t>(c)]) << x.describe();
      ASSERT_EQ(dot[c], dots[static_cast<std::size_t>(c)]) << x.describe();
    }
  }
}

// dx = a * g + b * x + k, out of place and over dy, and g apart, over dy or not at all; lanes
// without a sample become zero.
TEST_P(KernelsMoments, Affine2) {
  for (int seed = 0; seed < 200; ++seed) {
    Random random(static_cast<std::uint32_t>(3000 + seed));
    const bool lanes = random.coin();
    const int place = random.integer(0, 2);  // nobody, dx or dr is dy
    Maps x(random.integer(1, 40), random.integer(1, 70), random.integer(1, lanes ? kLanes : 3),
           lanes);
    Maps dy(x.pixels, x.channels, x.samples, lanes), dx = dy, dr = dy;
    const Masked mask(random, x);
    Guarded a(x.channels), b(x.channels), k(x.channels);
    for (Guarded* factor : {&a, &b, &k}) random.fill(*factor);
    Maps want = dy, want_dr = dy;
    x.each([&](int p, int c, int n) {
      x.at(p, c, n) = random.value();
      dy.at(p, c, n) = random.value();
      want_dr.at(p, c, n) = mask.passes(x, p, c, n) ? dy.at(p, c, n) : 0.0f;
      want.at(p, c, n) = a[c] * want_dr.at(p, c, n) + b[c] * x.at(p, c, n) + k[c];
    });
    x.fill_idle(77.0f);
    dy.fill_idle(0.0f);
    want.fill_idle(0.0f);
    want_dr.fill_idle(0.0f);
    Maps &to = place == 1 ? dy : dx, &dr_to = place == 2 ? dy : dr;
    const bool wants_dx = place != 2 || random.coin(), wants_dr = place == 2 || random.coin();
    float* const dx_at = wants_dx ? to.data.data() : nullptr;
    float* const dr_at = wants_dr ? dr_to.data.data() : nullptr;
    if (lanes)
      kernels().channel_affine2_samples(x.pixels, x.channels, x.samples, a.data(), b.data(),
                                        k.data(), mask.mask(), dy.data.data(), x.data.data(), dx_at,
                                        dr_at);
    else
      kernels().channel_affine2_channels(static_cast<std::int64_t>(x.pixels) * x.samples,
                                         x.channels, a.data(), b.data(), k.data(), mask.mask(),
                                         dy.data.data(), x.data.data(), dx_at, dr_at);
    ASSERT_TRUE(to.data.intact() && dr_to.data.intact());
    for (std::int64_t i = 0; i < want.data.size(); ++i) {
      if (wants_dx) {
        ASSERT_EQ(to.data[i], want.data[i]) << x.describe() << " at " << i;
      }
      if (wants_dr) {
        ASSERT_EQ(dr_to.data[i], want_dr.data[i]) << x.describe() << " at " << i;
      }
    }
  }
}

}  // namespace
}  // namespace striate::testing
