#include "train/orthogonal_step.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

namespace striate {
namespace {

constexpr float kA = 3.4445f, kB = -4.7750f, kC = 2.0315f;
constexpr std::int64_t kRows = 16;   // of the short side a task makes at once
constexpr std::int64_t kBlock = 64;  // of the long side, where rows and columns change places

std::int64_t tasks(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

}  // namespace

void OrthogonalStep::reserve(std::int64_t rows, std::int64_t outputs) {
  const std::int64_t side = std::min(rows, outputs);
  x_.reserve(rows * outputs);
  next_.reserve(rows * outputs);
  gram_.reserve(side * side);
  polynomial_.reserve(side * side);
}

// x = scale * momentum, turned so that its rows are the shorter ones in number.
void OrthogonalStep::take(Team& team, const Matrix& m, float scale) {
  const bool turned = m.rows >= m.outputs;
  short_ = std::min(m.rows, m.outputs);
  long_ = std::max(m.rows, m.outputs);
  team.for_each(tasks(long_, kBlock), [&](std::int64_t task) {
    const std::int64_t first = task * kBlock, end = std::min(first + kBlock, long_);
    for (std::int64_t s = 0; s < short_; ++s)
      for (std::int64_t l = first; l < end; ++l)
        x_.data()[s * long_ + l] = scale * m.momentum[turned ? l * short_ + s : s * long_ + l];
  });
}

void OrthogonalStep::round(Team& team) {
  const auto side = static_cast<std::int32_t>(short_);
  const auto by_rows = [&](auto make) {
    team.for_each(tasks(short_, kRows), [&](std::int64_t task) {
      const std::int64_t first = task * kRows;
      make(first, static_cast<std::int32_t>(std::min(kRows, short_ - first)));
    });
  };
  by_rows([&](std::int64_t first, std::int32_t rows) {
    k_.product_transposed(rows, side, static_cast<std::int32_t>(long_), x_.data() + first * long_,
                          long_, x_.data(), long_, gram_.data() + first * short_, short_);
  });
  by_rows([&](std::int64_t first, std::int32_t rows) {
    float* const to = polynomial_.data() + first * short_;
    const float* const gram = gram_.data() + first * short_;
    k_.product(rows, side, side, gram, short_, gram_.data(), short_, nullptr, 0, to, short_);
    k_.blend(rows * short_, kB, gram, kC, to, to);
  });
  by_rows([&](std::int64_t first, std::int32_t rows) {
    float* const to = next_.data() + first * long_;
    k_.product(rows, side, static_cast<std::int32_t>(long_), polynomial_.data() + first * short_,
               short_, x_.data(), long_, nullptr, 0, to, long_);
    k_.blend(rows * long_, kA, x_.data() + first * long_, 1.0f, to, to);
  });
  // Everyone has left the last loop; one thread changes the names for all.
  team.for_each(1, [&](std::int64_t) { std::swap(x_, next_); });
}

void OrthogonalStep::move(Team& team, const Matrix& m, float keep, float rate) {
  const bool turned = m.rows >= m.outputs;
  team.for_each(tasks(m.rows, kBlock), [&](std::int64_t task) {
    const std::int64_t first = task * kBlock, end = std::min(first + kBlock, m.rows);
    for (std::int64_t r = first; r < end; ++r)
      for (std::int64_t o = 0; o < m.outputs; ++o) {
        const float step = x_.data()[turned ? o * long_ + r : r * long_ + o];
        float& w = m.weights[r * m.outputs + o];
        w = keep * w - rate * step;
      }
  });
}

void OrthogonalStep::run(Team& team, const Matrix& m, double norm, float keep, float rate) {
  // Of nothing to go by, zeros; of what is not finite, NaN, as any other rule leaves.
  take(team, m, norm > 0.0 || std::isnan(norm) ? static_cast<float>(1.0 / norm) : 0.0f);
  for (int i = 0; i < rounds_; ++i) round(team);
  move(team, m, keep, rate);
}

}  // namespace striate
