#include "ops/winograd_weight_gradient.h"

#include <algorithm>

#include "core/checked.h"
#include "core/storage.h"

namespace striate {
namespace {

constexpr int kInputSide = 6, kGradientSide = 4;
// Channels and outputs of a task, at most: its points of x and dy are made for it alone, so the
// more of both the better, as long as its sums stay in L3 (2.3 MiB). VGG-16's layers, a core: 128 x
// 128 230 to 315 % of the limit of the taps, 64 x 64 210 to 285 %, 32 x 32 160 to 250 %.
constexpr std::int64_t kPart = 128;
constexpr std::int64_t kTogether = 64;  // tiles

std::int64_t count(std::int64_t n, std::int64_t size) { return (n + size - 1) / size; }

}  // namespace

WinogradWeightGradient::WinogradWeightGradient(const ConvGeometry& geometry, bool shared,
                                               const KernelTable& kernels)
    : g_(winograd_forward(geometry)), k_(kernels), shares_(1, 0) {
  channel_parts_ = count(g_.in_c, kPart);
  output_parts_ = count(g_.out_c, kPart);
  most_channels_ = count(count(g_.in_c, channel_parts_), 16) * 16;
  most_outputs_ = count(count(g_.out_c, output_parts_), k_.channels_tile) * k_.channels_tile;
  channel_parts_ = count(g_.in_c, most_channels_);
  output_parts_ = count(g_.out_c, most_outputs_);
  if (shared)
    shares_ = {GradientShares::choose(channel_parts_ * output_parts_),
               checked_mul(9, checked_mul(g_.in_c, g_.out_c))};
  together_ = kTogether;
  pitch_ = points_apart(most_channels_);
  input_step_ = points_apart(together_ * pitch_);
  gradient_step_ = points_apart(together_ * most_outputs_);
  sum_step_ = points_apart(most_channels_ * most_outputs_);
}

std::int64_t WinogradWeightGradient::scratch_floats() const {
  return kWinogradPoints * (input_step_ + gradient_step_ + sum_step_) +
         align_up(std::max(g_.in_c, g_.out_c));
}

WinogradWeightGradient::Task WinogradWeightGradient::task(int number) const {
  const std::int64_t c = number / output_parts_ * most_channels_;
  const std::int64_t o = number % output_parts_ * most_outputs_;
  return {{c, std::min(c + most_channels_, g_.in_c)}, {o, std::min(o + most_outputs_, g_.out_c)}};
}

void WinogradWeightGradient::to_points(const Task& task, Range tiles, const float* x,
                                       const float* dy, float* zeros, float* inputs,
                                       float* gradients) const {
  const float* window[kInputSide * kInputSide];
  for (std::int64_t tile = tiles.first; tile < tiles.end; ++tile) {
    const std::int64_t t = tile - tiles.first, image = tile / g_.tiles(), at = tile % g_.tiles();
    const std::int64_t row = at / g_.tile_cols() * kWinogradTile;
    const std::int64_t col = at % g_.tile_cols() * kWinogradTile;
    winograd_window(x + image * g_.in_h * g_.in_w * g_.in_c, g_.in_h, g_.in_w, g_.in_c,
                    row - g_.pad_top, col - g_.pad_left, kInputSide, zeros, window);
    k_.winograd_input(window, static_cast<std::int32_t>(task.channels.first),
                      static_cast<std::int32_t>(task.channels.size()), inputs + t * pitch_,
                      input_step_);
    winograd_window(dy + image * g_.out_h * g_.out_w * g_.out_c, g_.out_h, g_.out_w, g_.out_c, row,
                    col, kGradientSide, zeros, window);
    for (std::int64_t o = task.outputs.first; o < task.outputs.end; o += k_.channels_tile) {
      const std::int64_t rest = std::min<std::int64_t>(task.outputs.end - o, k_.channels_tile);
      const std::int64_t width = rest <= k_.vector_width ? k_.vector_width : k_.channels_tile;
      k_.winograd_gradient(window, static_cast<std::int32_t>(o), static_cast<std::int32_t>(rest),
                           gradients + (o - task.outputs.first) * tiles.size() + t * width,
                           gradient_step_);
    }
  }
}

void WinogradWeightGradient::multiply(const Task& task, std::int64_t tiles, const float* inputs,
                                      const float* gradients, bool accumulate, float* sums) const {
  const std::int64_t parts = count(task.channels.size(), k_.wgrad_rows);
  for (int p = 0; p < kWinogradPoints;
       ++p, inputs += input_step_, gradients += gradient_step_, sums += sum_step_) {
    const PixelSpan span{inputs, 0, static_cast<std::int32_t>(tiles)};
    for (std::int64_t o = 0; o < task.outputs.size(); o += k_.channels_tile) {
      const auto outputs = static_cast<std::int32_t>(
          std::min<std::int64_t>(task.outputs.size() - o, k_.channels_tile));
      for (std::int64_t i = 0; i < parts; ++i) {
        const std::int64_t first = task.channels.size() * i / parts;
        const std::int64_t end = task.channels.size() * (i + 1) / parts;
        float* const to = sums + first * most_outputs_ + o;
        k_.wgrad_panel(static_cast<std::int32_t>(end - first), outputs, &span, 1, first, pitch_,
                       gradients + o * tiles,
                       {accumulate ? to : nullptr, most_outputs_, to, most_outputs_});
      }
    }
  }
}

void WinogradWeightGradient::run(int number, std::int64_t samples, const float* x, const float* dy,
                                 bool accumulate, float* scratch, float* shares, float* dw) const {
  const auto weight_tasks = static_cast<int>(channel_parts_ * output_parts_);
  const Task t = task(number % weight_tasks);
  const std::int64_t share = number / weight_tasks;
  if (shares_.count() > 1) {
    dw = shares_.share(shares, share);
    accumulate = false;
  }
  float* const inputs = scratch;
  float* const gradients = inputs + kWinogradPoints * input_step_;
  float* const sums = gradients + kWinogradPoints * gradient_step_;
  float* const zeros = sums + kWinogradPoints * sum_step_;
  std::fill_n(zeros, std::max(g_.in_c, g_.out_c), 0.0f);
  const std::int64_t all = samples * g_.tiles();
  const Range mine{all * share / shares_.count(), all * (share + 1) / shares_.count()};
  const std::int64_t rounds = count(mine.size(), together_);
  if (rounds == 0) std::fill_n(sums, kWinogradPoints * sum_step_, 0.0f);
  for (std::int64_t r = 0; r < rounds; ++r) {  // as even as can be
    const Range tiles{mine.first + mine.size() * r / rounds,
                      mine.first + mine.size() * (r + 1) / rounds};
    to_points(t, tiles, x, dy, zeros, inputs, gradients);
    multiply(t, tiles.size(), inputs, gradients, r > 0, sums);
  }
  for (std::int64_t c = t.channels.first; c < t.channels.end; ++c)
    k_.winograd_filter_gradient(
        static_cast<std::int32_t>(t.outputs.size()), sums + (c - t.channels.first) * most_outputs_,
        sum_step_, dw + c * g_.out_c + t.outputs.first, g_.in_c * g_.out_c, accumulate);
}

}  // namespace striate
