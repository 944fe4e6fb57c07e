// The kernels for AArch64, whose baseline has NEON and FMA.
#define STRIATE_ISA_NAMESPACE neon
// clang-format off: the vocabulary first
#include "kernels/vec_neon.h"
#include "kernels/table-inl.h"
// clang-format on

namespace striate::neon {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("neon");
}  // namespace striate::neon
