#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "striate/error.h"
#include "striate/random.h"

namespace striate {
namespace {

// FNV-1a taken over whole numbers.
class Hash {
 public:
  void add(std::uint64_t value) { state_ = (state_ ^ value) * 0x100000001b3; }
  std::uint64_t value() const { return state_; }

 private:
  std::uint64_t state_ = 0xcbf29ce484222325;
};

// Random123's kat_vectors, philox4x32 with 10 rounds.
TEST(Philox, KnownAnswers) {
  using Four = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Four{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t f = 0xffffffff;
  EXPECT_EQ(philox4x32({f, f, f, f}, {f, f}),
            (Four{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Four{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, CoordinatesMakeTheCounterAndTheKey) {
  const RandomStream stream(0x1122334455667788, RandomPurpose::kDropout, 5, 77);
  for (std::uint32_t index : {0u, 1u, 7u, 1000u, 0xffffffffu}) {
    const auto expected = philox4x32({index / 4, 77, 5, 3}, {0x55667788, 0x11223344});
    EXPECT_EQ(stream.bits4(index / 4), expected);
    EXPECT_EQ(stream.bits(index), expected[index % 4]);
  }
}

TEST(RandomStream, EveryCoordinateMatters) {
  std::vector<std::uint32_t> firsts;
  for (std::uint64_t seed : {0ull, 1ull, 1ull << 32})
    for (auto purpose : {RandomPurpose::kInitialize, RandomPurpose::kShuffle,
                         RandomPurpose::kDropout, RandomPurpose::kData, RandomPurpose::kAugment})
      for (std::uint32_t a : {0u, 1u})
        for (std::uint32_t b : {0u, 1u})
          for (std::uint32_t index : {0u, 1u, 4u})
            firsts.push_back(RandomStream(seed, purpose, a, b).bits(index));
  std::sort(firsts.begin(), firsts.end());
  EXPECT_EQ(std::adjacent_find(firsts.begin(), firsts.end()), firsts.end());
}

// The hashes here were computed by a separate NumPy model of the same definitions.
TEST(RandomStream, GoldenBits) {
  const RandomStream stream(0xfeedface12345678, RandomPurpose::kDropout, 5, 77);
  Hash hash;
  for (std::uint32_t i = 0; i < 1000000; ++i) hash.add(stream.bits(i));
  EXPECT_EQ(hash.value(), 0xa802b7667bb0a389u);
}

TEST(RandomStream, UniformIsTheTop24Bits) {
  const RandomStream stream(1, RandomPurpose::kInitialize, 0);
  float largest = 0;
  for (std::uint32_t i = 0; i < 100000; ++i) {
    const float u = stream.uniform(i);
    ASSERT_EQ(static_cast<double>(u), (stream.bits(i) >> 8) / 16777216.0);
    largest = std::max(largest, u);
  }
  EXPECT_LT(largest, 1.0f);
}

// The bounds are 5 standard deviations of chi-square; the numbers are fixed, so this cannot flake.
TEST(RandomStream, UniformFillsItsBucketsEvenly) {
  for (int buckets : {16, 256, 65536}) {
    const RandomStream stream(2024, RandomPurpose::kInitialize, 3);
    std::vector<double> counts(buckets, 0);
    const int draws = 1 << 21;
    for (std::uint32_t i = 0; i < draws; ++i)
      ++counts[static_cast<int>(stream.uniform(i) * static_cast<float>(buckets))];
    const double expected = static_cast<double>(draws) / buckets;
    double chi_square = 0;
    for (double c : counts) chi_square += (c - expected) * (c - expected) / expected;
    EXPECT_NEAR(chi_square, buckets - 1, 5 * std::sqrt(2.0 * (buckets - 1))) << buckets;
  }
}

TEST(RandomStream, NormalIsBoxMuller) {
  const RandomStream stream(42, RandomPurpose::kInitialize, 0);
  // To 50 digits with mpmath, then rounded.
  const double exact[] = {-1.6914357300833565, 0.326128532582812, -1.2423360338994442,
                          -1.7461387833445297, -1.698074245005801};
  for (std::uint32_t i = 0; i < 5; ++i) EXPECT_NEAR(stream.normal(i), exact[i], 1e-15);
  for (std::uint32_t i = 0; i < 200000; ++i) {
    const double u = (stream.bits(2 * i) + 0.5) / 4294967296.0;
    const double turn = stream.bits(2 * i + 1) / 4294967296.0;
    const double libm = std::sqrt(-2 * std::log(u)) * std::cos(2 * std::acos(-1.0) * turn);
    ASSERT_NEAR(stream.normal(i), libm, 4e-15) << i;
  }
}

TEST(RandomStream, NormalMoments) {
  const RandomStream stream(7, RandomPurpose::kInitialize, 1);
  const int n = 1000000;
  double sum = 0, squares = 0, fourths = 0;
  for (std::uint32_t i = 0; i < n; ++i) {
    const double x = stream.normal(i);
    sum += x;
    squares += x * x;
    fourths += x * x * x * x;
  }
  EXPECT_NEAR(sum / n, 0, 5 / std::sqrt(1.0 * n));
  EXPECT_NEAR(squares / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(fourths / n, 3, 5 * std::sqrt(96.0 / n));
}

TEST(RandomStream, NormalReachesTheLastIndex) {
  const RandomStream stream(7, RandomPurpose::kInitialize, 1);
  EXPECT_TRUE(std::isfinite(stream.normal(0xffffffff)));
  EXPECT_NE(stream.normal(0x80000000), stream.normal(0)) << "twice the index must not wrap";
}

// The same on every ISA, compiler and C library: no libm, no contraction.
TEST(RandomStream, GoldenNormals) {
  const RandomStream stream(99, RandomPurpose::kInitialize, 2);
  Hash hash;
  for (std::uint32_t i = 0; i < 1000000; ++i) {
    const double x = stream.normal(i);
    std::uint64_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    hash.add(bits);
  }
  EXPECT_EQ(hash.value(), 0x7afc27c071140f99u);
}

TEST(Augmentation, NumbersAreTheStreamsOfTheSamples) {
  const std::int64_t samples[] = {7, 0xffffffff, 7};
  const AugmentationKey key{42, 3, 2};
  float uniforms[3][5], normals[3][5];
  augmentation_uniforms(key, samples, 3, 5, uniforms[0]);
  augmentation_normals(key, samples, 3, 5, normals[0]);
  for (int i = 0; i < 3; ++i) {
    const RandomStream stream(42, RandomPurpose::kAugment, 3,
                              static_cast<std::uint32_t>(samples[i]));
    for (std::uint32_t k = 0; k < 5; ++k) {
      EXPECT_EQ(uniforms[i][k], stream.uniform((2u << 24) + k));
      EXPECT_EQ(normals[i][k], static_cast<float>(stream.normal((2u << 23) + k)));
    }
  }
}

TEST(Augmentation, RefusesCoordinatesThatWouldWrap) {
  float number;
  const std::int64_t good = 0, negative = -1, large = std::int64_t{1} << 32;
  EXPECT_THROW(augmentation_uniforms({0, 0, 256}, &good, 1, 1, &number), ValueError);
  EXPECT_THROW(augmentation_uniforms({0, 0, 0}, &negative, 1, 1, &number), ValueError);
  EXPECT_THROW(augmentation_normals({0, 0, 0}, &large, 1, 1, &number), ValueError);
  EXPECT_THROW(augmentation_normals({0, 0, 0}, &good, 1, (1 << 23) + 1, &number), ValueError);
  augmentation_uniforms({0, 0, 255}, &good, 1, 1, &number);
}

TEST(Shuffled, IsAPermutation) {
  for (std::int64_t n : {0, 1, 2, 3, 4, 5, 100, 60000}) {
    std::vector<std::int64_t> order = shuffled(n, 5, 0);
    ASSERT_EQ(static_cast<std::int64_t>(order.size()), n);
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(order[i], i);
  }
  EXPECT_THROW(shuffled(-1, 0, 0), ValueError);
  EXPECT_THROW(shuffled(std::int64_t{1} << 32, 0, 0), ValueError);
}

TEST(Shuffled, Golden) {
  EXPECT_EQ(shuffled(10, 1, 0), (std::vector<std::int64_t>{6, 7, 0, 4, 5, 9, 8, 2, 3, 1}));
  Hash hash;
  for (std::int64_t i : shuffled(60000, 0x0123456789abcdef, 3)) hash.add(i);
  EXPECT_EQ(hash.value(), 0x88d91188b3f3a98fu);
}

TEST(Shuffled, EpochAndSeedChangeIt) {
  EXPECT_NE(shuffled(100, 1, 0), shuffled(100, 1, 1));
  EXPECT_NE(shuffled(100, 1, 0), shuffled(100, 2, 0));
}

TEST(Shuffled, EveryOrderIsAsLikely) {
  int counts[6] = {};
  for (std::uint32_t epoch = 0; epoch < 6000; ++epoch) {
    const std::vector<std::int64_t> o = shuffled(3, 11, epoch);
    ++counts[2 * o[0] + (o[1] > o[2])];
  }
  double chi_square = 0;
  for (int c : counts) chi_square += (c - 1000.0) * (c - 1000.0) / 1000;
  EXPECT_LT(chi_square, 5 + 5 * std::sqrt(10.0));
}

}  // namespace
}  // namespace striate
