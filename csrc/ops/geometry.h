#pragma once
// Sliding windows: output extents and padding, for convolution and pooling alike.
#include <cstdint>
#include <vector>

#include "kernels/kernels.h"
#include "striate/ops.h"
#include "striate/shape.h"

namespace striate {

struct WindowAxis {
  std::int64_t in, out, window, stride, dilation, before, after;  // before, after: padding
};

// Throws ShapeError when the (dilated) window does not fit; `axis` is "height" or "width".
// kSame is TensorFlow's rule: out = ceil(in / stride), the odd pixel after.
WindowAxis resolve_window(std::int64_t in, std::int64_t window, std::int64_t stride,
                          std::int64_t dilation, const Padding& padding, bool vertical);

struct Window2D {
  WindowAxis h, w;
};
Window2D resolve_window(const Shape& image, const Extent& window, const Extent& strides,
                        const Extent& dilation, const Padding& padding);

// A pooling window with ceil_mode, PyTorch's rule for explicit padding: windows that run over the
// far edge count too, unless they would start beyond the image and its padding before it. kSame has
// as many outputs either way.
Window2D resolve_ceil_window(const Shape& image, const Extent& window, const Extent& strides,
                             const Padding& padding);

// One image's pooling pass over `window` (resolved from `image`), channels in lanes; `divisor` as
// PoolPass says. A step widens it to its block.
PoolPass pool_pass(const Shape& image, const Window2D& window, std::int64_t divisor);

// ValueError unless every field is at least 1 (strides, windows) or 0 (padding), below 2^20.
void check_extent(const Extent& e, const char* what);
void check_padding(const Padding& p);

}  // namespace striate
