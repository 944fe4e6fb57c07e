// Shapes of register tiles: how many of `a` and `b` fit, and how a length is cut into tiles.
#include <stdint.h>

#include "kernels/kernels.h"

namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

constexpr int kParts = kLanes / kWidth;  // vectors that hold one position, samples in lanes

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// An a x b tile keeps its sums, the operands of its shorter side, and one of the longer at a time.
constexpr bool tile_fits(int a, int b) { return a * b + (a < b ? a : b) + 1 <= kTileRegisters; }

// A length cut into the fewest tiles of at most `most`, as evenly as can be: 10 as 5+5, not 8+2.
struct Cut {
  int32_t tiles, size, larger;  // the first `larger` tiles are of size + 1
  Cut(int32_t length, int32_t most) {
    tiles = (length + most - 1) / most;
    size = tiles > 0 ? length / tiles : 0;
    larger = length - tiles * size;
  }
};

// The samples-in-lanes tiles: up to 8 x 8 as registers allow.
constexpr int kTileSide = 8;
constexpr int longest_side(int other) {
  int n = kTileSide;
  while (n > 1 && !tile_fits(n, other)) --n;
  return n;
}
struct Sides {
  int of[kTileSide + 1];
};
constexpr Sides longest_sides() {
  Sides s{};
  for (int i = 1; i <= kTileSide; ++i) s.of[i] = longest_side(i);
  return s;
}
constexpr Sides kLongest = longest_sides();

// For an a x b problem, the side along b of the tile that costs least, by a model of two
// multiply-adds and two loads a cycle, a latency of four, and one cycle of loop.
constexpr int tile_cost(int a, int b) {
  int cycles2 = a * b > a + b ? a * b : a + b;
  if (cycles2 < 10) cycles2 = 10;
  // AVX2's 4 x 3, with no register to spare: 83 % of the limit on LeNet-5's first layer, 2 x 6 90
  // %.
  const int crowded = a > b && a * b + b + 1 == kTileRegisters ? 2 : 0;
  return 4 * cycles2 + (a + b) + 8 + crowded;
}
constexpr int problem_cost(int a, int b, int side_b) {
  const int side_a = kLongest.of[side_b];
  const int na = (a + side_a - 1) / side_a, nb = b / side_b, rest = b % side_b;
  const int small = a / na, larger = a % na;
  int cost =
      nb * (larger * tile_cost(small + 1, side_b) + (na - larger) * tile_cost(small, side_b));
  if (rest > 0) {
    const int nr = (a + kLongest.of[rest] - 1) / kLongest.of[rest];
    const int few = a / nr, more = a % nr;
    cost += more * tile_cost(few + 1, rest) + (nr - more) * tile_cost(few, rest);
  }
  return cost;
}

constexpr int kPlanned = 32;  // longer problems are planned like one of 24..31 with the same rest
struct TilePlans {
  uint8_t side_b[kPlanned][kPlanned];
};
constexpr TilePlans plan_tiles() {
  TilePlans plans{};
  for (int a = 1; a < kPlanned; ++a) {
    for (int b = 1; b < kPlanned; ++b) {
      int best = 1, least_cost = problem_cost(a, b, 1);
      for (int side = 2; side <= kTileSide && side <= b; ++side) {
        const int cost = problem_cost(a, b, side);
        if (cost >= least_cost) continue;
        best = side;
        least_cost = cost;
      }
      plans.side_b[a][b] = static_cast<uint8_t>(best);
    }
  }
  return plans;
}
constexpr TilePlans kTilePlans = plan_tiles();

inline int32_t planned_side(int32_t a, int32_t b) {
  if (a >= kPlanned) a = kPlanned - 8 + a % 8;
  if (b >= kPlanned) b = kPlanned - 8 + b % 8;
  return a > 0 && b > 0 ? kTilePlans.side_b[a][b] : 1;
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
