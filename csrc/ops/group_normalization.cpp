// Group normalisation (Wu and He 2018): statistics of a sample over all positions and a group's
// channels; with a group for each channel instance normalisation.
#include <algorithm>
#include <cmath>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/normalization.h"

namespace striate {
namespace {

// A sample is [pixels][C]. The kernels work by channel; here the channels' numbers are put together
// to the groups', in double and in order.
class GroupNormStep final : public Step {
 public:
  GroupNormStep(std::int64_t groups, float epsilon, const ScaleAndCenter& has, const StepOptions& o)
      : groups_(groups), epsilon_(epsilon), has_(has), k_(*o.kernels) {
    const Shape& s = o.inputs[0];
    channels_ = narrow<std::int32_t>(s[s.rank() - 1]);
    pixels_ = s.size() / channels_;
    count_ = static_cast<double>(s.size() / groups);
    backward_reads_x = true;
    forward_in_place = backward_in_place = true;
    saved_size = sample_statistics() * o.block_samples;
    scratch_size = sample_statistics() + 4 * row();
  }

  void forward(const ForwardArgs& a) const override {
    const std::int64_t floats = pixels_ * channels_;
    float *const scale = a.scratch + sample_statistics(), *const offset = scale + row();
    for (int n = 0; n < a.samples; ++n) {
      const Statistics s(*this, a.keep ? a.saved + n * sample_statistics() : a.scratch);
      const float* x = a.x[0] + n * floats;
      measure(x, s, scale, offset);
      for (std::int32_t c = 0; c < channels_; ++c) {
        const std::int64_t g = c / group_channels();
        const float gamma = has_.scale ? has_.gamma(a.params)[c] : 1.0f;
        scale[c] = s.inverse[g] * gamma;
        offset[c] = (has_.center ? has_.beta(a.params)[c] : 0.0f) - s.rest[g] * gamma;
      }
      k_.channel_shifted_affine(pixels_, channels_, s.shift, scale, offset, x, a.y + n * floats);
    }
  }

  void backward(const BackwardArgs& a) const override {
    if (a.order == 2) throw ValueError("the curvature pass does not go through normalization");
    for (int n = 0; n < a.samples; ++n) backward_sample(a, n);
  }

 private:
  // Of one sample: the normalised x is (x - shift[c]) * inverse[g] - rest[g].
  struct Statistics {
    float *shift, *inverse, *rest;  // by channel, by group, by group
    Statistics(const GroupNormStep& step, float* memory)
        : shift(memory), inverse(memory + step.row()), rest(inverse + align_up(step.groups_)) {}
  };

  std::int64_t row() const { return align_up(channels_); }
  std::int64_t sample_statistics() const { return row() + 2 * align_up(groups_); }
  std::int64_t group_channels() const { return channels_ / groups_; }

  template <typename Term>
  double group_sum(std::int64_t group, Term term) const {
    double sum = 0.0;
    for (std::int64_t c = group * group_channels(); c < (group + 1) * group_channels(); ++c)
      sum += static_cast<double>(term(c));
    return sum;
  }

  // sums, squares: C floats of scratch each.
  void measure(const float* x, const Statistics& s, float* sums, float* squares) const {
    k_.bias_grad_channels(pixels_, channels_, x, sums, false);
    for (std::int64_t g = 0; g < groups_; ++g) {
      const double mean = group_sum(g, [&](std::int64_t c) { return sums[c]; }) / count_;
      for (std::int64_t c = g * group_channels(); c < (g + 1) * group_channels(); ++c)
        s.shift[c] = static_cast<float>(mean);
    }
    k_.channel_deviations(pixels_, channels_, s.shift, x, sums, squares);
    for (std::int64_t g = 0; g < groups_; ++g) {
      const double rest = group_sum(g, [&](std::int64_t c) { return sums[c]; }) / count_;
      const double square = group_sum(g, [&](std::int64_t c) { return squares[c]; }) / count_;
      const double inverse = 1.0 / std::sqrt(std::max(square - rest * rest, 0.0) + epsilon_);
      s.inverse[g] = static_cast<float>(inverse);
      s.rest[g] = static_cast<float>(rest * inverse);
    }
  }

  // With z the normalised x, A the mean over the group of dy * gamma and B that of dy * gamma * z:
  //   dx = inverse * (dy * gamma - A - z * B)
  void backward_sample(const BackwardArgs& a, int n) const {
    const std::int64_t floats = pixels_ * channels_;
    const Statistics s(*this, a.saved + n * sample_statistics());
    const float *const x = a.x[0] + n * floats, *const dy = a.dy + n * floats;
    float* const sums = a.scratch + sample_statistics();  // of dy
    float* const dots = sums + row();                     // of dy * z
    k_.channel_shifted_dots(pixels_, channels_, s.shift, x, dy, sums, dots);
    for (std::int32_t c = 0; c < channels_; ++c) {
      const std::int64_t g = c / group_channels();
      dots[c] = s.inverse[g] * dots[c] - s.rest[g] * sums[c];
    }
    const bool add = a.accumulate || n > 0;
    if (float* const dgamma = has_.dgamma(a.dparams)) give(dots, add, dgamma);
    if (float* const dbeta = has_.dbeta(a.dparams)) give(sums, add, dbeta);
    if (!a.dx[0]) return;
    float *const dy_factor = dots + row(), *const offset = dy_factor + row();
    const float* const gamma = has_.gamma(a.params);
    const auto weight = [=](std::int64_t c) { return gamma ? double{gamma[c]} : 1.0; };
    for (std::int64_t g = 0; g < groups_; ++g) {
      const double mean = group_sum(g, [&](std::int64_t c) { return weight(c) * sums[c]; });
      const double slope = group_sum(g, [&](std::int64_t c) { return weight(c) * dots[c]; });
      const double inverse = s.inverse[g], b = slope / count_;
      for (std::int64_t c = g * group_channels(); c < (g + 1) * group_channels(); ++c) {
        dy_factor[c] = static_cast<float>(inverse * weight(c));
        offset[c] = static_cast<float>(inverse * (double{s.rest[g]} * b - mean / count_));
        dots[c] = static_cast<float>(-inverse * inverse * b);  // the factor of x - shift
      }
    }
    k_.channel_shifted_affine_backward(pixels_, channels_, s.shift, dy_factor, dots, offset, x, dy,
                                       a.dx[0] + n * floats);
  }

  void give(const float* gradient, bool add, float* to) const {
    for (std::int32_t c = 0; c < channels_; ++c) to[c] = add ? to[c] + gradient[c] : gradient[c];
  }

  std::int64_t groups_;
  float epsilon_;
  ScaleAndCenter has_;
  const KernelTable& k_;
  std::int32_t channels_ = 0;
  std::int64_t pixels_ = 0;
  double count_ = 1.0;  // numbers in a group
};

class GroupNormalization final : public Op {
 public:
  GroupNormalization(std::int64_t groups, const NormalizationOptions& o) : groups_(groups), o_(o) {}
  const char* kind() const override { return "group_normalization"; }

  Shape output_shape(const std::vector<Shape>& in) const override {
    groups(in);
    return in[0];
  }
  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    const Shape& s = single_input(in);
    return normalization_parameters(o_, {s[s.rank() - 1]});
  }
  bool supports(Layout layout) const override { return layout == Layout::kChannels; }
  std::unique_ptr<Step> bind(const StepOptions& options) const override {
    return std::make_unique<GroupNormStep>(groups(options.inputs), static_cast<float>(o_.epsilon),
                                           ScaleAndCenter{o_.scale, o_.center}, options);
  }

 private:
  std::int64_t groups(const std::vector<Shape>& in) const {
    const Shape& s = single_input(in);
    const std::int64_t c = s[s.rank() - 1];
    if (groups_ == -1) return c;
    if (c % groups_ != 0)
      throw ShapeError("input has " + std::to_string(c) +
                       " channels, not a multiple of groups=" + std::to_string(groups_));
    return groups_;
  }

  std::int64_t groups_;
  NormalizationOptions o_;
};

}  // namespace

OpPtr group_normalization(std::int64_t groups, NormalizationOptions options) {
  if (groups < 1 && groups != -1)
    throw ValueError("groups must be at least 1, or -1 for a group each channel, got " +
                     std::to_string(groups));
  check_normalization(options);
  return std::make_shared<GroupNormalization>(groups, options);
}

}  // namespace striate
