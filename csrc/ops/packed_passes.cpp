#include "ops/packed_passes.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/epilogue.h"

namespace striate {
namespace {

// Words of a band in pairs, at most: 256 KiB. Each band sweeps the weights again.
constexpr std::int64_t kPairBandWords = std::int64_t{1} << 16;

}  // namespace

std::int64_t band_floats(const std::vector<Band>& bands, const ColumnPadding& padding,
                         std::int64_t position_floats) {
  std::int64_t rows = 0;
  for (const Band& b : bands) rows = std::max(rows, b.x_rows);
  return align_up(rows * padding.pitch() * padding.channels * position_floats);
}

ConvPass band_pass(const ConvPass& whole, const Band& band) {
  ConvPass pass = whole;
  pass.rows = band.end - band.begin;
  pass.row_runs += 2 * band.begin;
  return pass;
}

const float* band_of(const ColumnPadding& padding, const Band& band, const float* x,
                     std::int64_t position_floats, float* scratch) {
  if (!padding.needed()) return x;
  padding.copy(x, position_floats, band.x_first, band.x_rows, scratch);
  return scratch - band.x_first * padding.pitch() * padding.channels * position_floats;
}

PackedPasses::PackedPasses(std::vector<ConvPassTables> passes, const ColumnPadding& padding,
                           std::int64_t groups, Layout layout, const KernelTable& kernels,
                           std::int32_t row_parts)
    : padding_(padding),
      groups_(groups),
      k_(kernels),
      pairs_(nullptr),
      channels_(padding.channels),
      samples_layout_(layout == Layout::kSamples),
      position_floats_(samples_layout_ ? kLanes : 1) {
  // Without copies there is nothing to keep in L2, and blocks of samples in lanes are small.
  const bool whole = samples_layout_ || !padding.needed();
  add(std::move(passes), whole ? std::numeric_limits<std::int64_t>::max() / 2 : kBandPositions,
      row_parts);
}

PackedPasses::PackedPasses(std::vector<ConvPassTables> passes, const ColumnPadding& padding,
                           std::int64_t channels, std::int64_t groups, const KernelTable& kernels,
                           const Bfloat16Kernels& pairs, std::int32_t row_parts)
    : padding_(padding),
      groups_(groups),
      k_(kernels),
      pairs_(&pairs),
      channels_(channels),
      samples_layout_(false),
      position_floats_(1) {
  add(std::move(passes), kPairBandWords, row_parts);
}

void PackedPasses::add(std::vector<ConvPassTables> passes, std::int64_t most,
                       std::int32_t row_parts) {
  for (ConvPassTables& t : passes) {
    const std::int64_t width = (std::int64_t{t.pass.outputs} + pad() - 1) / pad() * pad();
    const std::int64_t size = align_up(checked_mul(t.pass.depth, width));
    std::vector<std::vector<Band>> bands;
    for (std::int32_t i = 0; i < row_parts; ++i) {
      bands.push_back(cut_bands(t, padding_, most, t.pass.rows * i / row_parts,
                                t.pass.rows * (i + 1) / row_parts));
      if (copies())
        scratch_floats_ =
            std::max(scratch_floats_, band_floats(bands.back(), padding_, position_floats_));
    }
    passes_.push_back({std::move(t), std::move(bands), packed_size_, size});
    packed_size_ = checked_add(packed_size_, checked_mul(size, groups_));
  }
}

int PackedPasses::tile(const ConvPass& pass) const {
  return samples_layout_ ? k_.samples_tile(pass.cols, pass.outputs) : k_.channels_tile;
}

void PackedPasses::pack(const float* w, int task, int tasks, float* packed) const {
  for (const PackedPass& p : passes_) {
    const ConvPassTables& t = p.tables;
    const int width = tile(t.pass);
    const std::int64_t tiles = (t.pass.outputs + width - 1) / width;
    for (std::int64_t i = task; i < tiles * groups_; i += tasks) {
      const std::int64_t g = i / tiles;
      const auto o = static_cast<std::int32_t>(i % tiles * width);
      const float* from = w + g * t.w_group + o * t.weight_step;
      float* to = packed + p.at + g * p.group_size + std::int64_t{o} * t.pass.depth;
      const std::int32_t outputs = std::min(width, t.pass.outputs - o);
      if (pairs_)
        pack_pairs(k_, *pairs_, t, from, outputs, to);
      else
        k_.pack(from, t.weight_rows.data(), t.weight_step, outputs, t.pass.depth, width, pad(), to);
    }
  }
}

void PackedPasses::run(const float* x, const float* packed, const Epilogue& epilogue,
                       float* scratch, float* y) const {
  for (const PackedPass& p : passes_)
    for (const std::vector<Band>& part : p.bands)
      for (const Band& band : part)
        run_band(p, band, 0, p.tables.pass.outputs, x, packed, epilogue, scratch, y);
}

void PackedPasses::run_part(std::int32_t row_part, std::int32_t first, std::int32_t end,
                            const float* x, const float* packed, const Epilogue& epilogue,
                            float* scratch, float* y) const {
  for (const PackedPass& p : passes_)
    for (const Band& band : p.bands[static_cast<std::size_t>(row_part)])
      run_band(p, band, first, end, x, packed, epilogue, scratch, y);
}

const float* PackedPasses::band_of_x(const Band& band, const float* image, float* scratch) const {
  if (!pairs_) return band_of(padding_, band, image, position_floats_, scratch);
  copy_pairs(*pairs_, padding_, channels_, image, band.x_first, band.x_rows, scratch);
  return scratch - band.x_first * padding_.pitch() * padding_.channels;
}

void PackedPasses::run_band(const PackedPass& p, const Band& band, std::int32_t first,
                            std::int32_t end, const float* image, const float* packed,
                            const Epilogue& epilogue, float* scratch, float* y) const {
  const ConvPassTables& t = p.tables;
  ConvPass pass = band_pass(t.pass, band);
  pass.outputs = end - first;
  const float* x =
      band_of_x(band, image, scratch) + (t.x_origin + band.begin * pass.x_row) * position_floats_;
  const std::int64_t place = (t.y_origin + band.begin * pass.y_row + first) * position_floats_;
  const auto conv = pairs_ ? pairs_->conv_channels : k_.conv_channels;
  for (std::int64_t g = 0; g < groups_; ++g) {
    const float* xg = x + g * t.x_group * position_floats_;
    const float* wg = packed + p.at + g * p.group_size + std::int64_t{first} * t.pass.depth;
    const std::int64_t at = place + g * t.y_group * position_floats_;
    const Epilogue e = epilogue_from(epilogue, g * t.pass.outputs + first, at);
    if (samples_layout_)
      k_.conv_samples(pass, xg, wg, e.bias, e.floor, y + at);
    else
      conv(pass, xg, wg, 0, e, y + at);
  }
}

}  // namespace striate
