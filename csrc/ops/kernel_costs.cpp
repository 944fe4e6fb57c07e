#include "ops/kernel_costs.h"

#include <cstring>

namespace striate {
namespace {

// AMD EPYC (Zen 4), g++ 12.2.0, 2026-11-28; NEON's are not measured.
constexpr KernelCosts kCosts[] = {
    {"avx512", 1.02, 276, 371, 9.3},
    {"avx2", 1.11, 241, 394, 7.7},
    {"baseline", 1.08, 131, 268, 10.9},
};

}  // namespace

const KernelCosts& kernel_costs(const KernelTable& kernels) {
  for (const KernelCosts& row : kCosts)
    if (std::strcmp(row.isa, kernels.isa) == 0) return row;
  return kCosts[0];
}

}  // namespace striate
