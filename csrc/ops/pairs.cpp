#include "ops/pairs.h"

#include <algorithm>
#include <utility>

namespace striate {
namespace {

std::int64_t rounded_up(std::int64_t channels) { return channels + channels % 2; }

}  // namespace

bool pairs_apply(const ConvGeometry& g) {
  return g.group_out() % 2 == 0 && (g.groups == 1 || g.group_in() % 2 == 0);
}

ConvGeometry with_even_channels(const ConvGeometry& g) {
  ConvGeometry even = g;
  even.c = rounded_up(g.c);
  return even;
}

ConvPassTables in_pairs(ConvPassTables t, std::int64_t channels) {
  const std::int64_t even = rounded_up(channels);
  const std::vector<std::int64_t> rows = std::move(t.weight_rows);
  t.weight_rows.clear();
  for (std::size_t tap = 0; tap < rows.size(); tap += static_cast<std::size_t>(even)) {
    // Taps are channels * outputs apart, not even * outputs.
    const std::int64_t first = rows[tap] / even * channels, step = rows[tap + 1] - rows[tap];
    for (std::int64_t c = 0; c < even; ++c)
      t.weight_rows.push_back(c < channels ? first + c * step : -1);
  }
  for (Run& run : t.runs) {
    run.x /= 2;
    run.length /= 2;
    run.depth /= 2;
  }
  t.x_origin /= 2;
  t.x_group /= 2;
  t.pass.x_row /= 2;
  t.pass.x_col /= 2;
  t.finish();
  t.pass.depth /= 2;
  return t;
}

ColumnPadding in_pairs(const ColumnPadding& padding) {
  ColumnPadding words = padding;
  words.channels = rounded_up(padding.channels) / 2;
  return words;
}

void copy_pairs(const Bfloat16Kernels& k, const ColumnPadding& padding, std::int64_t channels,
                const float* x, std::int64_t first, std::int64_t count, float* padded) {
  x += first * padding.cols * channels;
  const auto n = static_cast<std::int32_t>(channels);
  if (!padding.needed()) return k.pair_channels(count * padding.cols, n, x, padded);
  for (std::int64_t r = 0; r < count; ++r, x += padding.cols * channels) {
    std::fill_n(padded, padding.left * padding.channels, 0.0f);
    padded += padding.left * padding.channels;
    k.pair_channels(padding.cols, n, x, padded);
    padded += padding.cols * padding.channels;
    std::fill_n(padded, padding.right * padding.channels, 0.0f);
    padded += padding.right * padding.channels;
  }
}

void pack_pairs(const KernelTable& k, const Bfloat16Kernels& pairs, const ConvPassTables& t,
                const float* w, std::int32_t outputs, float* packed) {
  const std::int32_t width = (outputs + k.vector_width - 1) / k.vector_width * k.vector_width;
  const std::vector<std::int64_t>& rows = t.weight_rows;
  std::vector<float> floats(rows.size() * static_cast<std::size_t>(width), 0.0f);
  for (std::size_t from = 0; from < rows.size();) {
    std::size_t end = from;
    while (end < rows.size() && rows[end] >= 0) ++end;
    if (end > from)
      k.pack(w, rows.data() + from, t.weight_step, outputs, static_cast<std::int32_t>(end - from),
             k.channels_tile, k.vector_width,
             floats.data() + from * static_cast<std::size_t>(width));
    from = end + 1;
  }
  pairs.pair_rows(2 * std::int64_t{t.pass.depth}, width, floats.data(), width, packed, width);
}

}  // namespace striate
