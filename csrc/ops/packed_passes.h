#pragma once
// Convolution passes with their weights packed for a layout, cut into bands: what convolutions,
// their input gradients and transposed convolutions run.
#include <cstdint>
#include <vector>

#include "ops/conv_pass.h"
#include "ops/op.h"
#include "ops/pairs.h"

namespace striate {

struct PackedPass {
  ConvPassTables tables;
  std::vector<std::vector<Band>> bands;  // by part of the rows
  std::int64_t at, group_size;           // of its weights in the packed buffer, group after group
};

class PackedPasses {
 public:
  // Passes over the same x, which has `padding`'s columns.
  PackedPasses(std::vector<ConvPassTables> passes, const ColumnPadding& padding,
               std::int64_t groups, Layout layout, const KernelTable& kernels,
               std::int32_t row_parts = 1);
  // Products of bfloat16, channels in lanes: passes and padding on pairs (pairs.h) of x, which has
  // `channels` floats a pixel and is rounded band by band.
  PackedPasses(std::vector<ConvPassTables> passes, const ColumnPadding& padding,
               std::int64_t channels, std::int64_t groups, const KernelTable& kernels,
               const Bfloat16Kernels& pairs, std::int32_t row_parts = 1);

  std::int64_t packed_size() const { return packed_size_; }        // floats
  std::int64_t scratch_floats() const { return scratch_floats_; }  // of run()
  const ConvPassTables& operator[](std::size_t i) const { return passes_[i].tables; }

  // Every `tasks`-th tile from `task` on.
  void pack(const float* w, int task, int tasks, float* packed) const;
  // One image, or one block of samples in lanes, not padded. With samples in lanes nothing is added
  // to the sums.
  void run(const float* x, const float* packed, const Epilogue& epilogue, float* scratch,
           float* y) const;
  // One of the row_parts, and of each group the outputs first..end - 1; `first` is a multiple of
  // the tile's width.
  void run_part(std::int32_t row_part, std::int32_t first, std::int32_t end, const float* x,
                const float* packed, const Epilogue& epilogue, float* scratch, float* y) const;

 private:
  void add(std::vector<ConvPassTables> passes, std::int64_t most, std::int32_t row_parts);
  bool copies() const { return pairs_ || padding_.needed(); }
  int tile(const ConvPass& pass) const;
  const float* band_of_x(const Band& band, const float* image, float* scratch) const;
  void run_band(const PackedPass& p, const Band& band, std::int32_t first, std::int32_t end,
                const float* x, const float* packed, const Epilogue& epilogue, float* scratch,
                float* y) const;
  int pad() const { return samples_layout_ ? 1 : k_.vector_width; }

  ColumnPadding padding_;
  std::int64_t groups_;
  const KernelTable& k_;
  const Bfloat16Kernels* pairs_;  // null: floats
  std::int64_t channels_;         // of x, where pairs are made of them
  bool samples_layout_;
  std::int64_t position_floats_, packed_size_ = 0, scratch_floats_ = 0;
  std::vector<PackedPass> passes_;
};

// Positions of a band's padded copy, at most: 128 KiB, an eighth of an L2, so that the copy is
// still there when the tiles read it, beside their weights.
constexpr std::int64_t kBandPositions = std::int64_t{1} << 15;

// Floats of the largest band's copy.
std::int64_t band_floats(const std::vector<Band>& bands, const ColumnPadding& padding,
                         std::int64_t position_floats);
// The rows of a pass that a band has.
ConvPass band_pass(const ConvPass& whole, const Band& band);
// A band's rows of x, copied to scratch where they need padding, as if row 0 of x were there.
const float* band_of(const ColumnPadding& padding, const Band& band, const float* x,
                     std::int64_t position_floats, float* scratch);

}  // namespace striate
