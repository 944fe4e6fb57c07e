// Batch normalisation (Ioffe and Szegedy 2015) over the last axis, as Keras 3 means it:
//   y = gamma[c] * (x - mean[c]) / sqrt(variance[c] + epsilon) + beta[c]
// In training mean and (biased) variance are the batch's, over samples and pixels, and the moving
// ones take them in: moving = momentum * moving + (1 - momentum) * batch's. In inference, and where
// the layer is frozen, they are the moving ones. Its blocks meet twice: forward for the moments,
// backward for the sums of dy and dy * (x - mean).
//
// A ReLU behind it, and a sum of two values between the two, are done in the same pass
// (StepOptions' relu and adds). What of dy the ReLU lets back is told by scale * x + offset once
// more, so that backward reads dy and x alone; behind a sum by y.
#include <algorithm>
#include <cmath>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/epilogue.h"
#include "ops/op.h"

namespace striate {
namespace {

struct Indices {  // of the op's parameters; -1: absent
  int gamma, beta, mean, variance;
};
Indices indices_of(const BatchNormalizationOptions& o) {
  const int beta = o.scale ? 1 : 0, mean = beta + (o.center ? 1 : 0);
  return {o.scale ? 0 : -1, o.center ? beta : -1, mean, mean + 1};
}

class NormalizationStep : public Step {
 public:
  NormalizationStep(const BatchNormalizationOptions& options, const StepOptions& o)
      : o_(options),
        at_(indices_of(options)),
        k_(*o.kernels),
        lanes_(o.layout == Layout::kSamples),
        relu_(o.relu),
        adds_(o.adds) {
    const Shape& s = o.inputs[0];
    channels_ = narrow<std::int32_t>(s[s.rank() - 1]);
    pixels_ = s.size() / channels_;
    row_ = align_up(channels_);
    forward_in_place = false;
    backward_in_place = true;
    backward_reads_x = true;
    backward_reads_y = relu_ && adds_;
  }

 protected:
  // Pixels of one sample, or of kLanes samples at once.
  std::int64_t block_pixels(const StepArgs& a) const { return pixels_ * (lanes_ ? 1 : a.samples); }
  double gamma(const float* const* params, std::int32_t c) const {
    return at_.gamma < 0 ? 1.0 : static_cast<double>(params[at_.gamma][c]);
  }
  double beta(const float* const* params, std::int32_t c) const {
    return at_.beta < 0 ? 0.0 : static_cast<double>(params[at_.beta][c]);
  }
  void affine(const StepArgs& a, const float* scale, const float* x, const Epilogue& epilogue,
              float* y) const {
    const auto map = lanes_ ? k_.channel_affine_samples : k_.channel_affine_channels;
    map(block_pixels(a), channels_, scale, x, epilogue, y);
  }
  // maps: [scale, offset, ...]
  void map_forward(const ForwardArgs& a, const float* maps) const {
    affine(a, maps, a.x[0], {maps + row_, adds_ ? a.x[1] : nullptr, floor_of(relu_)}, a.y);
  }
  ReluMask mask(const BackwardArgs& a, const float* maps) const {
    if (!relu_) return {};
    return adds_ ? ReluMask{a.y, nullptr, nullptr} : ReluMask{nullptr, maps, maps + row_};
  }
  void sums(const BackwardArgs& a, const float* maps, const float* mean, float* sum,
            float* dot) const {
    const auto gradient = lanes_ ? k_.channel_gradient_samples : k_.channel_gradient_channels;
    gradient(block_pixels(a), channels_, a.dy, a.x[0], mean, mask(a, maps), sum, dot);
  }
  // dx = f[c] * g + f[row + c] * x + f[2 row + c], g being what passes of dy: the gradient of what
  // is added.
  void input_gradients(const BackwardArgs& a, const float* maps, const float* f) const {
    float* const dr = adds_ ? a.dx[1] : nullptr;
    if (!a.dx[0] && !dr) return;
    const float *const b = f + row_, *const k = f + 2 * row_;
    if (lanes_)
      k_.channel_affine2_samples(pixels_, channels_, static_cast<std::int32_t>(a.samples), f, b, k,
                                 mask(a, maps), a.dy, a.x[0], a.dx[0], dr);
    else
      k_.channel_affine2_channels(block_pixels(a), channels_, f, b, k, mask(a, maps), a.dy, a.x[0],
                                  a.dx[0], dr);
  }
  static void add(float* to, double value, bool accumulate) {
    *to = static_cast<float>(accumulate ? *to + value : value);
  }
  void refuse_second_order(const BackwardArgs& a) const {
    if (a.order == 2)
      throw ValueError("the curvature pass does not go through batch normalisation");
  }

  BatchNormalizationOptions o_;
  Indices at_;
  const KernelTable& k_;
  bool lanes_, relu_, adds_;
  std::int32_t channels_ = 0;
  std::int64_t pixels_ = 0;
  std::int64_t row_ = 0;  // floats from one vector of channels to the next
};

// On the batch's statistics. common: [scale, offset, mean, variance, 1/deviation, then backward's
// a, b, k] by channel; a part: [mean, m2] and backward [sum, dot].
class TrainingStep final : public NormalizationStep {
 public:
  TrainingStep(const BatchNormalizationOptions& options, const StepOptions& o)
      : NormalizationStep(options, o) {
    part_size = part_size_backward = 2 * row_;
    common_size = 8 * row_;
    has_state = true;
  }

  void gather(const ForwardArgs& a, float* part) const override {
    if (lanes_)
      k_.channel_moments_samples(pixels_, channels_, static_cast<std::int32_t>(a.samples), a.x[0],
                                 part, part + row_);
    else
      k_.channel_moments_channels(block_pixels(a), channels_, a.x[0], part, part + row_);
  }

  // Blocks are merged in their order, in double.
  void meet(const MeetArgs& m) const override {
    for (std::int32_t c = 0; c < channels_; ++c) {
      double count = 0.0, mean = 0.0, m2 = 0.0;
      for (std::int64_t b = 0; b < m.blocks; ++b) {
        const float* part = m.parts + b * m.part_floats;
        const double n = static_cast<double>(m.samples_of(b) * pixels_);
        const double delta = part[c] - mean;
        m2 += part[row_ + c] + delta * delta * count * n / (count + n);
        count += n;
        mean += delta * n / count;
      }
      const double variance = m2 / count, inverse = 1.0 / std::sqrt(variance + o_.epsilon);
      const double scale = gamma(m.params, c) * inverse;
      float* common = m.common + c;
      common[0] = static_cast<float>(scale);
      common[row_] = static_cast<float>(beta(m.params, c) - mean * scale);
      common[2 * row_] = static_cast<float>(mean);
      common[3 * row_] = static_cast<float>(variance);
      common[4 * row_] = static_cast<float>(inverse);
    }
  }

  void forward(const ForwardArgs& a) const override { map_forward(a, a.common); }

  void gather_backward(const BackwardArgs& a, float* part) const override {
    refuse_second_order(a);
    sums(a, a.common, a.common + 2 * row_, part, part + row_);
  }

  // With M elements a channel, s = 1/deviation:
  //   dx = gamma*s * (dy - sum(dy)/M - (x - mean) * s^2 * sum(dy*(x - mean))/M)
  void meet_backward(const MeetArgs& m) const override {
    const double count = static_cast<double>(m.samples * pixels_);
    for (std::int32_t c = 0; c < channels_; ++c) {
      double sum = 0.0, dot = 0.0;
      for (std::int64_t b = 0; b < m.blocks; ++b) {
        sum += m.parts[b * m.part_floats + c];
        dot += m.parts[b * m.part_floats + row_ + c];
      }
      float* common = m.common + c;
      const double inverse = common[4 * row_], mean = common[2 * row_];
      if (m.dparams && at_.gamma >= 0 && m.dparams[at_.gamma])
        add(m.dparams[at_.gamma] + c, dot * inverse, m.accumulate);
      if (m.dparams && at_.beta >= 0 && m.dparams[at_.beta])
        add(m.dparams[at_.beta] + c, sum, m.accumulate);
      const double a = gamma(m.params, c) * inverse;
      const double b = -a * inverse * inverse * dot / count;
      common[5 * row_] = static_cast<float>(a);
      common[6 * row_] = static_cast<float>(b);
      common[7 * row_] = static_cast<float>(-a * sum / count - b * mean);
    }
    // No gradient changes the moving statistics.
    for (int i : {at_.mean, at_.variance})
      if (m.dparams && m.dparams[i] && !m.accumulate) std::fill_n(m.dparams[i], channels_, 0.0f);
  }

  void backward(const BackwardArgs& a) const override {
    input_gradients(a, a.common, a.common + 5 * row_);
  }

  void commit(const float* common, float* const* params) const override {
    const double keep = o_.momentum, take = 1.0 - o_.momentum;
    for (std::int32_t c = 0; c < channels_; ++c) {
      float &mean = params[at_.mean][c], &variance = params[at_.variance][c];
      mean = static_cast<float>(keep * mean + take * common[2 * row_ + c]);
      variance = static_cast<float>(keep * variance + take * common[3 * row_ + c]);
    }
  }
};

// On the moving statistics: an affine map. packed: [scale, offset, mean, 1/deviation, then
// backward's a, b, k: scale, 0, 0].
class InferenceStep final : public NormalizationStep {
 public:
  InferenceStep(const BatchNormalizationOptions& options, const StepOptions& o)
      : NormalizationStep(options, o) {
    forward_in_place = true;
    packed_size = packed_backward_size = 7 * row_;
    scratch_size = 2 * row_;
  }

  void pack(const PackArgs& p) const override {
    for (std::int32_t c = 0; c < channels_; ++c) {
      const double mean = p.params[at_.mean][c];
      const double inverse = 1.0 / std::sqrt(p.params[at_.variance][c] + o_.epsilon);
      const double scale = gamma(p.params, c) * inverse;
      p.packed[c] = static_cast<float>(scale);
      p.packed[row_ + c] = static_cast<float>(beta(p.params, c) - mean * scale);
      p.packed[2 * row_ + c] = static_cast<float>(mean);
      p.packed[3 * row_ + c] = static_cast<float>(inverse);
      p.packed[4 * row_ + c] = p.packed[c];
      p.packed[5 * row_ + c] = p.packed[6 * row_ + c] = 0.0f;
    }
  }

  void forward(const ForwardArgs& a) const override { map_forward(a, a.packed); }

  void backward(const BackwardArgs& a) const override {
    refuse_second_order(a);
    if (a.dparams[at_.mean] && !a.accumulate)
      for (int i : {at_.mean, at_.variance}) std::fill_n(a.dparams[i], channels_, 0.0f);
    float* dgamma = at_.gamma < 0 ? nullptr : a.dparams[at_.gamma];
    float* dbeta = at_.beta < 0 ? nullptr : a.dparams[at_.beta];
    if (dgamma || dbeta) {
      sums(a, a.packed, a.packed + 2 * row_, a.scratch, a.scratch + row_);
      for (std::int32_t c = 0; c < channels_; ++c) {
        if (dgamma)
          add(dgamma + c, static_cast<double>(a.scratch[row_ + c]) * a.packed[3 * row_ + c],
              a.accumulate);
        if (dbeta) add(dbeta + c, a.scratch[c], a.accumulate);
      }
    }
    if (relu_ || adds_)
      input_gradients(a, a.packed, a.packed + 4 * row_);
    else if (a.dx[0])
      affine(a, a.packed, a.dy, {}, a.dx[0]);
  }
};

class BatchNormalization final : public Op {
 public:
  explicit BatchNormalization(BatchNormalizationOptions o) : o_(std::move(o)) {}
  const char* kind() const override { return "batch_normalization"; }
  Shape output_shape(const std::vector<Shape>& in) const override { return single_input(in); }
  bool supports(Layout) const override { return true; }
  bool is_batch_normalization() const override { return true; }
  bool takes_relu() const override { return true; }
  bool takes_relu_backward() const override { return true; }
  bool takes_add(const std::vector<Shape>&) const override { return true; }
  bool begins_frozen() const override { return !o_.trainable; }

  std::vector<ParameterSpec> parameters(const std::vector<Shape>& in) const override {
    const std::int64_t channels = in[0][in[0].rank() - 1];
    std::vector<ParameterSpec> specs;
    const auto add = [&](const char* name, const Initializer& initializer, bool trainable) {
      ParameterSpec s;
      s.name = name;
      s.shape = {channels};
      s.initializer = initializer;
      s.trainable = trainable;
      s.fixed = name[0] == 'm';
      s.count = channels;
      specs.push_back(std::move(s));
    };
    if (o_.scale) add("gamma", o_.gamma_initializer, o_.trainable);
    if (o_.center) add("beta", o_.beta_initializer, o_.trainable);
    add("moving_mean", o_.moving_mean_initializer, false);
    add("moving_variance", o_.moving_variance_initializer, false);
    return specs;
  }

  void fold(std::int64_t channels, const float* const* params, float* scale,
            float* offset) const override {
    const Indices at = indices_of(o_);
    for (std::int64_t c = 0; c < channels; ++c) {
      const double inverse = 1.0 / std::sqrt(params[at.variance][c] + o_.epsilon);
      const double s = (at.gamma < 0 ? 1.0 : static_cast<double>(params[at.gamma][c])) * inverse;
      scale[c] = static_cast<float>(s);
      offset[c] = static_cast<float>((at.beta < 0 ? 0.0 : static_cast<double>(params[at.beta][c])) -
                                     params[at.mean][c] * s);
    }
  }

  std::unique_ptr<Step> bind(const StepOptions& o) const override {
    if (o.training && !o_.inference) return std::make_unique<TrainingStep>(o_, o);
    return std::make_unique<InferenceStep>(o_, o);
  }

 private:
  BatchNormalizationOptions o_;
};

}  // namespace

OpPtr batch_normalization(BatchNormalizationOptions o) {
  if (!(o.momentum >= 0.0 && o.momentum <= 1.0))
    throw ValueError("momentum must be in [0, 1], got " + std::to_string(o.momentum));
  if (!(o.epsilon > 0.0) || !std::isfinite(o.epsilon))
    throw ValueError("epsilon must be positive, got " + std::to_string(o.epsilon));
  return std::make_shared<BatchNormalization>(std::move(o));
}

}  // namespace striate
