#include "ops/winograd_conv.h"

#include <algorithm>
#include <vector>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/epilogue.h"
#include "ops/product_pass.h"

namespace striate {
namespace {

constexpr std::int64_t kWindow = kWinogradTile + 2;
constexpr int kFilterTaps = 9;
// Tiles are taken together for as many floats of points (768 KiB), the better part of an L2.
constexpr std::int64_t kPointFloats = 3 << 16;
constexpr std::int64_t kFewestTiles = 28, kMostTiles = 112;

}  // namespace

bool winograd_applies(const ConvGeometry& g) {
  return g.kh == 3 && g.kw == 3 && g.groups == 1 && g.strides.h == 1 && g.strides.w == 1 &&
         g.dilation.h == 1 && g.dilation.w == 1;
}

WinogradGeometry winograd_forward(const ConvGeometry& g) {
  return {g.h, g.w, g.c, g.oh, g.ow, g.oc, g.pad_top, g.pad_left};
}

// Pixel (h, w) of dx meets dy from (h + pad - 2, w + pad - 2) on.
WinogradGeometry winograd_input_gradient(const ConvGeometry& g) {
  return {g.oh, g.ow, g.oc, g.h, g.w, g.c, 2 - g.pad_top, 2 - g.pad_left};
}

void winograd_window(const float* image, std::int64_t h, std::int64_t w, std::int64_t c,
                     std::int64_t row, std::int64_t col, int side, const float* zeros,
                     const float** window) {
  for (int i = 0; i < side; ++i, ++row) {
    const bool inside = row >= 0 && row < h;
    for (int j = 0; j < side; ++j, ++window) {
      const std::int64_t at = col + j;
      *window = inside && at >= 0 && at < w ? image + (row * w + at) * c : zeros;
    }
  }
}

WinogradConv::WinogradConv(const WinogradGeometry& geometry, bool turned,
                           const KernelTable& kernels)
    : g_(geometry), turned_(turned), k_(kernels) {
  panels_ = static_cast<int>((g_.out_c + k_.channels_tile - 1) / k_.channels_tile);
  packed_size_ = 0;
  for (int p = 0; p < panels_; ++p)
    packed_size_ = checked_add(packed_size_,
                               checked_mul(kWinogradPoints, checked_mul(g_.in_c, panel_width(p))));
  pitch_ = points_apart(g_.in_c);
  together_ =
      std::clamp(kPointFloats / (kWinogradPoints * pitch_) / 14 * 14, kFewestTiles, kMostTiles);
  step_ = points_apart(together_ * pitch_);
  product_step_ = points_apart(together_ * k_.channels_tile);
}

// Of whole vectors.
std::int64_t WinogradConv::panel_width(int panel) const {
  const std::int64_t rest = g_.out_c - std::int64_t{panel} * k_.channels_tile;
  const std::int64_t whole = (rest + k_.vector_width - 1) / k_.vector_width * k_.vector_width;
  return std::min<std::int64_t>(whole, k_.channels_tile);
}

// Points of the inputs, products of one panel, a pixel of zeros.
std::int64_t WinogradConv::scratch_floats() const {
  return kWinogradPoints * (step_ + product_step_) + align_up(g_.in_c);
}

// A panel's weights at a point are packed as conv_channels reads them, point after point. The
// nine taps are packed into the last nine points' places first.
void WinogradConv::pack(const float* w, int task, int tasks, float* packed) const {
  std::vector<std::int64_t> rows(static_cast<std::size_t>(g_.in_c));
  for (std::int64_t k = 0; k < g_.in_c; ++k)
    rows[static_cast<std::size_t>(k)] = turned_ ? k : k * g_.out_c;
  const std::int64_t matrix = g_.in_c * g_.out_c, output_step = turned_ ? g_.in_c : 1;
  for (int p = task; p < panels_; p += tasks) {
    const std::int64_t first = std::int64_t{p} * k_.channels_tile;
    float* const to = packed + first * kWinogradPoints * g_.in_c;
    const std::int64_t size = g_.in_c * panel_width(p);
    float* const taps = to + (kWinogradPoints - kFilterTaps) * size;
    for (int t = 0; t < kFilterTaps; ++t)
      k_.pack(w + (turned_ ? kFilterTaps - 1 - t : t) * matrix + first * output_step, rows.data(),
              output_step,
              static_cast<std::int32_t>(std::min<std::int64_t>(g_.out_c - first, k_.channels_tile)),
              static_cast<std::int32_t>(g_.in_c), k_.channels_tile, k_.vector_width,
              taps + t * size);
    k_.winograd_filter(size, taps, size, to, size);
  }
}

void WinogradConv::to_points(const float* x, const Tiles& tiles, const float* zeros,
                             float* points) const {
  const float* window[kWindow * kWindow];
  const auto channels = static_cast<std::int32_t>(g_.in_c);
  for (std::int64_t t = 0; t < tiles.count; ++t) {
    const std::int64_t tile = tiles.first + t, image = tile / g_.tiles(), at = tile % g_.tiles();
    winograd_window(x + image * g_.in_h * g_.in_w * g_.in_c, g_.in_h, g_.in_w, g_.in_c,
                    at / g_.tile_cols() * kWinogradTile - g_.pad_top,
                    at % g_.tile_cols() * kWinogradTile - g_.pad_left, kWindow, zeros, window);
    k_.winograd_input(window, 0, channels, points + t * pitch_, step_);
  }
}

void WinogradConv::multiply(const float* points, const float* weights, int panel,
                            std::int64_t count, float* products) const {
  ProductPass product(count, g_.in_c, panel_width(panel));
  product.pass.x_col = pitch_;
  product.pass.y_col = k_.channels_tile;
  const std::int64_t size = g_.in_c * panel_width(panel);
  for (int p = 0; p < kWinogradPoints; ++p)
    k_.conv_channels(product.pass, points + p * step_, weights + p * size, 0, Epilogue{},
                     products + p * product_step_);
}

void WinogradConv::from_points(const float* products, const Tiles& tiles, int panel,
                               const Epilogue& epilogue, float* y) const {
  const std::int64_t first = std::int64_t{panel} * k_.channels_tile;
  const auto channels =
      static_cast<std::int32_t>(std::min<std::int64_t>(g_.out_c - first, k_.channels_tile));
  for (std::int64_t t = 0; t < tiles.count; ++t) {
    const std::int64_t tile = tiles.first + t, image = tile / g_.tiles(), at = tile % g_.tiles();
    const std::int64_t row = at / g_.tile_cols() * kWinogradTile;
    const std::int64_t col = at % g_.tile_cols() * kWinogradTile;
    const std::int64_t place = ((image * g_.out_h + row) * g_.out_w + col) * g_.out_c + first;
    k_.winograd_output(products + t * k_.channels_tile, product_step_,
                       static_cast<std::int32_t>(std::min(kWinogradTile, g_.out_h - row)),
                       static_cast<std::int32_t>(std::min(kWinogradTile, g_.out_w - col)), channels,
                       epilogue_from(epilogue, first, place), y + place, g_.out_w * g_.out_c,
                       g_.out_c);
  }
}

void WinogradConv::run(const float* x, const float* packed, const Part& part,
                       const Epilogue& epilogue, float* scratch, float* y) const {
  float* const points = scratch;
  float* const products = points + kWinogradPoints * step_;
  float* const zeros = products + kWinogradPoints * product_step_;
  std::fill_n(zeros, g_.in_c, 0.0f);
  const std::int64_t total = part.end_tile - part.first_tile;
  const std::int64_t rounds = (total + together_ - 1) / together_;
  for (std::int64_t r = 0; r < rounds; ++r) {  // as even as can be
    const std::int64_t first = total * r / rounds;
    const Tiles tiles{part.first_tile + first, total * (r + 1) / rounds - first};
    to_points(x, tiles, zeros, points);
    for (int p = part.first_panel; p < part.end_panel; ++p) {
      multiply(points, packed + std::int64_t{p} * k_.channels_tile * kWinogradPoints * g_.in_c, p,
               tiles.count, products);
      from_points(products, tiles, p, epilogue, y);
    }
  }
}

}  // namespace striate
