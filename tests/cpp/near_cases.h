#pragma once
// What the tests of rounded results share: real-valued data, and a comparison with doubles.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "exact_cases.h"

namespace striate::testing {

using Doubles = std::vector<double>;

inline std::vector<float> uniform(CaseRandom& r, std::int64_t n, double low, double high) {
  std::vector<float> v;
  for (std::int64_t i = 0; i < n; ++i)
    v.push_back(
        static_cast<float>(low + (high - low) * static_cast<double>(r.next() >> 11) * 0x1p-53));
  return v;
}

// Errors are measured against the largest number of their tensor, or against `magnitude` where sums
// cancel.
inline void expect_near(const std::vector<float>& got, const Doubles& want, double units,
                        const std::string& what, double magnitude = 0.0) {
  ASSERT_EQ(got.size(), want.size()) << what;
  double largest = magnitude, worst = 0.0;
  for (double v : want) largest = std::max(largest, std::fabs(v));
  for (std::size_t i = 0; i < want.size(); ++i) {
    ASSERT_TRUE(std::isfinite(got[i])) << what << " at " << i;
    worst = std::max(worst, std::fabs(got[i] - want[i]));
  }
  EXPECT_LE(worst, units * largest * 0x1p-24)
      << what << ", units of the largest: " << worst / largest * 0x1p24;
}

}  // namespace striate::testing
