// The kernels for AVX2 and FMA (Haswell, Zen and later).
#include "kernels/vec_avx2.h"
#define STRIATE_ISA_NAMESPACE avx2
#include "kernels/table-inl.h"

namespace striate::avx2 {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("avx2");
}  // namespace striate::avx2
