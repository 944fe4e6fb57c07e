#include "ops/conv_pass.h"

#include <algorithm>
#include <cstring>

#include "core/checked.h"

namespace striate {

void ConvPassTables::finish() {
  pass.runs = runs.data();
  pass.row_runs = row_runs.data();
  pass.depth = static_cast<std::int32_t>(weight_rows.size());
}

void ColumnPadding::copy(const float* x, std::int64_t position_floats, std::int64_t first,
                         std::int64_t count, float* padded) const {
  const std::int64_t pixel = channels * position_floats;
  const auto zero = [&](float* p, std::int64_t n) {
    std::memset(p, 0, static_cast<std::size_t>(n * pixel) * sizeof(float));
  };
  x += first * cols * pixel;
  for (std::int64_t r = 0; r < count; ++r) {
    zero(padded, left);
    std::memcpy(padded + left * pixel, x, static_cast<std::size_t>(cols * pixel) * sizeof(float));
    zero(padded + (left + cols) * pixel, right);
    padded += pitch() * pixel;
    x += cols * pixel;
  }
}

std::vector<Band> cut_bands(const ConvPassTables& t, const ColumnPadding& x, std::int64_t most,
                            std::int32_t first_row, std::int32_t end_row) {
  const std::int64_t row = x.pitch() * x.channels;
  std::vector<Band> bands;
  std::int64_t low = 0, high = -1;  // rows of x that the open band reads
  Band open{first_row, 0, 0, 0};
  for (std::int32_t r = first_row; r < end_row; ++r) {
    std::int64_t first = low, last = high;
    for (std::int32_t q = t.row_runs[static_cast<std::size_t>(2 * r)];
         q < t.row_runs[static_cast<std::size_t>(2 * r + 1)]; ++q) {
      // Runs that are not clipped begin inside x.
      const std::int64_t at =
          (t.x_origin + r * t.pass.x_row + t.runs[static_cast<std::size_t>(q)].x) / row;
      first = last < first ? at : std::min(first, at);
      last = std::max(last, at);
    }
    if (r > open.begin && (last - first + 1) * row > most) {
      bands.push_back({open.begin, r, low, high - low + 1});
      open.begin = r;
      low = 0;
      high = -1;
      --r;
      continue;
    }
    low = first;
    high = last;
  }
  bands.push_back({open.begin, end_row, low, high - low + 1});
  return bands;
}

ColumnPadding forward_padding(const ConvGeometry& g) {
  const std::int64_t reach = (g.ow - 1) * g.strides.w + (g.kw - 1) * g.dilation.w + 1;
  return {g.h, g.w, g.c, g.pad_left, std::max<std::int64_t>(reach - g.pad_left - g.w, 0)};
}

ConvPassTables forward_pass(const ConvGeometry& g, const ColumnPadding& x) {
  ConvPassTables t;
  const std::int64_t cg = g.group_in(), pitch = x.pitch() * g.c;
  // Along a kernel row the input is one run of KW * C positions, unless taps are dilated or a
  // group takes only some of the channels.
  const bool whole_row = g.groups == 1 && (g.dilation.w == 1 || g.kw == 1);
  const std::int64_t row_runs = whole_row ? 1 : g.kw;
  for (std::int64_t kh = 0; kh < g.kh; ++kh)
    for (std::int64_t q = 0; q < row_runs; ++q)
      t.runs.push_back({kh * g.dilation.h * pitch + q * g.dilation.w * g.c,
                        narrow<std::int32_t>(whole_row ? g.kw * cg : cg),
                        narrow<std::int32_t>((kh * g.kw + q) * cg)});
  for (std::int64_t r = 0; r < g.oh; ++r) {
    const std::int64_t top = r * g.strides.h - g.pad_top;
    std::int64_t first = 0, end = 0;
    while (first < g.kh && top + first * g.dilation.h < 0) ++first;
    end = first;
    while (end < g.kh && top + end * g.dilation.h < g.h) ++end;
    t.row_runs.push_back(static_cast<std::int32_t>(first * row_runs));
    t.row_runs.push_back(static_cast<std::int32_t>(end * row_runs));
  }
  for (std::int64_t k = 0; k < g.kh * g.kw * cg; ++k) t.weight_rows.push_back(k * g.oc);
  t.pass.rows = narrow<std::int32_t>(g.oh);
  t.pass.cols = narrow<std::int32_t>(g.ow);
  t.pass.outputs = narrow<std::int32_t>(g.group_out());
  t.pass.x_row = g.strides.h * pitch;
  t.pass.x_col = g.strides.w * g.c;
  t.pass.y_row = g.ow * g.oc;
  t.pass.y_col = g.oc;
  t.x_origin = -g.pad_top * pitch;
  t.x_group = cg;
  t.y_group = t.w_group = g.group_out();
  t.finish();
  return t;
}

namespace {

// One axis of one phase: the input pixels i0, i0 + stride, ... meet, at step j, the output pixel
// first + j - taps[k].shift through kernel tap taps[k].tap. Taps are in order of rising output.
struct PhaseAxis {
  struct Tap {
    std::int64_t tap, shift;
  };
  std::int64_t i0, count, first;
  std::vector<Tap> taps;
};

PhaseAxis phase_axis(std::int64_t i0, std::int64_t in, std::int64_t pad, std::int64_t window,
                     std::int64_t stride, std::int64_t dilation) {
  PhaseAxis a{i0, (in - i0 + stride - 1) / stride, (i0 + pad) / stride, {}};
  const std::int64_t phase = (i0 + pad) % stride;
  for (std::int64_t k = window - 1; k >= 0; --k)
    if (k * dilation % stride == phase) a.taps.push_back({k, (k * dilation - phase) / stride});
  return a;
}

PhaseAxis phase_rows(const ConvGeometry& g, std::int64_t i0) {
  return phase_axis(i0, g.h, g.pad_top, g.kh, g.strides.h, g.dilation.h);
}
PhaseAxis phase_cols(const ConvGeometry& g, std::int64_t i0) {
  return phase_axis(i0, g.w, g.pad_left, g.kw, g.strides.w, g.dilation.w);
}

ConvPassTables phase_pass(const ConvGeometry& g, const ColumnPadding& dy, const PhaseAxis& rows,
                          const PhaseAxis& cols) {
  ConvPassTables t;
  const std::int64_t ocg = g.group_out(), cg = g.group_in(), pitch = dy.pitch() * g.oc;
  bool consecutive = g.groups == 1;
  for (std::size_t k = 1; k < cols.taps.size(); ++k)
    consecutive &= cols.taps[k - 1].shift - cols.taps[k].shift == 1;
  const std::size_t row_runs = cols.taps.empty() ? 0 : consecutive ? 1 : cols.taps.size();
  const std::int64_t length = consecutive ? static_cast<std::int64_t>(cols.taps.size()) * ocg : ocg;
  for (const auto& kh : rows.taps) {
    for (std::size_t q = 0; q < row_runs; ++q)
      t.runs.push_back(
          {(rows.first - kh.shift) * pitch + (cols.first - cols.taps[q].shift + dy.left) * g.oc,
           narrow<std::int32_t>(length),
           narrow<std::int32_t>(static_cast<std::int64_t>(t.runs.size()) * length)});
    for (const auto& kw : cols.taps)
      for (std::int64_t o = 0; o < ocg; ++o)
        t.weight_rows.push_back((kh.tap * g.kw + kw.tap) * cg * g.oc + o);
  }
  for (std::int64_t j = 0; j < rows.count; ++j) {
    std::size_t first = 0;
    while (first < rows.taps.size() && rows.first + j - rows.taps[first].shift < 0) ++first;
    std::size_t end = first;
    while (end < rows.taps.size() && rows.first + j - rows.taps[end].shift < g.oh) ++end;
    t.row_runs.push_back(static_cast<std::int32_t>(first * row_runs));
    t.row_runs.push_back(static_cast<std::int32_t>(end * row_runs));
  }
  t.weight_step = g.oc;
  t.pass.rows = narrow<std::int32_t>(rows.count);
  t.pass.cols = narrow<std::int32_t>(cols.count);
  t.pass.outputs = narrow<std::int32_t>(cg);
  t.pass.x_row = pitch;
  t.pass.x_col = g.oc;
  t.pass.y_row = g.strides.h * g.w * g.c;
  t.pass.y_col = g.strides.w * g.c;
  t.y_origin = (rows.i0 * g.w + cols.i0) * g.c;
  t.x_group = t.w_group = ocg;
  t.y_group = cg;
  t.finish();
  return t;
}

}  // namespace

ColumnPadding input_gradient_padding(const ConvGeometry& g) {
  ColumnPadding p{g.oh, g.ow, g.oc};
  for (std::int64_t i0 = 0; i0 < std::min(g.strides.w, g.w); ++i0) {
    const PhaseAxis a = phase_cols(g, i0);
    if (a.taps.empty()) continue;
    p.left = std::max(p.left, a.taps.front().shift - a.first);
    p.right = std::max(p.right, a.first + a.count - 1 - a.taps.back().shift - (g.ow - 1));
  }
  return p;
}

std::vector<ConvPassTables> input_gradient_passes(const ConvGeometry& g, const ColumnPadding& dy) {
  std::vector<ConvPassTables> passes;
  for (std::int64_t top = 0; top < std::min(g.strides.h, g.h); ++top)
    for (std::int64_t left = 0; left < std::min(g.strides.w, g.w); ++left)
      passes.push_back(phase_pass(g, dy, phase_rows(g, top), phase_cols(g, left)));
  return passes;
}

}  // namespace striate
