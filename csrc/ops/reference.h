#pragma once
// The oracle: every operation as its definition reads, in loops over NHWC rows of samples. No
// layouts, no blocking, no SIMD. Tests compare the steps with these; nothing else calls them.
// Gradients are overwritten, not added to. T: float or double.
#include <cstdint>

#include "kernels/kernels.h"
#include "ops/conv_pass.h"

namespace striate::reference {

// x: [N, H, W, C], w: [KH, KW, C / groups, OC], b: [OC] or null, y: [N, OH, OW, OC].
template <typename T>
void conv2d(std::int64_t n, const ConvGeometry& g, const T* x, const T* w, const T* b, T* y);
template <typename T>
void conv2d_backward(std::int64_t n, const ConvGeometry& g, const T* x, const T* w, const T* dy,
                     T* dx, T* dw, T* db);

// x: [N, I], w: [I, O], b: [O] or null, y: [N, O].
template <typename T>
void dense(std::int64_t n, std::int64_t inputs, std::int64_t outputs, const T* x, const T* w,
           const T* b, T* y);
template <typename T>
void dense_backward(std::int64_t n, std::int64_t inputs, std::int64_t outputs, const T* x,
                    const T* w, const T* dy, T* dx, T* dw, T* db);

// p.images = N, p.inner = C; p.divisor as kernels.h says, for averages only.
template <typename T>
void max_pool(const PoolPass& p, const T* x, T* y);
template <typename T>
void max_pool_backward(const PoolPass& p, const T* x, const T* dy, T* dx);
template <typename T>
void avg_pool(const PoolPass& p, const T* x, T* y);
template <typename T>
void avg_pool_backward(const PoolPass& p, const T* dy, T* dx);

}  // namespace striate::reference
