// Separable resampling with an antialiasing filter. An output pixel is a weighted sum of the source
// pixels under the filter; the weights of a column are the same in every row, so they are computed
// once a box.
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

constexpr int kFractionBits = 22;  // of a weight for bytes: 8 bits of pixel, 2 of sign and headroom

double sinc(double x) {
  if (x == 0) return 1;
  x *= 3.14159265358979323846;
  return std::sin(x) / x;
}

double filter_value(Filter filter, double x) {
  const double d = std::fabs(x);
  switch (filter) {
    case Filter::kBox:
      return x > -0.5 && x <= 0.5 ? 1 : 0;
    case Filter::kBilinear:
      return d < 1 ? 1 - d : 0;
    case Filter::kBicubic: {  // Keys, a = -1/2
      constexpr double a = -0.5;
      if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
      return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
    }
    case Filter::kLanczos3:
      return d < 3 ? sinc(x) * sinc(x / 3) : 0;
    default:
      return 1;
  }
}

double filter_support(Filter filter) {
  switch (filter) {
    case Filter::kBox:
      return 0.5;
    case Filter::kBicubic:
      return 2;
    case Filter::kLanczos3:
      return 3;
    default:
      return 1;
  }
}

// How a kind of pixel is summed: its weights and its sums, and what becomes of a sum.
template <typename Pixel>
struct Arithmetic;

template <>
struct Arithmetic<float> {
  using Weight = float;
  static Weight weight(double w) { return static_cast<float>(w); }
  static Weight start() { return 0; }
  static float finish(Weight sum) { return sum; }
};

template <>
struct Arithmetic<std::uint8_t> {
  using Weight = std::int32_t;
  static Weight weight(double w) {
    return static_cast<Weight>((w < 0 ? -0.5 : 0.5) + w * (1 << kFractionBits));
  }
  static Weight start() { return 1 << (kFractionBits - 1); }  // half, so that the shift rounds
  static std::uint8_t finish(Weight sum) {
    return static_cast<std::uint8_t>(std::clamp(sum >> kFractionBits, 0, 255));
  }
};

// One axis of a resampling: output i is the sum of weights[i][k] * source[first[i] + k].
template <typename Pixel>
struct Taps {
  std::vector<std::int64_t> first, count;
  std::vector<typename Arithmetic<Pixel>::Weight> weights;  // [output][most]
  std::int64_t most = 0;
};

template <typename Pixel>
Taps<Pixel> make_taps(Filter filter, std::int64_t from, std::int64_t to) {
  const double scale = static_cast<double>(from) / static_cast<double>(to);
  const double spread = std::max(scale, 1.0);
  const double support = filter_support(filter) * spread;
  Taps<Pixel> taps;
  taps.first.resize(static_cast<std::size_t>(to));
  taps.count.resize(static_cast<std::size_t>(to));
  taps.most =
      filter == Filter::kNearest ? 1 : 2 * static_cast<std::int64_t>(std::ceil(support)) + 1;
  taps.weights.resize(static_cast<std::size_t>(checked_mul(to, taps.most)));
  std::vector<double> row(static_cast<std::size_t>(taps.most));
  for (std::int64_t i = 0; i < to; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * scale;
    if (filter == Filter::kNearest) {
      taps.first[i] = std::min(static_cast<std::int64_t>(centre), from - 1);
      taps.count[i] = 1;
      taps.weights[i] = Arithmetic<Pixel>::weight(1);
      continue;
    }
    const auto low = std::max(static_cast<std::int64_t>(centre - support + 0.5), std::int64_t{0});
    const auto high = std::min(static_cast<std::int64_t>(centre + support + 0.5), from);
    double sum = 0;
    for (std::int64_t k = 0; k < high - low; ++k) {
      row[k] = filter_value(filter, (static_cast<double>(k + low) - centre + 0.5) / spread);
      sum += row[k];
    }
    taps.first[i] = low;
    taps.count[i] = high - low;
    for (std::int64_t k = 0; k < high - low; ++k)
      taps.weights[i * taps.most + k] = Arithmetic<Pixel>::weight(sum != 0 ? row[k] / sum : 0);
  }
  return taps;
}

// from: rows of `stride` values, of which the pixel 0 is the box's first; to: [outputs][channels].
template <typename Pixel>
void resize_row(const Taps<Pixel>& taps, const Pixel* from, std::int64_t channels, Pixel* to) {
  using A = Arithmetic<Pixel>;
  const auto outputs = static_cast<std::int64_t>(taps.first.size());
  for (std::int64_t i = 0; i < outputs; ++i) {
    const auto* weights = taps.weights.data() + i * taps.most;
    const Pixel* p = from + taps.first[i] * channels;
    for (std::int64_t c = 0; c < channels; ++c) {
      typename A::Weight sum = A::start();
      for (std::int64_t k = 0; k < taps.count[i]; ++k) sum += weights[k] * p[k * channels + c];
      to[i * channels + c] = A::finish(sum);
    }
  }
}

// from: rows of `length` values, `stride` apart; to: [outputs][length].
template <typename Pixel>
void resize_columns(const Taps<Pixel>& taps, const Pixel* from, std::int64_t stride,
                    std::int64_t length, std::vector<typename Arithmetic<Pixel>::Weight>& sums,
                    Pixel* to) {
  using A = Arithmetic<Pixel>;
  const auto outputs = static_cast<std::int64_t>(taps.first.size());
  sums.resize(static_cast<std::size_t>(length));
  for (std::int64_t i = 0; i < outputs; ++i) {
    std::fill(sums.begin(), sums.end(), A::start());
    for (std::int64_t k = 0; k < taps.count[i]; ++k) {
      const auto weight = taps.weights[i * taps.most + k];
      const Pixel* row = from + (taps.first[i] + k) * stride;
      for (std::int64_t x = 0; x < length; ++x) sums[x] += weight * row[x];
    }
    for (std::int64_t x = 0; x < length; ++x) to[i * length + x] = A::finish(sums[x]);
  }
}

// What a thread keeps from image to image: the taps of the last box, and room.
template <typename Pixel>
struct Resizer {
  Filter filter;
  std::int64_t height, width, channels;
  Taps<Pixel> columns, rows;
  Box last;
  std::vector<Pixel> between;
  std::vector<typename Arithmetic<Pixel>::Weight> sums;

  // from: the box's first pixel in rows `stride` apart.
  void run(const Box& box, const Pixel* from, std::int64_t stride, Pixel* to) {
    if (box.width != last.width) columns = make_taps<Pixel>(filter, box.width, width);
    if (box.height != last.height) rows = make_taps<Pixel>(filter, box.height, height);
    last = box;
    const std::int64_t long_row = box.width * channels, row = width * channels;
    // The order that costs less, a pass along columns counting double for its longer strides;
    // Pillow decides in the same way, and bytes are rounded between the passes.
    if (height < box.height && 2 * width * box.height > box.width * (box.height + height)) {
      between.resize(static_cast<std::size_t>(height * long_row));
      resize_columns(rows, from, stride, long_row, sums, between.data());
      for (std::int64_t y = 0; y < height; ++y)
        resize_row(columns, between.data() + y * long_row, channels, to + y * row);
    } else {
      between.resize(static_cast<std::size_t>(box.height * row));
      for (std::int64_t y = 0; y < box.height; ++y)
        resize_row(columns, from + y * stride, channels, between.data() + y * row);
      resize_columns(rows, between.data(), row, row, sums, to);
    }
  }
};

void check_box(const Box& box, std::int64_t n, std::int64_t height, std::int64_t width) {
  if (box.top < 0 || box.left < 0 || box.height < 1 || box.width < 1 ||
      box.height > height - box.top || box.width > width - box.left)
    throw ValueError("resize_images: box " + std::to_string(n) + " of " +
                     std::to_string(box.height) + " x " + std::to_string(box.width) + " at row " +
                     std::to_string(box.top) + ", column " + std::to_string(box.left) +
                     " is empty or leaves its image of " + std::to_string(height) + " x " +
                     std::to_string(width));
}

template <typename Pixel>
void resize_batch(const ImageBatch<Pixel>& from, const Box* boxes, Filter filter,
                  std::int64_t height, std::int64_t width, Pixel* to, int threads) {
  if (from.height < 1 || from.width < 1 || from.channels < 1 || height < 1 || width < 1)
    throw ValueError("resize_images: from " + std::to_string(from.height) + " x " +
                     std::to_string(from.width) + " to " + std::to_string(height) + " x " +
                     std::to_string(width) + ": there is no pixel");
  for (std::int64_t n = 0; boxes && n < from.count; ++n)
    check_box(boxes[n], n, from.height, from.width);
  const std::int64_t stride = checked_mul(from.width, from.channels);
  const std::int64_t size = checked_mul(checked_mul(height, width), from.channels);
  checked_mul(checked_mul(from.height, width), from.channels);  // between the passes
  parallel_region(threads, [&](Team& team) {
    Resizer<Pixel> resizer{filter, height, width, from.channels, {}, {}, {-1, -1, -1, -1}, {}, {}};
    team.for_each(from.count, [&](std::int64_t n) {
      const Box box = boxes ? boxes[n] : Box{0, 0, from.height, from.width};
      const Pixel* corner = from.pixels + (n * from.height + box.top) * stride;
      resizer.run(box, corner + box.left * from.channels, stride, to + n * size);
    });
  });
}

}  // namespace

void resize_images(const ImageBatch<float>& from, const Box* boxes, Filter filter,
                   std::int64_t height, std::int64_t width, float* to, int threads) {
  resize_batch(from, boxes, filter, height, width, to, threads);
}

void resize_images(const ImageBatch<std::uint8_t>& from, const Box* boxes, Filter filter,
                   std::int64_t height, std::int64_t width, std::uint8_t* to, int threads) {
  resize_batch(from, boxes, filter, height, width, to, threads);
}

}  // namespace striate
