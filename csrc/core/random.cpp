// Philox and what is drawn from it. The standard library's distributions and std::shuffle are not
// used, and neither are libm's log and cos: their results differ between implementations, and a
// seed must mean the same numbers on every machine.
#include "striate/random.h"

#include <cmath>
#include <string>
#include <utility>

#include "striate/error.h"

namespace striate {
namespace {

// 1 / k. Divisions would be most of the time of a normal number.
constexpr double kInverse[] = {0,        1.0,      1.0 / 2,  1.0 / 3,  1.0 / 4,  1.0 / 5,
                               1.0 / 6,  1.0 / 7,  1.0 / 8,  1.0 / 9,  1.0 / 10, 1.0 / 11,
                               1.0 / 12, 1.0 / 13, 1.0 / 14, 1.0 / 15, 1.0 / 16, 1.0 / 17,
                               1.0 / 18, 1.0 / 19, 1.0 / 20, 1.0 / 21};

// ln(x) for finite normal x > 0, within 2 ulp, from operations that IEEE 754 rounds exactly.
double natural_log(double x) {
  int exponent;
  double m = std::frexp(x, &exponent);  // [0.5, 1)
  if (m < 0.70710678118654752) {
    m *= 2;
    --exponent;
  }
  // ln m = 2 atanh(s): s is at most 0.172, so the first term left out, s^23 / 23, is under 2^-62.
  const double s = (m - 1) / (m + 1);
  const double z = s * s;
  double sum = 0;
  for (int k = 21; k >= 3; k -= 2) sum = (sum + kInverse[k]) * z;
  return exponent * 0.69314718055994531 + 2 * (s + s * sum);
}

// cos(2 pi turn / 2^32). The angle is an integer, so folding it into an eighth of a turn is exact.
double cosine_of_turn(std::uint32_t turn) {
  // The nearest quarter and the signed distance x from it; the cosine is then +-cos x or +-sin x.
  const auto quarter = static_cast<int>((std::uint64_t{turn} + 0x20000000) >> 30);  // 0 to 4
  const double x =
      (static_cast<double>(turn) - quarter * 1073741824.0) * (6.283185307179586477 / 4294967296.0);
  const double z = x * x;
  double sine = 1, cosine = 1;  // Taylor, |x| <= pi/4: terms left out are under 2^-56
  for (int k = 16; k >= 2; k -= 2) {
    sine = 1 - z * (kInverse[k] * kInverse[k + 1]) * sine;
    cosine = 1 - z * (kInverse[k - 1] * kInverse[k]) * cosine;
  }
  sine *= x;
  switch (quarter % 4) {
    case 0:
      return cosine;
    case 1:
      return -sine;
    case 2:
      return -cosine;
    default:
      return sine;
  }
}

// Calls draw(stream, numbers of the sample) for each sample.
template <typename Draw>
void for_each_sample(const AugmentationKey& key, const std::int64_t* samples, std::int64_t n,
                     std::int64_t count, float* to, Draw draw) {
  // A normal number takes two words: with 2^23 numbers at most, each place has 2^24 words.
  if (key.place > 255 || count < 0 || count > (std::int64_t{1} << 23))
    throw ValueError(
        "augmentation: a pipeline has at most 256 transforms, each drawing at most "
        "8388608 numbers a sample; got place " +
        std::to_string(key.place) + " and " + std::to_string(count) + " numbers");
  for (std::int64_t i = 0; i < n; ++i) {
    if (samples[i] < 0 || samples[i] > std::int64_t{0xFFFFFFFF})
      throw ValueError("augmentation: samples are numbered 0 to 4294967295, got " +
                       std::to_string(samples[i]));
    const RandomStream stream(key.seed, RandomPurpose::kAugment, key.epoch,
                              static_cast<std::uint32_t>(samples[i]));
    draw(stream, to + i * count);
  }
}

}  // namespace

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57} * counter[2];
    counter = {
        static_cast<std::uint32_t>(p1 >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(p1),
        static_cast<std::uint32_t>(p0 >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(p0)};
    key[0] += 0x9E3779B9;  // the golden ratio and sqrt(3) - 1, as Weyl sequences
    key[1] += 0xBB67AE85;
  }
  return counter;
}

RandomStream::RandomStream(std::uint64_t seed, RandomPurpose purpose, std::uint32_t a,
                           std::uint32_t b)
    : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
      purpose_(static_cast<std::uint32_t>(purpose)),
      a_(a),
      b_(b) {}

std::array<std::uint32_t, 4> RandomStream::bits4(std::uint32_t group) const {
  return philox4x32({group, b_, a_, purpose_}, key_);
}

std::uint32_t RandomStream::bits(std::uint32_t index) const { return bits4(index / 4)[index % 4]; }

float RandomStream::uniform(std::uint32_t index) const {
  return static_cast<float>(bits(index) >> 8) * 0x1p-24f;
}

double RandomStream::normal(std::uint32_t index) const {
  // Both numbers lie in group index / 2, which reaches every index although 2 * index would wrap.
  const std::array<std::uint32_t, 4> four = bits4(index / 2);
  const std::size_t pair = 2 * (index % 2);
  const double u = (four[pair] + 0.5) * 0x1p-32;  // (0, 1): its logarithm is finite
  return std::sqrt(-2 * natural_log(u)) * cosine_of_turn(four[pair + 1]);
}

void augmentation_uniforms(const AugmentationKey& key, const std::int64_t* samples, std::int64_t n,
                           std::int64_t count, float* to) {
  for_each_sample(key, samples, n, count, to, [&](const RandomStream& stream, float* numbers) {
    std::array<std::uint32_t, 4> four{};
    for (std::int64_t k = 0; k < count; ++k) {
      if (k % 4 == 0) four = stream.bits4((key.place << 22) + static_cast<std::uint32_t>(k / 4));
      numbers[k] = static_cast<float>(four[k % 4] >> 8) * 0x1p-24f;
    }
  });
}

void augmentation_normals(const AugmentationKey& key, const std::int64_t* samples, std::int64_t n,
                          std::int64_t count, float* to) {
  for_each_sample(key, samples, n, count, to, [&](const RandomStream& stream, float* numbers) {
    for (std::int64_t k = 0; k < count; ++k)
      numbers[k] =
          static_cast<float>(stream.normal((key.place << 23) + static_cast<std::uint32_t>(k)));
  });
}

std::vector<std::int64_t> shuffled(std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
  if (n < 0 || n > std::int64_t{0xFFFFFFFF})
    throw ValueError("shuffled: n must be 0 to 4294967295, got " + std::to_string(n));
  const RandomStream stream(seed, RandomPurpose::kShuffle, epoch);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n));
  for (std::int64_t i = 0; i < n; ++i) order[i] = i;
  std::array<std::uint32_t, 4> four{};
  for (std::int64_t draw = 0; draw < n - 1; ++draw) {
    if (draw % 4 == 0) four = stream.bits4(static_cast<std::uint32_t>(draw / 4));
    const std::int64_t last = n - 1 - draw;
    const std::uint64_t scaled =
        std::uint64_t{four[draw % 4]} * static_cast<std::uint64_t>(last + 1);
    std::swap(order[last], order[scaled >> 32]);
  }
  return order;
}

}  // namespace striate
