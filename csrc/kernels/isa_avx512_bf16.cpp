// Products of bfloat16 for AVX-512 with AVX512-BF16 (Cooper Lake, Sapphire Rapids, Zen 4 and
// later).
// clang-format off: the vocabulary first
#define STRIATE_ISA_NAMESPACE avx512_bf16
#include "kernels/vec_avx512_bf16.h"
#include "kernels/bfloat16.h"
#include "kernels/tiles-inl.h"
#include "kernels/conv_channels-inl.h"
#include "kernels/wgrad_panels-inl.h"
#include "kernels/bfloat16-inl.h"
// clang-format on

namespace striate::avx512_bf16 {
extern const Bfloat16Kernels kTable;
constexpr Bfloat16Kernels kTable = {"avx512_bf16", pair_channels, pair_rows,
                                    pairs_pack_dy, conv_channels, wgrad_panel};
}  // namespace striate::avx512_bf16
