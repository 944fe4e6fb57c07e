#include "ops/depthwise_pass.h"

#include <algorithm>

#include "core/checked.h"

namespace striate {
namespace {

// One axis of a pass: output j lies at first + j * step and meets, through tap t, the input pixel
// t.shift + j * in_step. Taps are in order of rising input.
struct PassAxis {
  struct Tap {
    std::int64_t tap, shift;
  };
  std::int64_t count, first, step;
  std::int64_t in, in_step;
  std::vector<Tap> taps;

  bool sees(const Tap& t, std::int64_t j) const {
    const std::int64_t at = t.shift + j * in_step;
    return at >= 0 && at < in;
  }
};

PassAxis forward_axis(const WindowAxis& w) {
  PassAxis a{w.out, 0, 1, w.in, w.stride, {}};
  for (std::int64_t k = 0; k < w.window; ++k) a.taps.push_back({k, k * w.dilation - w.before});
  return a;
}

// The input pixels phase, phase + stride, ...: tap k leads from input i to output
// (i + before - k * dilation) / stride where that is whole.
PassAxis gradient_axis(const WindowAxis& w, std::int64_t phase) {
  PassAxis a{(w.in - phase + w.stride - 1) / w.stride, phase, w.stride, w.out, 1, {}};
  for (std::int64_t k = w.window - 1; k >= 0; --k) {
    const std::int64_t reach = phase + w.before - k * w.dilation;
    if (reach % w.stride == 0) a.taps.push_back({k, reach / w.stride});
  }
  return a;
}

// By output, the range of the taps that see the image.
std::vector<std::int32_t> tap_ranges(const PassAxis& a) {
  std::vector<std::int32_t> ranges;
  const auto taps = static_cast<std::int32_t>(a.taps.size());
  for (std::int64_t j = 0; j < a.count; ++j) {
    std::int32_t first = 0;
    while (first < taps && !a.sees(a.taps[static_cast<std::size_t>(first)], j)) ++first;
    std::int32_t end = first;
    while (end < taps && a.sees(a.taps[static_cast<std::size_t>(end)], j)) ++end;
    ranges.push_back(first);
    ranges.push_back(end);
  }
  return ranges;
}

std::vector<std::int32_t> output_ranges(const PassAxis& a) {
  std::vector<std::int32_t> ranges;
  for (const PassAxis::Tap& t : a.taps) {
    std::int64_t first = 0;
    while (first < a.count && !a.sees(t, first)) ++first;
    std::int64_t end = first;
    while (end < a.count && a.sees(t, end)) ++end;
    ranges.push_back(narrow<std::int32_t>(first));
    ranges.push_back(narrow<std::int32_t>(end));
  }
  return ranges;
}

DepthwisePassTables make_pass(const PassAxis& h, const PassAxis& w, std::int64_t kernel_cols,
                              std::int64_t y_cols, std::int64_t inner) {
  DepthwisePassTables t;
  const std::int64_t x_pitch = checked_mul(w.in, inner), y_pitch = checked_mul(y_cols, inner);
  for (const auto& k : h.taps)
    t.taps_h.push_back({k.shift * x_pitch, narrow<std::int32_t>(k.tap * kernel_cols)});
  for (const auto& k : w.taps) t.taps_w.push_back({k.shift * inner, narrow<std::int32_t>(k.tap)});
  t.row_taps = tap_ranges(h);
  t.col_taps = tap_ranges(w);
  t.tap_columns = output_ranges(w);
  DepthwisePass& p = t.pass;
  p.rows = narrow<std::int32_t>(h.count);
  p.cols = narrow<std::int32_t>(w.count);
  p.inner = narrow<std::int32_t>(inner);
  p.tap_rows = narrow<std::int32_t>(h.taps.size());
  p.tap_cols = narrow<std::int32_t>(w.taps.size());
  p.inside_end = p.cols;
  for (std::size_t k = 0; k < t.tap_columns.size(); k += 2) {
    p.inside_begin = std::max(p.inside_begin, t.tap_columns[k]);
    p.inside_end = std::min(p.inside_end, t.tap_columns[k + 1]);
  }
  p.inside_end = std::max(p.inside_end, p.inside_begin);
  p.x_row = h.in_step * x_pitch;
  p.x_col = w.in_step * inner;
  p.y_row = h.step * y_pitch;
  p.y_col = w.step * inner;
  t.y_origin = h.first * y_pitch + w.first * inner;
  p.taps_h = t.taps_h.data();
  p.taps_w = t.taps_w.data();
  p.row_taps = t.row_taps.data();
  p.col_taps = t.col_taps.data();
  p.tap_columns = t.tap_columns.data();
  return t;
}

}  // namespace

DepthwisePassTables depthwise_forward_pass(const Window2D& w, std::int64_t inner) {
  return make_pass(forward_axis(w.h), forward_axis(w.w), w.w.window, w.w.out, inner);
}

std::vector<DepthwisePassTables> depthwise_input_gradient_passes(const Window2D& w,
                                                                 std::int64_t inner) {
  std::vector<DepthwisePassTables> passes;
  for (std::int64_t top = 0; top < std::min(w.h.stride, w.h.in); ++top)
    for (std::int64_t left = 0; left < std::min(w.w.stride, w.w.in); ++left)
      passes.push_back(
          make_pass(gradient_axis(w.h, top), gradient_axis(w.w, left), w.w.window, w.w.in, inner));
  return passes;
}

}  // namespace striate
