// The kernels for AVX-512 F, BW, DQ and VL (Skylake-SP, Zen 4 and later).
#include "kernels/vec_avx512.h"
#define STRIATE_ISA_NAMESPACE avx512
#include "kernels/table-inl.h"

namespace striate::avx512 {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("avx512");
}  // namespace striate::avx512
