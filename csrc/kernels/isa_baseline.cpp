// The kernels for any x86-64: SSE2.
#include "kernels/vec_baseline.h"
#define STRIATE_ISA_NAMESPACE baseline
#include "kernels/table-inl.h"

namespace striate::baseline {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("baseline");
}  // namespace striate::baseline
