#include "striate/system.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "core/parallel.h"
#include "kernels/bfloat16.h"
#include "striate/error.h"

namespace striate {

std::string isa() { return kernels().isa; }

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (int i = 0; i < kIsaCount; ++i)
    if (const KernelTable* t = kernel_table(static_cast<Isa>(i))) names.push_back(t->isa);
  return names;
}

bool has_bfloat16() { return bfloat16_kernels() != nullptr; }

std::string compiler() {
#if defined(__clang__)
  return std::string("clang++ ") + __clang_version__;
#else
  return std::string("g++ ") + __VERSION__;
#endif
}

double measure_fma_peak(int threads) {
  if (threads < 1) throw ValueError("threads must be at least 1");
  const KernelTable& k = kernels();
  double best = 0.0;
  for (int round = 0; round < 5; ++round) {
    std::atomic<std::int64_t> operations{0};
    const auto begin = std::chrono::steady_clock::now();
    parallel_for(threads, threads, [&](std::int64_t) { operations += k.fma_chain(4000000); });
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
    best = std::max(best, static_cast<double>(operations) / took.count() / 1e9);
  }
  return best;
}

}  // namespace striate
