#pragma once
// Images resampled by the batch: geometric distortions (warp) and changes of size (resize). Images
// are [count][height][width][channels], bytes or floats; a value keeps its scale. Every image is
// computed from its own numbers alone, so a result depends neither on the threads nor on the batch.
#include <cstdint>

namespace striate {

template <typename Pixel>
struct ImageBatch {
  const Pixel* pixels;
  std::int64_t count, height, width, channels;
};

// What lies beyond an image: one value; its mirror image, edge pixels not repeated (dcb|abcd|cba);
// its edge pixels.
enum class Border { kConstant, kReflect, kNearest };

// Where each output pixel (column X, row Y) comes from: with the displaced point
//   (x, y) = (X, Y) + displacement(X, Y),
// the source is column m[0] x + m[1] y + m[2], row m[3] x + m[4] y + m[5], read bilinearly. The
// displacement of image n is row_weights * nodes[n][axis] * column_weights: a few numbers on a
// lattice, spread over the pixels by whatever kernel the weights hold.
struct Warp {
  const float* matrices;         // [count][6]
  const float* nodes = nullptr;  // [count][2: x, y][node_rows][node_columns], or null
  std::int64_t node_rows = 0, node_columns = 0;
  const float* row_weights = nullptr;     // [height][node_rows]
  const float* column_weights = nullptr;  // [node_columns][width]
  Border border = Border::kConstant;
  float fill = 0;  // the one value of kConstant
};

// to: [count][height][width][channels]. Throws ValueError for an image of no pixel, or one of more
// than 2^24 rows or columns (where float coordinates stop telling neighbours apart).
void warp_images(const ImageBatch<float>& from, const Warp& warp, float* to, int threads);
void warp_images(const ImageBatch<std::uint8_t>& from, const Warp& warp, float* to, int threads);

enum class Filter { kNearest, kBox, kBilinear, kBicubic, kLanczos3 };

// A rectangle of whole pixels.
struct Box {
  std::int64_t top, left, height, width;
};

// Cuts boxes[n] (null: all of it) from each image and makes it height x width. Reducing widens the
// filter by the factor of reduction (antialiasing); pixels outside the box count for nothing. Bytes
// are computed in 22-bit fixed point and rounded after each of the two passes: the same bits as
// Pillow 13's resize (but for ties of kNearest). Throws ValueError for an empty image, an empty
// size, or a box that is empty or leaves its image.
void resize_images(const ImageBatch<float>& from, const Box* boxes, Filter filter,
                   std::int64_t height, std::int64_t width, float* to, int threads);
void resize_images(const ImageBatch<std::uint8_t>& from, const Box* boxes, Filter filter,
                   std::int64_t height, std::int64_t width, std::uint8_t* to, int threads);

}  // namespace striate
