#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC 2011). Any element of any stream is computed from its
// coordinates alone, so a result never depends on threads or on the order of calls, and a
// checkpoint stores integers.
#include <array>
#include <cstdint>
#include <vector>

namespace striate {

// Ten rounds on a 128-bit counter with a 64-bit key; checked against Random123's published vectors.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

// What the numbers are for. Two purposes never share a stream.
enum class RandomPurpose : std::uint32_t {
  kInitialize = 1,
  kShuffle = 2,
  kDropout = 3,
  kData = 4,
  kAugment = 5
};

// A stream of numbers addressed by index: key = seed, counter = (index / 4, b, a, purpose).
// For dropout a = layer, b = sample's global number; for initialisation a = parameter, b = 0; for
// shuffling a = epoch, b = 0; for augmentation a = epoch, b = sample, and the index's upper 8 bits
// are the transform's place in its pipeline.
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, RandomPurpose purpose, std::uint32_t a, std::uint32_t b = 0);
  std::uint32_t bits(std::uint32_t index) const;                  // uniform on 32 bits
  std::array<std::uint32_t, 4> bits4(std::uint32_t group) const;  // indices 4*group .. 4*group+3
  float uniform(std::uint32_t index) const;                       // [0, 1), 24 bits
  double normal(std::uint32_t index) const;  // Box-Muller on bits(2*index), bits(2*index+1)

 private:
  std::array<std::uint32_t, 2> key_;
  std::uint32_t purpose_, a_, b_;
};

// What a random transform draws for a batch, [n][count]: `count` numbers a sample, which depend on
// (seed, epoch, place, sample) alone, so a sample's augmentation is the same in any batch. Throws
// ValueError unless place < 256, count <= 2^23 and each sample is in 0 .. 2^32 - 1.
struct AugmentationKey {
  std::uint64_t seed;
  std::uint32_t epoch, place;
};
void augmentation_uniforms(const AugmentationKey& key, const std::int64_t* samples, std::int64_t n,
                           std::int64_t count, float* to);  // [0, 1)
void augmentation_normals(const AugmentationKey& key, const std::int64_t* samples, std::int64_t n,
                          std::int64_t count, float* to);  // mean 0, deviation 1

// A permutation of 0..n-1 (Fisher-Yates; bounded integers by multiply-shift on 32 random bits,
// n < 2^32). The same for a given (seed, epoch) everywhere.
std::vector<std::int64_t> shuffled(std::int64_t n, std::uint64_t seed, std::uint32_t epoch);

}  // namespace striate
