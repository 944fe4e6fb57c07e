// The kernels for every other architecture.
#define STRIATE_ISA_NAMESPACE scalar
// clang-format off: the vocabulary first
#include "kernels/vec_scalar.h"
#include "kernels/table-inl.h"
// clang-format on

namespace striate::scalar {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("scalar");
}  // namespace striate::scalar
