// Chooses the kernel table: from what was compiled in, what the CPU and its OS offer, and
// STRIATE_ISA. The only code that looks at CPUID.
#include "kernels/dispatch.h"

#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/bfloat16.h"
#include "striate/error.h"

namespace striate {

// One table a per-ISA file, and nothing else, crosses from them (the ODR rule, csrc/README.md).
namespace baseline {
extern const KernelTable kTable;
}
namespace avx2 {
extern const KernelTable kTable;
}
namespace avx512 {
extern const KernelTable kTable;
}
namespace avx512_bf16 {
extern const Bfloat16Kernels kTable;
}
namespace neon {
extern const KernelTable kTable;
}
namespace scalar {
extern const KernelTable kTable;
}

const KernelTable* kernel_table(Isa isa) {
#if defined(__x86_64__)
  __builtin_cpu_init();  // may run before the compiler's own constructor has
  switch (isa) {
    case Isa::kBaseline:
      return &baseline::kTable;
    case Isa::kAvx2:
      // __builtin_cpu_supports reads XCR0 too: an OS that does not save ymm counts as without.
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? &avx2::kTable
                                                                             : nullptr;
    case Isa::kAvx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                     __builtin_cpu_supports("fma")
                 ? &avx512::kTable
                 : nullptr;
    default:
      return nullptr;
  }
#elif defined(__aarch64__)
  return isa == Isa::kNeon ? &neon::kTable : nullptr;
#else
  return isa == Isa::kScalar ? &scalar::kTable : nullptr;
#endif
}

const KernelTable& choose_kernels(const char* requested) {
  const KernelTable* best = nullptr;
  std::string names;
  for (int i = 0; i < kIsaCount; ++i) {
    const KernelTable* table = kernel_table(static_cast<Isa>(i));
    if (table == nullptr) continue;
    best = table;
    names += names.empty() ? "" : ", ";
    names += table->isa;
    if (requested != nullptr && std::strcmp(requested, table->isa) == 0) return *table;
  }
  if (requested == nullptr || *requested == '\0') return *best;
  throw ValueError("STRIATE_ISA is \"" + std::string(requested) +
                   "\"; expected one of the levels that this build and this CPU offer: " + names +
                   " (unset it to use the best)");
}

const Bfloat16Kernels* bfloat16_kernels() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool whole = &kernels() == kernel_table(Isa::kAvx512);
  return whole && __builtin_cpu_supports("avx512bf16") ? &avx512_bf16::kTable : nullptr;
#else
  return nullptr;
#endif
}

const KernelTable& kernels() {
  static const KernelTable& chosen = choose_kernels(std::getenv("STRIATE_ISA"));
  return chosen;
}

}  // namespace striate
