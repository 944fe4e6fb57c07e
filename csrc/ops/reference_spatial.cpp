#include "ops/reference_spatial.h"

#include <algorithm>
#include <cmath>

namespace striate::reference {
namespace {

using Position = std::vector<std::int64_t>;  // a coordinate by axis

Position position(const Shape& s, std::int64_t feature) {
  Position p(static_cast<std::size_t>(s.rank()));
  for (int a = s.rank(); a-- > 0; feature /= s[a]) p[static_cast<std::size_t>(a)] = feature % s[a];
  return p;
}

std::int64_t feature(const Shape& s, const Position& p) {
  std::int64_t f = 0;
  for (int a = 0; a < s.rank(); ++a) f = f * s[a] + p[static_cast<std::size_t>(a)];
  return f;
}

// Which feature of an input of shape `s` meets feature f of `out`.
std::int64_t broadcast_feature(const Shape& s, const Shape& out, std::int64_t f) {
  const Position p = position(out, f);
  Position own(p.end() - s.rank(), p.end());
  for (int a = 0; a < s.rank(); ++a)
    if (s[a] == 1) own[static_cast<std::size_t>(a)] = 0;
  return feature(s, own);
}

bool wins(const std::string& kind, float challenger, float best) {
  return kind == "maximum" ? challenger > best : challenger < best;
}

// The first of the extreme values.
std::size_t winner(const std::string& kind, const std::vector<float>& values) {
  std::size_t best = 0;
  for (std::size_t i = 1; i < values.size(); ++i)
    if (wins(kind, values[i], values[best])) best = i;
  return best;
}

float merged(const std::string& kind, const std::vector<float>& values) {
  if (kind == "maximum" || kind == "minimum") return values[winner(kind, values)];
  float y = values[0];
  for (std::size_t i = 1; i < values.size(); ++i)
    y = kind == "multiply" ? y * values[i] : kind == "subtract" ? y - values[i] : y + values[i];
  return kind == "average" ? y * (1.0f / static_cast<float>(values.size())) : y;
}

// dy / dx[i].
float slope(const std::string& kind, const std::vector<float>& values, std::size_t i) {
  if (kind == "maximum" || kind == "minimum") return winner(kind, values) == i ? 1.0f : 0.0f;
  if (kind == "average") return 1.0f / static_cast<float>(values.size());
  if (kind == "subtract") return i == 1 ? -1.0f : 1.0f;
  float product = 1.0f;
  if (kind == "multiply")
    for (std::size_t j = 0; j < values.size(); ++j)
      if (j != i) product *= values[j];
  return product;
}

// Calls body(values by input, offset by input, offset in y).
template <typename Body>
void each_output(int n, const std::vector<Shape>& inputs, const Shape& out,
                 const std::vector<Rows>& x, Body body) {
  for (std::int64_t i = 0; i < n; ++i)
    for (std::int64_t f = 0; f < out.size(); ++f) {
      std::vector<float> values;
      std::vector<std::size_t> at;
      for (std::size_t k = 0; k < inputs.size(); ++k) {
        at.push_back(
            static_cast<std::size_t>(i * inputs[k].size() + broadcast_feature(inputs[k], out, f)));
        values.push_back(x[k][at.back()]);
      }
      body(values, at, static_cast<std::size_t>(i * out.size() + f));
    }
}

}  // namespace

Rows merge(const std::string& kind, int n, const std::vector<Shape>& inputs, const Shape& out,
           const std::vector<Rows>& x) {
  Rows y(static_cast<std::size_t>(n * out.size()));
  each_output(n, inputs, out, x,
              [&](const std::vector<float>& values, const std::vector<std::size_t>&,
                  std::size_t at) { y[at] = merged(kind, values); });
  return y;
}

std::vector<Rows> merge_backward(const std::string& kind, int n, const std::vector<Shape>& inputs,
                                 const Shape& out, const std::vector<Rows>& x, const Rows& dy,
                                 int order) {
  std::vector<Rows> dx;
  for (const Rows& rows : x) dx.emplace_back(rows.size(), 0.0f);
  each_output(
      n, inputs, out, x,
      [&](const std::vector<float>& values, const std::vector<std::size_t>& from, std::size_t at) {
        for (std::size_t k = 0; k < inputs.size(); ++k) {
          const float s = slope(kind, values, k);
          dx[k][from[k]] += dy[at] * (order == 2 ? s * s : s);
        }
      });
  return dx;
}

Rows apply(const LinearMap& map, int n, const Shape& in, const Shape& out, const Rows& x) {
  Rows y(static_cast<std::size_t>(n * out.size()), 0.0f);
  map([&](std::int64_t from, std::int64_t to, float factor) {
    for (std::int64_t i = 0; i < n; ++i)
      y[static_cast<std::size_t>(i * out.size() + to)] +=
          x[static_cast<std::size_t>(i * in.size() + from)] * factor;
  });
  return y;
}

Rows apply_transposed(const LinearMap& map, int n, const Shape& in, const Shape& out,
                      const Rows& dy, int order) {
  Rows dx(static_cast<std::size_t>(n * in.size()), 0.0f);
  map([&](std::int64_t from, std::int64_t to, float factor) {
    for (std::int64_t i = 0; i < n; ++i)
      dx[static_cast<std::size_t>(i * in.size() + from)] +=
          dy[static_cast<std::size_t>(i * out.size() + to)] *
          (order == 2 ? factor * factor : factor);
  });
  return dx;
}

LinearMap zero_padding2d(const Shape& in, const Padding& p) {
  return [=](const Entry& entry) {
    const Shape out{in[0] + p.top + p.bottom, in[1] + p.left + p.right, in[2]};
    for (std::int64_t f = 0; f < in.size(); ++f) {
      Position at = position(in, f);
      at[0] += p.top;
      at[1] += p.left;
      entry(f, feature(out, at), 1.0f);
    }
  };
}

LinearMap cropping2d(const Shape& in, const Padding& p) {
  return [=](const Entry& entry) {
    const Shape out{in[0] - p.top - p.bottom, in[1] - p.left - p.right, in[2]};
    for (std::int64_t f = 0; f < out.size(); ++f) {
      Position at = position(out, f);
      at[0] += p.top;
      at[1] += p.left;
      entry(feature(in, at), f, 1.0f);
    }
  };
}

LinearMap permute(const Shape& in, const std::vector<int>& axes) {
  return [=](const Entry& entry) {
    std::vector<std::int64_t> extents;
    for (int a : axes) extents.push_back(in[a]);
    const Shape out(extents);
    for (std::int64_t f = 0; f < in.size(); ++f) {
      const Position from = position(in, f);
      Position to;
      for (int a : axes) to.push_back(from[static_cast<std::size_t>(a)]);
      entry(f, feature(out, to), 1.0f);
    }
  };
}

LinearMap upsampling2d(const Shape& in, const Extent& size, bool bilinear) {
  // TensorFlow's ResizeBilinear with half_pixel_centers: neighbours clamped to the image.
  const auto weights = [bilinear](std::int64_t o, std::int64_t factor, std::int64_t extent) {
    std::vector<std::pair<std::int64_t, float>> w;
    if (!bilinear) {
      w.emplace_back(o / factor, 1.0f);
      return w;
    }
    const double at = (static_cast<double>(o) + 0.5) / static_cast<double>(factor) - 0.5;
    const auto low = std::max<std::int64_t>(static_cast<std::int64_t>(std::floor(at)), 0);
    const auto high = std::min<std::int64_t>(static_cast<std::int64_t>(std::ceil(at)), extent - 1);
    const auto share = static_cast<float>(at - std::floor(at));
    if (low == high) {
      w.emplace_back(low, 1.0f);
    } else {
      w.emplace_back(low, 1.0f - share);
      w.emplace_back(high, share);
    }
    return w;
  };
  return [=](const Entry& entry) {
    const Shape out{in[0] * size.h, in[1] * size.w, in[2]};
    for (std::int64_t f = 0; f < out.size(); ++f) {
      const Position at = position(out, f);
      for (const auto& [h, a] : weights(at[0], size.h, in[0]))
        for (const auto& [w, b] : weights(at[1], size.w, in[1]))
          entry(feature(in, {h, w, at[2]}), f, a * b);
    }
  };
}

LinearMap adaptive_avg_pool2d(const Shape& in, const Extent& o) {
  const auto begin = [](std::int64_t i, std::int64_t extent, std::int64_t outputs) {
    return static_cast<std::int64_t>(
        std::floor(static_cast<double>(i * extent) / static_cast<double>(outputs)));
  };
  const auto end = [](std::int64_t i, std::int64_t extent, std::int64_t outputs) {
    return static_cast<std::int64_t>(
        std::ceil(static_cast<double>((i + 1) * extent) / static_cast<double>(outputs)));
  };
  return [=](const Entry& entry) {
    const Shape out{o.h, o.w, in[2]};
    for (std::int64_t f = 0; f < out.size(); ++f) {
      const Position at = position(out, f);
      const std::int64_t top = begin(at[0], in[0], o.h), bottom = end(at[0], in[0], o.h);
      const std::int64_t left = begin(at[1], in[1], o.w), right = end(at[1], in[1], o.w);
      const float share = 1.0f / static_cast<float>((bottom - top) * (right - left));
      for (std::int64_t h = top; h < bottom; ++h)
        for (std::int64_t w = left; w < right; ++w) entry(feature(in, {h, w, at[2]}), f, share);
    }
  };
}

LinearMap concatenate(const std::vector<Shape>& inputs, std::size_t input, int axis,
                      const Shape& out) {
  return [=](const Entry& entry) {
    std::int64_t before = 0;
    for (std::size_t i = 0; i < input; ++i) before += inputs[i][axis];
    for (std::int64_t f = 0; f < inputs[input].size(); ++f) {
      Position at = position(inputs[input], f);
      at[static_cast<std::size_t>(axis)] += before;
      entry(f, feature(out, at), 1.0f);
    }
  };
}

}  // namespace striate::reference
