// The kernels for every other architecture.
#include "kernels/vec_scalar.h"
#define STRIATE_ISA_NAMESPACE scalar
#include "kernels/table-inl.h"

namespace striate::scalar {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("scalar");
}  // namespace striate::scalar
