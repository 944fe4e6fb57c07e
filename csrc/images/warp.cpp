// Affine maps and displacement fields with bilinear reading. An image is copied once into floats
// with a border around it, so that no pixel's reading has to ask where it is; then each output row
// is made in three loops, the first two of which the compiler vectorises.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "core/checked.h"
#include "core/parallel.h"
#include "striate/error.h"
#include "striate/images.h"

namespace striate {
namespace {

// The copy has one pixel before the image and two after it: coordinates are clamped to [-1,
// extent], and bilinear reading takes the next pixel too.
constexpr std::int64_t kBefore = 1, kAfter = 2;

struct Scratch {
  std::vector<float> padded;           // [height + 3][width + 3][channels]
  std::vector<float> half;             // [2][node_rows][width]: nodes spread along their rows
  std::vector<float> dx, dy;           // [width]: displacement of a row
  std::vector<float> fx, fy;           // [width]: fractions of a row's sources
  std::vector<std::int32_t> row, col;  // [width]: whole parts
};

template <typename Pixel>
void pad(const Pixel* image, std::int64_t height, std::int64_t width, std::int64_t channels,
         float fill, std::vector<float>& padded) {
  const std::int64_t stride = (width + kBefore + kAfter) * channels;
  padded.assign(static_cast<std::size_t>((height + kBefore + kAfter) * stride), fill);
  for (std::int64_t y = 0; y < height; ++y) {
    const Pixel* from = image + y * width * channels;
    float* to = padded.data() + (y + kBefore) * stride + kBefore * channels;
    for (std::int64_t i = 0; i < width * channels; ++i) to[i] = static_cast<float>(from[i]);
  }
}

void add_row(float weight, const float* from, std::int64_t width, float* to) {
  for (std::int64_t x = 0; x < width; ++x) to[x] += weight * from[x];
}

// nodes [2][node_rows][node_columns] -> half [2][node_rows][width]
void spread_columns(const Warp& warp, const float* nodes, std::int64_t width, float* half) {
  const std::int64_t rows = 2 * warp.node_rows;
  std::fill(half, half + rows * width, 0.0f);
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t k = 0; k < warp.node_columns; ++k)
      add_row(nodes[r * warp.node_columns + k], warp.column_weights + k * width, width,
              half + r * width);
}

// The displacement of output row y. A kernel of limited reach has zero weights: they are passed by.
void spread_row(const Warp& warp, std::int64_t y, std::int64_t width, Scratch& s) {
  std::fill(s.dx.begin(), s.dx.end(), 0.0f);
  std::fill(s.dy.begin(), s.dy.end(), 0.0f);
  if (!warp.nodes) return;
  for (std::int64_t k = 0; k < warp.node_rows; ++k) {
    const float weight = warp.row_weights[y * warp.node_rows + k];
    if (weight == 0) continue;
    add_row(weight, s.half.data() + k * width, width, s.dx.data());
    add_row(weight, s.half.data() + (warp.node_rows + k) * width, width, s.dy.data());
  }
}

// In this order of comparisons a NaN becomes `low`.
float clamp(float v, float low, float high) {
  v = v > low ? v : low;
  return v < high ? v : high;
}

// The coordinate that a mirrored image shows at v: 0 .. last.
float mirror(float v, float last) {
  if (last == 0) return 0;
  v = std::fabs(clamp(v, -0x1p24f, 0x1p24f));
  const float period = 2 * last;
  v -= period * static_cast<float>(static_cast<std::int32_t>(v / period));
  return v > last ? period - v : v;
}

// Splits source coordinates (in place of the displacements) into whole parts, counted in the padded
// copy, and fractions.
void split(Border border, std::int64_t extent, std::int64_t width, const float* at,
           std::int32_t* whole, float* fraction) {
  const auto last = static_cast<float>(extent - 1);
  const float low = border == Border::kConstant ? -1.0f : 0.0f;
  const float high = border == Border::kConstant ? last + 1 : last;
  for (std::int64_t x = 0; x < width; ++x) {
    const float v = clamp(border == Border::kReflect ? mirror(at[x], last) : at[x], low, high);
    const float shifted = v + kBefore;  // >= 0, so that cutting the fraction off is a floor
    whole[x] = static_cast<std::int32_t>(shifted);
    fraction[x] = shifted - static_cast<float>(whole[x]);
  }
}

// kChannels: known when compiling, or 0.
template <int kChannels>
void read_row(const Scratch& s, std::int64_t width, std::int64_t padded_width,
              std::int64_t channels, float* to) {
  const std::int64_t c_count = kChannels ? kChannels : channels;
  const std::int64_t stride = padded_width * c_count;
  for (std::int64_t x = 0; x < width; ++x) {
    const float* p = s.padded.data() + s.row[x] * stride + s.col[x] * c_count;
    const float fx = s.fx[x], fy = s.fy[x];
    for (std::int64_t c = 0; c < c_count; ++c) {
      const float top = p[c] + fx * (p[c_count + c] - p[c]);
      const float bottom = p[stride + c] + fx * (p[stride + c_count + c] - p[stride + c]);
      to[x * c_count + c] = top + fy * (bottom - top);
    }
  }
}

template <typename Pixel>
void warp_image(const ImageBatch<Pixel>& from, const Warp& warp, std::int64_t n, Scratch& s,
                float* to) {
  const std::int64_t height = from.height, width = from.width, channels = from.channels;
  const std::int64_t size = height * width * channels;
  pad(from.pixels + n * size, height, width, channels,
      warp.border == Border::kConstant ? warp.fill : 0.0f, s.padded);
  if (warp.nodes)
    spread_columns(warp, warp.nodes + n * 2 * warp.node_rows * warp.node_columns, width,
                   s.half.data());
  const float* m = warp.matrices + n * 6;
  for (std::int64_t y = 0; y < height; ++y) {
    spread_row(warp, y, width, s);
    for (std::int64_t x = 0; x < width; ++x) {
      const float px = static_cast<float>(x) + s.dx[x], py = static_cast<float>(y) + s.dy[x];
      s.dx[x] = m[0] * px + m[1] * py + m[2];
      s.dy[x] = m[3] * px + m[4] * py + m[5];
    }
    split(warp.border, width, width, s.dx.data(), s.col.data(), s.fx.data());
    split(warp.border, height, width, s.dy.data(), s.row.data(), s.fy.data());
    float* row = to + n * size + y * width * channels;
    const std::int64_t padded_width = width + kBefore + kAfter;
    if (channels == 1)
      read_row<1>(s, width, padded_width, channels, row);
    else if (channels == 3)
      read_row<3>(s, width, padded_width, channels, row);
    else
      read_row<0>(s, width, padded_width, channels, row);
  }
}

template <typename Pixel>
void warp_batch(const ImageBatch<Pixel>& from, const Warp& warp, float* to, int threads) {
  constexpr std::int64_t kLargest = std::int64_t{1} << 24;
  if (from.height < 1 || from.width < 1 || from.channels < 1)
    throw ValueError("warp_images: the images have no pixel");
  if (from.height > kLargest || from.width > kLargest)
    throw ValueError("warp_images: an image of " + std::to_string(from.height) + " x " +
                     std::to_string(from.width) + ": at most 16777216 rows or columns");
  parallel_region(threads, [&](Team& team) {
    Scratch s;
    const auto width = static_cast<std::size_t>(from.width);
    s.half.resize(static_cast<std::size_t>(checked_mul(2 * warp.node_rows, from.width)));
    for (auto* v : {&s.dx, &s.dy, &s.fx, &s.fy}) v->resize(width);
    s.row.resize(width);
    s.col.resize(width);
    team.for_each(from.count, [&](std::int64_t n) { warp_image(from, warp, n, s, to); });
  });
}

}  // namespace

void warp_images(const ImageBatch<float>& from, const Warp& warp, float* to, int threads) {
  warp_batch(from, warp, to, threads);
}

void warp_images(const ImageBatch<std::uint8_t>& from, const Warp& warp, float* to, int threads) {
  warp_batch(from, warp, to, threads);
}

}  // namespace striate
