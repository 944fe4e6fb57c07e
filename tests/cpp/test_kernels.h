#pragma once
// What the kernel tests share: guarded buffers, integer data, and one test run per kernel table.
//
// Integer data in [-32, 32] makes every partial sum exact, so any order of summation, tile and ISA
// must give the same bits (oneDNN's idea); what a kernel may not touch is a NaN.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/kernels.h"

namespace striate::testing {

// A quiet NaN with a payload that no arithmetic makes.
inline float canary() {
  const std::uint32_t bits = 0x7fc5a5a5u;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}
inline bool is_canary(float value) {
  const float expected = canary();
  return std::memcmp(&value, &expected, sizeof value) == 0;
}

// Floats between canaries, filled with canaries, off any vector's alignment.
class Guarded {
 public:
  explicit Guarded(std::int64_t size)
      : size_(size), floats_(static_cast<std::size_t>(size + 2 * kGuard), canary()) {}
  float* data() { return floats_.data() + kGuard; }
  float& operator[](std::int64_t i) { return data()[i]; }
  std::int64_t size() const { return size_; }
  bool intact() const {
    for (std::int64_t i = 0; i < kGuard; ++i) {
      if (!is_canary(floats_[static_cast<std::size_t>(i)])) return false;
      if (!is_canary(floats_[static_cast<std::size_t>(kGuard + size_ + i)])) return false;
    }
    return true;
  }

 private:
  static constexpr std::int64_t kGuard = 33;
  std::int64_t size_;
  std::vector<float> floats_;
};

class Random {
 public:
  explicit Random(std::uint32_t seed) : engine_(seed) {}
  int integer(int low, int high) {
    return low + static_cast<int>(engine_() % static_cast<std::uint32_t>(high - low + 1));
  }
  bool coin() { return (engine_() & 64u) != 0; }
  float value() { return static_cast<float>(integer(-32, 32)); }
  float uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(engine_() >> 8) * 0x1p-24f;
  }
  void fill(Guarded& buffer) {
    for (std::int64_t i = 0; i < buffer.size(); ++i) buffer[i] = value();
  }

 private:
  std::mt19937 engine_;
};

// Bits between two floats of one sign's order; 0 for equal (and for two NaNs).
inline std::int64_t ulps(float a, float b) {
  if (std::isnan(a) || std::isnan(b)) {
    return std::isnan(a) && std::isnan(b) ? 0 : std::numeric_limits<std::int64_t>::max();
  }
  const auto order = [](float f) {
    std::int32_t bits;
    std::memcpy(&bits, &f, sizeof bits);
    return bits < 0 ? -static_cast<std::int64_t>(bits & 0x7fffffff)
                    : static_cast<std::int64_t>(bits);
  };
  const std::int64_t difference = order(a) - order(b);
  return difference < 0 ? -difference : difference;
}

// The levels that this build and this CPU offer; never none.
inline std::vector<Isa> available_isas() {
  std::vector<Isa> isas;
  for (int i = 0; i < kIsaCount; ++i) {
    if (kernel_table(static_cast<Isa>(i)) != nullptr) isas.push_back(static_cast<Isa>(i));
  }
  return isas;
}
inline std::string isa_name(const ::testing::TestParamInfo<Isa>& info) {
  return kernel_table(info.param)->isa;
}

// Every test of a suite derived from this runs once per level.
class KernelTest : public ::testing::TestWithParam<Isa> {
 protected:
  const KernelTable& kernels() const { return *kernel_table(GetParam()); }
};
#define STRIATE_EVERY_ISA(suite) \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, ::testing::ValuesIn(available_isas()), isa_name)

}  // namespace striate::testing
