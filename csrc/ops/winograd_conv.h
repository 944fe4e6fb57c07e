#pragma once
// A 3x3 convolution of stride 1 by Winograd's F(4x4, 3x3), channels in lanes: tiles of 4x4 outputs,
// some at a time, go to 36 points, where the convolution is a product a point, and back. 36
// multiplications a tile instead of 144, at a relative error of some 1e-6 (Lavin and Gray 2016).
// Forward and, with the kernel turned and its channels exchanged, the input gradient.
#include <cstdint>

#include "core/storage.h"
#include "kernels/kernels.h"
#include "ops/conv_pass.h"

namespace striate {

constexpr std::int64_t kWinogradTile = 4;  // outputs along one axis

// A convolution of unpadded images [in_h][in_w][in_c] to [out_h][out_w][out_c]; the kernel's rows
// and columns begin pad_top and pad_left before the image.
struct WinogradGeometry {
  std::int64_t in_h, in_w, in_c, out_h, out_w, out_c, pad_top, pad_left;

  std::int64_t tile_rows() const { return (out_h + kWinogradTile - 1) / kWinogradTile; }
  std::int64_t tile_cols() const { return (out_w + kWinogradTile - 1) / kWinogradTile; }
  std::int64_t tiles() const { return tile_rows() * tile_cols(); }  // of an image
};

// 3x3, stride 1, one group, no dilation.
bool winograd_applies(const ConvGeometry& g);
WinogradGeometry winograd_forward(const ConvGeometry& g);
WinogradGeometry winograd_input_gradient(const ConvGeometry& g);

// A distance between rows of points that are read side by side: not a multiple of 1 KiB, where a
// few sets of L1 would hold them all.
inline std::int64_t points_apart(std::int64_t floats) {
  const std::int64_t aligned = align_up(floats);
  return aligned % 256 == 0 ? aligned + kAlignFloats : aligned;
}

// Pointers to the pixels under a tile; `zeros`, a pixel, stands for what lies outside the image.
// The window's first row and column may lie outside.
void winograd_window(const float* image, std::int64_t h, std::int64_t w, std::int64_t c,
                     std::int64_t row, std::int64_t col, int side, const float* zeros,
                     const float** window);

class WinogradConv {
 public:
  // turned: the packed weights are those of the input gradient.
  WinogradConv(const WinogradGeometry& geometry, bool turned, const KernelTable& kernels);

  std::int64_t packed_size() const { return packed_size_; }  // floats
  std::int64_t scratch_floats() const;                       // of run()
  // Outputs are made a panel, channels_tile of them, at a time.
  int panels() const { return panels_; }

  // w: HWIO. Every `tasks`-th panel from `task` on.
  void pack(const float* w, int task, int tasks, float* packed) const;
  // Outputs of panels first_panel to end_panel - 1 of tiles first_tile to end_tile - 1; all
  // samples' tiles are numbered one image after the other.
  struct Part {
    std::int64_t first_tile, end_tile;
    int first_panel, end_panel;
  };
  Part whole(std::int64_t samples) const { return {0, samples * g_.tiles(), 0, panels_}; }
  void run(const float* x, const float* packed, const Part& part, const Epilogue& epilogue,
           float* scratch, float* y) const;

 private:
  struct Tiles {  // of the batch, numbered image after image
    std::int64_t first, count;
  };
  std::int64_t panel_width(int panel) const;
  void to_points(const float* x, const Tiles& tiles, const float* zeros, float* points) const;
  void multiply(const float* points, const float* weights, int panel, std::int64_t count,
                float* products) const;
  void from_points(const float* products, const Tiles& tiles, int panel, const Epilogue& epilogue,
                   float* y) const;

  WinogradGeometry g_;
  bool turned_;
  const KernelTable& k_;
  int panels_;
  std::int64_t packed_size_;
  std::int64_t together_;                     // tiles
  std::int64_t pitch_, step_, product_step_;  // of points: from tile to tile, from point to point
};

}  // namespace striate
