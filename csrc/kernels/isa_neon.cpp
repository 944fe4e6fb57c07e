// The kernels for AArch64, whose baseline has NEON and FMA.
#include "kernels/vec_neon.h"
#define STRIATE_ISA_NAMESPACE neon
#include "kernels/table-inl.h"

namespace striate::neon {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("neon");
}  // namespace striate::neon
