// The kernels for AVX-512 F, BW, DQ and VL (Skylake-SP, Zen 4 and later).
//
// Channels in lanes also on half vectors: LeNet-5's 6 channels fill 6 of 8 lanes rather than 6 of
// 16, and CPUs that take a 512-bit multiply-add in two halves then do twice as many: one image's
// first layer takes 3.6 us instead of 6.5.
// clang-format off: the vocabulary first
#define STRIATE_ISA_NAMESPACE avx512_narrow
#include "kernels/vec_avx512_narrow.h"
#include "kernels/tiles-inl.h"
#include "kernels/conv_channels-inl.h"
#include "kernels/conv_wgrad_channels-inl.h"
#undef STRIATE_ISA_NAMESPACE

#define STRIATE_ISA_NAMESPACE avx512
#define STRIATE_NARROW_NAMESPACE avx512_narrow
#include "kernels/vec_avx512.h"
#include "kernels/table-inl.h"
// clang-format on

namespace striate::avx512 {
extern const KernelTable kTable;
constexpr KernelTable kTable = make_table("avx512");
}  // namespace striate::avx512
