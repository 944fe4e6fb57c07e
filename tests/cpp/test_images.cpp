// Warps and resizing from C++: exact results on small images, the same bits on any number of
// threads, and what is refused. Python's tests compare with Pillow and with plain reading.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "striate/error.h"
#include "striate/images.h"

namespace striate {
namespace {

// Numbers that no pattern explains, 0 to 255.
template <typename Pixel>
std::vector<Pixel> noise(std::int64_t size) {
  std::vector<Pixel> pixels(static_cast<std::size_t>(size));
  std::uint32_t state = 12345;
  for (Pixel& p : pixels) {
    state = state * 1664525 + 1013904223;
    p = static_cast<Pixel>(state >> 24);
  }
  return pixels;
}

std::vector<float> same_matrix(std::int64_t count, const std::vector<float>& matrix) {
  std::vector<float> all;
  for (std::int64_t n = 0; n < count; ++n) all.insert(all.end(), matrix.begin(), matrix.end());
  return all;
}

TEST(WarpImages, MovesByWholePixels) {
  const std::vector<std::uint8_t> image{1, 2, 3, 4, 5, 6};  // 2 x 3
  const std::vector<float> matrix{1, 0, 1, 0, 1, -1};       // from one right and one above
  Warp warp;
  warp.matrices = matrix.data();
  warp.fill = 9;
  std::vector<float> out(6);
  warp_images(ImageBatch<std::uint8_t>{image.data(), 1, 2, 3, 1}, warp, out.data(), 1);
  EXPECT_EQ(out, (std::vector<float>{9, 9, 9, 2, 3, 9}));
  warp.border = Border::kNearest;
  warp_images(ImageBatch<std::uint8_t>{image.data(), 1, 2, 3, 1}, warp, out.data(), 1);
  EXPECT_EQ(out, (std::vector<float>{2, 3, 3, 2, 3, 3}));
  warp.border = Border::kReflect;
  warp_images(ImageBatch<std::uint8_t>{image.data(), 1, 2, 3, 1}, warp, out.data(), 1);
  EXPECT_EQ(out, (std::vector<float>{5, 6, 5, 2, 3, 2}));
}

TEST(WarpImages, DisplacesByTheLattice) {
  const std::vector<float> image{10, 20, 30, 40};  // 1 x 4
  const std::vector<float> matrix{1, 0, 0, 0, 1, 0};
  const std::vector<float> nodes{2, 4, 0, 0};  // x at two nodes, then y
  const std::vector<float> rows{0.5f};
  const std::vector<float> columns{1, 0, 1, 0, 0, 0.25f, 0, 0};  // [node][pixel]
  Warp warp;
  warp.matrices = matrix.data();
  warp.nodes = nodes.data();
  warp.node_rows = 1;
  warp.node_columns = 2;
  warp.row_weights = rows.data();
  warp.column_weights = columns.data();
  std::vector<float> out(4);
  warp_images(ImageBatch<float>{image.data(), 1, 1, 4, 1}, warp, out.data(), 1);
  EXPECT_EQ(out, (std::vector<float>{20, 25, 40, 40}));  // displaced by 1, 0.5, 1, 0
}

TEST(WarpImages, AnyThreadsTheSameBits) {
  constexpr std::int64_t kCount = 33, kSize = 12 * 10 * 3;
  const auto images = noise<std::uint8_t>(kCount * kSize);
  const auto matrices = same_matrix(kCount, {0.9f, 0.2f, 1, -0.2f, 0.9f, 2});
  Warp warp;
  warp.matrices = matrices.data();
  warp.border = Border::kReflect;
  std::vector<float> expected(kCount * kSize), out(kCount * kSize);
  const ImageBatch<std::uint8_t> batch{images.data(), kCount, 12, 10, 3};
  warp_images(batch, warp, expected.data(), 1);
  for (int threads : {2, 3, 7}) {
    warp_images(batch, warp, out.data(), threads);
    EXPECT_EQ(out, expected) << threads;
  }
}

TEST(WarpImages, StaysInsideWhateverTheCoordinates) {
  const auto image = noise<float>(7 * 5);
  for (Border border : {Border::kConstant, Border::kReflect, Border::kNearest})
    for (float bad : {std::numeric_limits<float>::quiet_NaN(), 3e38f, -3e38f, 1e9f,
                      std::numeric_limits<float>::infinity()}) {
      const std::vector<float> matrix(6, bad);
      Warp warp;
      warp.matrices = matrix.data();
      warp.border = border;
      std::vector<float> out(7 * 5);
      warp_images(ImageBatch<float>{image.data(), 1, 7, 5, 1}, warp, out.data(), 1);
      for (float v : out) EXPECT_TRUE(v >= 0 && v <= 255);
    }
}

TEST(WarpImages, RefusesImagesWithoutPixels) {
  Warp warp;
  EXPECT_THROW(warp_images(ImageBatch<float>{nullptr, 1, 0, 5, 1}, warp, nullptr, 1), ValueError);
  EXPECT_THROW(warp_images(ImageBatch<float>{nullptr, 0, 1 << 25, 5, 1}, warp, nullptr, 1),
               ValueError);
}

TEST(ResizeImages, BoxFilterAverages) {
  const std::vector<float> image{1, 3, 5, 7, 10, 20, 30, 40};  // 2 x 4
  std::vector<float> out(2);
  resize_images(ImageBatch<float>{image.data(), 1, 2, 4, 1}, nullptr, Filter::kBox, 1, 2,
                out.data(), 1);
  EXPECT_EQ(out, (std::vector<float>{8.5f, 20.5f}));
}

TEST(ResizeImages, TheSameSizeIsTheSameImage) {
  const auto image = noise<std::uint8_t>(9 * 8 * 3);
  for (Filter filter :
       {Filter::kNearest, Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos3}) {
    std::vector<std::uint8_t> out(image.size());
    resize_images(ImageBatch<std::uint8_t>{image.data(), 1, 9, 8, 3}, nullptr, filter, 9, 8,
                  out.data(), 1);
    EXPECT_EQ(out, image);
  }
}

TEST(ResizeImages, ABoxIsAllThatCounts) {
  // A 3 x 3 box of one value among others: enlarged, reduced and of every filter, only that value.
  std::vector<std::uint8_t> image(8 * 8, 255);
  for (int y = 2; y < 5; ++y)
    for (int x = 4; x < 7; ++x) image[y * 8 + x] = 77;
  const Box box{2, 4, 3, 3};
  for (Filter filter :
       {Filter::kNearest, Filter::kBox, Filter::kBilinear, Filter::kBicubic, Filter::kLanczos3})
    for (std::int64_t size : {1, 2, 3, 7}) {
      std::vector<std::uint8_t> out(static_cast<std::size_t>(size * size));
      resize_images(ImageBatch<std::uint8_t>{image.data(), 1, 8, 8, 1}, &box, filter, size, size,
                    out.data(), 1);
      for (std::uint8_t v : out) EXPECT_EQ(v, 77);
    }
}

TEST(ResizeImages, AnyThreadsTheSameBits) {
  constexpr std::int64_t kCount = 9;
  const auto images = noise<std::uint8_t>(kCount * 20 * 30 * 3);
  std::vector<Box> boxes;
  for (std::int64_t n = 0; n < kCount; ++n) boxes.push_back({n, 2 * n, 10 + n % 2, 12});
  const ImageBatch<std::uint8_t> batch{images.data(), kCount, 20, 30, 3};
  std::vector<std::uint8_t> expected(kCount * 7 * 40 * 3), out(expected.size());
  resize_images(batch, boxes.data(), Filter::kBicubic, 7, 40, expected.data(), 1);
  for (int threads : {2, 5}) {
    resize_images(batch, boxes.data(), Filter::kBicubic, 7, 40, out.data(), threads);
    EXPECT_EQ(out, expected) << threads;
  }
}

TEST(ResizeImages, RefusesBoxesThatLeaveTheImage) {
  const std::vector<float> image(20);
  const ImageBatch<float> batch{image.data(), 1, 4, 5, 1};
  std::vector<float> out(4);
  for (const Box& box : {Box{-1, 0, 2, 2}, Box{0, 4, 2, 2}, Box{3, 0, 2, 2}, Box{0, 0, 0, 2},
                         Box{1, 0, std::numeric_limits<std::int64_t>::max(), 2}})
    EXPECT_THROW(resize_images(batch, &box, Filter::kBox, 2, 2, out.data(), 1), ValueError);
  EXPECT_THROW(resize_images(batch, nullptr, Filter::kBox, 0, 2, out.data(), 1), ValueError);
  EXPECT_THROW(resize_images(batch, nullptr, Filter::kBox, std::int64_t{1} << 40,
                             std::int64_t{1} << 40, out.data(), 1),
               ValueError);
}

}  // namespace
}  // namespace striate
