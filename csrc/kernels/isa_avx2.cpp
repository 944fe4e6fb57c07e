// The kernels for AVX2 and FMA (Haswell, Zen and later).
#define STRIATE_ISA_NAMESPACE avx2
// clang-format off: the vocabulary first
#include "kernels/vec_avx2.h"
#include "kernels/table-inl.h"
// clang-format on

namespace striate::avx2 {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("avx2");
}  // namespace striate::avx2
