// The kernels for any x86-64: SSE2.
#define STRIATE_ISA_NAMESPACE baseline
// clang-format off: the vocabulary first
#include "kernels/vec_baseline.h"
#include "kernels/table-inl.h"
// clang-format on

namespace striate::baseline {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("baseline");
}  // namespace striate::baseline
