#pragma once
// What the tests of exact sweeps share: how many cases, their paddings, and how results compare.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "step_bench.h"

namespace striate::testing {

// Seeds a suite runs: an emulated CPU is slow enough to ask for fewer.
inline int case_count(int full) {
  const char* share = std::getenv("STRIATE_TEST_SHARE");
  return share ? std::max(1, full / std::max(1, std::atoi(share))) : full;
}

inline Padding random_padding(CaseRandom& r, std::int64_t most) {
  switch (r.between(0, 2)) {
    case 0:
      return Padding::valid();
    case 1:
      return Padding::same();
    default: {
      Padding p{Padding::Kind::kExplicit, 0, 0, 0, 0};
      for (std::int64_t* side : {&p.top, &p.bottom, &p.left, &p.right}) *side = r.between(0, most);
      return p;
    }
  }
}

inline void expect_same(const StepResult& got, const StepResult& want, const std::string& what) {
  EXPECT_EQ(first_difference(got.y, want.y), "") << "forward, " << what;
  EXPECT_EQ(first_difference(got.dx, want.dx), "") << "input gradient, " << what;
  ASSERT_EQ(got.dparams.size(), want.dparams.size());
  for (std::size_t i = 0; i < got.dparams.size(); ++i)
    EXPECT_EQ(first_difference(got.dparams[i], want.dparams[i]), "")
        << "gradient of parameter " << i << ", " << what;
}

inline void add_one(StepResult* r) {
  for (auto& d : r->dparams)
    for (float& v : d) v += 1.0f;
}

}  // namespace striate::testing
