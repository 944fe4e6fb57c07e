#include "ops/geometry.h"

#include <algorithm>

#include "core/checked.h"

namespace striate {
namespace {
constexpr std::int64_t kLimit = std::int64_t{1} << 20;  // keeps every product below in int64

WindowAxis resolve_ceil_axis(std::int64_t in, std::int64_t window, std::int64_t stride,
                             const Padding& padding, bool vertical) {
  if (padding.kind == Padding::Kind::kSame)
    return resolve_window(in, window, stride, 1, padding, vertical);
  WindowAxis a{in, 0, window, stride, 1, 0, 0};
  if (padding.kind == Padding::Kind::kExplicit) {
    a.before = vertical ? padding.top : padding.left;
    a.after = vertical ? padding.bottom : padding.right;
  }
  const std::int64_t room = checked_add(in, a.before + a.after);
  if (room >= window)
    a.out = (room - window + stride - 1) / stride + 1;
  else if (window - room < stride)
    a.out = 1;  // the window starts inside and runs over the edge
  else
    return resolve_window(in, window, stride, 1, padding, vertical);  // says what does not fit
  if ((a.out - 1) * stride >= in + a.before) --a.out;
  return a;
}
}  // namespace

void check_extent(const Extent& e, const char* what) {
  if (e.h < 1 || e.w < 1 || e.h >= kLimit || e.w >= kLimit)
    throw ValueError(std::string(what) + " must be from 1 to 2^20 - 1, got (" +
                     std::to_string(e.h) + ", " + std::to_string(e.w) + ")");
}

void check_padding(const Padding& p) {
  for (std::int64_t v : {p.top, p.bottom, p.left, p.right})
    if (v < 0 || v >= kLimit)
      throw ValueError("padding must be from 0 to 2^20 - 1, got " + std::to_string(v));
}

WindowAxis resolve_window(std::int64_t in, std::int64_t window, std::int64_t stride,
                          std::int64_t dilation, const Padding& padding, bool vertical) {
  WindowAxis a{in, 0, window, stride, dilation, 0, 0};
  const std::int64_t reach = checked_add(checked_mul(dilation, window - 1), 1);
  if (padding.kind == Padding::Kind::kSame) {
    a.out = (in + stride - 1) / stride;
    const std::int64_t total = std::max<std::int64_t>((a.out - 1) * stride + reach - in, 0);
    a.before = total / 2;
    a.after = total - a.before;
    return a;
  }
  if (padding.kind == Padding::Kind::kExplicit) {
    a.before = vertical ? padding.top : padding.left;
    a.after = vertical ? padding.bottom : padding.right;
  }
  const std::int64_t room = checked_add(in, a.before + a.after);
  if (reach > room)
    throw ShapeError(std::string("input ") + (vertical ? "height " : "width ") +
                     std::to_string(in) + (a.before + a.after ? " with its padding" : "") +
                     " is smaller than the window of " + std::to_string(reach) +
                     ": use padding=\"same\", a smaller window, or a larger image");
  a.out = (room - reach) / stride + 1;
  return a;
}

Window2D resolve_window(const Shape& image, const Extent& window, const Extent& strides,
                        const Extent& dilation, const Padding& padding) {
  return {resolve_window(image[0], window.h, strides.h, dilation.h, padding, true),
          resolve_window(image[1], window.w, strides.w, dilation.w, padding, false)};
}

Window2D resolve_ceil_window(const Shape& image, const Extent& window, const Extent& strides,
                             const Padding& padding) {
  return {resolve_ceil_axis(image[0], window.h, strides.h, padding, true),
          resolve_ceil_axis(image[1], window.w, strides.w, padding, false)};
}

PoolPass pool_pass(const Shape& image, const Window2D& window, std::int64_t divisor) {
  const auto i32 = [](std::int64_t v) { return narrow<std::int32_t>(v); };
  const WindowAxis &h = window.h, &w = window.w;
  PoolPass p{};
  p.images = 1;
  p.inner = i32(image[2]);
  p.height = i32(h.in);
  p.width = i32(w.in);
  p.out_height = i32(h.out);
  p.out_width = i32(w.out);
  p.window_h = i32(h.window);
  p.window_w = i32(w.window);
  p.stride_h = i32(h.stride);
  p.stride_w = i32(w.stride);
  p.pad_top = i32(h.before);
  p.pad_left = i32(w.before);
  p.divisor = i32(divisor);
  p.pad_bottom = i32(h.after);
  p.pad_right = i32(w.after);
  return p;
}

}  // namespace striate
