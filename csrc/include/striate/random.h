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
enum class RandomPurpose : std::uint32_t { kInitialize = 1, kShuffle = 2, kDropout = 3, kData = 4 };

// A stream of numbers addressed by index: key = seed, counter = (index / 4, b, a, purpose).
// For dropout a = layer, b = sample's global number; for initialisation a = parameter, b = 0; for
// shuffling a = epoch, b = 0.
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

// A permutation of 0..n-1 (Fisher-Yates; bounded integers by multiply-shift on 32 random bits,
// n < 2^32). The same for a given (seed, epoch) everywhere.
std::vector<std::int64_t> shuffled(std::int64_t n, std::uint64_t seed, std::uint32_t epoch);

}  // namespace striate
