// The last of the per-ISA files: gathers the kernels into the table, the ISA's one symbol.
// In order of use; they include nothing of each other, since isa_avx512.cpp includes some twice.
// clang-format off
#include "kernels/tiles-inl.h"
#include "kernels/conv_channels-inl.h"
#include "kernels/conv_wgrad_channels-inl.h"
#include "kernels/wgrad_panels-inl.h"
#include "kernels/conv_samples-inl.h"
#include "kernels/conv_wgrad_samples-inl.h"
#include "kernels/pack-inl.h"
#include "kernels/winograd-inl.h"
#include "kernels/elementwise-inl.h"
#include "kernels/dense-inl.h"
#include "kernels/moments-inl.h"
#include "kernels/exp-inl.h"
#include "kernels/activation-inl.h"
#include "kernels/softmax-inl.h"
#include "kernels/pool-inl.h"
#include "kernels/layout-inl.h"
#include "kernels/optimizer-inl.h"
#include "kernels/power-inl.h"
#include "kernels/response_norm-inl.h"
#include "kernels/normalize-inl.h"
#include "kernels/depthwise-inl.h"
#include "kernels/gradient-inl.h"
// clang-format on

namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

void dense_wgrad_samples(int32_t inputs, int32_t outputs, const float* x, const float* dy_rows,
                         int64_t dy_step, float* dw, bool accumulate) {
  dense_wgrad_outputs(inputs, outputs, x, dy_rows, dy_step, dw, outputs, accumulate);
}

int64_t fma_chain(int64_t iterations) {
  constexpr int kChains = kTileRegisters >= 24 ? 16 : 12;  // with two factors, all in registers
  const int64_t steps = (iterations * 16 + kChains - 1) / kChains;
  V a[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) a[i] = splat(static_cast<float>(i) * 1e-3f);
  const V x = splat(0.999f), y = splat(1e-3f);
  for (int64_t n = 0; n < steps; ++n) {
#pragma GCC unroll 16
    for (int i = 0; i < kChains; ++i) a[i] = fma(a[i], x, y);
  }
  V sum = zero();
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) sum = sum + a[i];
  volatile float sink = hsum(sum);
  static_cast<void>(sink);
  return steps * kChains * 2 * kWidth;
}

constexpr KernelTable make_table(const char* isa) {
  return {isa,
          kWidth,
          samples_tile,
          kChannelVectors * kWidth,
          pack,
          conv_samples,
          conv_channels,
          conv_wgrad_samples,
          conv_wgrad_channels,
          kMostByGroup[1],
          kWgradColumn,
          wgrad_pack_x,
          wgrad_pack_dy,
          wgrad_panel,
          winograd_input,
          winograd_gradient,
          winograd_output,
          winograd_filter,
          winograd_filter_gradient,
          dense_wgrad_samples,
          dot_rows,
          product,
          product_transposed,
          bias_grad_samples,
          bias_grad_channels,
          channel_affine_samples,
          channel_affine_channels,
          channel_dot_samples,
          channel_dot_channels,
          channel_moments_samples,
          channel_moments_channels,
          channel_gradient_samples,
          channel_gradient_channels,
          channel_affine2_samples,
          channel_affine2_channels,
          max_pool,
          max_pool_backward,
          avg_pool,
          avg_pool_backward,
          activation,
          activation_backward,
          add,
          multiply,
          scale,
          subtract,
          blend,
          keep_extreme,
          where_index,
          softmax,
          softmax_backward,
          rows_to_samples,
          bytes_to_samples,
          bytes_to_floats,
          samples_to_rows,
          sum_tree,
          sgd,
          adam,
          rmsprop,
          sdlm,
          regularize,
          sum_squares,
          clip,
          moving_average,
          fma_chain,
          response_norm,
          response_norm_backward,
          layer_norm,
          layer_norm_backward,
          layer_norm_parameters,
          channel_deviations,
          channel_shifted_dots,
          channel_shifted_affine,
          channel_shifted_affine_backward,
          depthwise,
          depthwise_wgrad};
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
