#include "train/update.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "striate/error.h"

namespace striate {
namespace {

void require(bool ok, const std::string& rule, double value) {
  if (!ok) throw ValueError("optimizer: " + rule + ", got " + std::to_string(value));
}

void check(const OptimizerOptions& o) {
  int clips = 0;
  for (const auto& [name, limit] : {std::pair{"clipnorm", o.clipnorm},
                                    {"clipvalue", o.clipvalue},
                                    {"global_clipnorm", o.global_clipnorm}}) {
    require(std::isfinite(limit) && limit >= 0.0,
            std::string(name) + " must be finite and positive, or 0 for none", limit);
    clips += limit > 0.0;
  }
  if (clips > 1)
    throw ValueError(
        "optimizer: gradients are clipped one way: by clipnorm, clipvalue or global_clipnorm");
  require(o.ema_momentum >= 0.0 && o.ema_momentum <= 1.0, "ema_momentum must be in [0, 1]",
          o.ema_momentum);
  require(o.ema_overwrite_frequency >= 0,
          "ema_overwrite_frequency must be at least 1 update, or 0 for never",
          static_cast<double>(o.ema_overwrite_frequency));
  require(o.gradient_accumulation_steps >= 1, "gradient_accumulation_steps must be at least 1",
          static_cast<double>(o.gradient_accumulation_steps));
}

// What takes a gradient of this norm to at most `limit`. A norm that is not finite makes every
// gradient NaN, as in Keras: scaled to zero, they would hide what went wrong.
float scale_to(double limit, double norm) {
  if (!std::isfinite(norm)) return std::numeric_limits<float>::quiet_NaN();
  return static_cast<float>(limit / std::max(norm, limit));
}

}  // namespace

double regularize(const ParameterRule& rule, const GradientChunk& chunk, const float* weights,
                  float* gradient, const KernelTable& kernels) {
  if (!rule.regularized()) return 0.0;
  return kernels.regularize(chunk.n, static_cast<float>(rule.l1), static_cast<float>(rule.l2),
                            weights + chunk.begin, gradient);
}

GradientUpdate::GradientUpdate(const OptimizerOptions& options, const KernelTable& kernels)
    : options_(options),
      kernels_(kernels),
      optimizer_(options, kernels),
      orthogonal_(options.newton_schulz_rounds, kernels) {
  check(options);
}

void GradientUpdate::begin(double learning_rate, std::int64_t batch, const Target& target) {
  const double momentum =
      options_.ema_schedule ? options_.ema_schedule->rate(batch) : options_.ema_momentum;
  require(momentum >= 0.0 && momentum <= 1.0, "ema_momentum must be in [0, 1]", momentum);
  ema_momentum_ = static_cast<float>(momentum);
  const std::int64_t every = options_.gradient_accumulation_steps;
  updates_ = (batch + 1) % every == 0;
  const std::int64_t update = batch / every + 1;
  optimizer_.begin_step(learning_rate, update);
  first_ = update == 1;
  overwrites_ =
      options_.ema_overwrite_frequency > 0 && update % options_.ema_overwrite_frequency == 0;
  target_ = target;
  penalties_.assign(target.chunks->size(), 0.0);
  if (needs_scales()) sums_.assign(target.chunks->size(), 0.0);
  find_matrices();
}

void GradientUpdate::find_matrices() {
  matrices_.clear();
  if (options_.kind != OptimizerKind::kMuon || !updates_) return;
  const std::vector<GradientChunk>& chunks = *target_.chunks;
  for (std::size_t i = 0; i < chunks.size(); ++i) {
    const ParameterRule& rule = (*target_.rules)[chunks[i].parameter];
    if (!rule.orthogonal) continue;
    if (i > 0 && chunks[i - 1].parameter == chunks[i].parameter) {
      matrices_.back().end = i + 1;
      continue;
    }
    matrices_.push_back({i, i + 1});
    orthogonal_.reserve(rule.rows, rule.outputs);
  }
  momenta_.assign(matrices_.empty() ? 0 : chunks.size(), 0.0);
  weights_.assign(momenta_.size(), 0.0);
}

void GradientUpdate::make_slots() {
  const std::int64_t floats = target_.floats;
  optimizer_.make_slots(floats);
  if (options_.gradient_accumulation_steps > 1 && accumulator_.values.size() == 0)
    accumulator_.values = Storage(floats);
  if (options_.use_ema && !average()) {
    average_.values = Storage(floats);
    std::memcpy(average(), target_.weights, static_cast<std::size_t>(floats) * sizeof(float));
  }
  has_slots_ = true;
}

bool GradientUpdate::needs_scales() const {
  return updates_ && (options_.clipnorm > 0.0 || options_.global_clipnorm > 0.0);
}

void GradientUpdate::gather(std::size_t chunk, float* gradient) {
  const GradientChunk& c = (*target_.chunks)[chunk];
  penalties_[chunk] =
      regularize((*target_.rules)[c.parameter], c, target_.weights, gradient, kernels_);
  if (options_.gradient_accumulation_steps > 1) {
    float* sum = accumulator_.values.data() + c.begin;
    if (!updates_) return kernels_.add(c.n, sum, gradient, sum);
    kernels_.add(c.n, sum, gradient, gradient);
    kernels_.scale(c.n, 1.0f / static_cast<float>(options_.gradient_accumulation_steps), gradient,
                   gradient);
    std::memset(sum, 0, static_cast<std::size_t>(c.n) * sizeof(float));
  }
  if (options_.clipvalue > 0.0)
    kernels_.clip(c.n, static_cast<float>(options_.clipvalue), gradient);
  if (needs_scales()) sums_[chunk] = kernels_.sum_squares(c.n, gradient);
}

void GradientUpdate::find_scales() {
  const std::vector<GradientChunk>& chunks = *target_.chunks;
  if (options_.global_clipnorm > 0.0) {
    double total = 0.0;
    for (const double sum : sums_) total += sum;
    scales_.assign(1, scale_to(options_.global_clipnorm, std::sqrt(total)));
    return;
  }
  std::vector<double> by_parameter(target_.rules->size(), 0.0);
  for (std::size_t i = 0; i < chunks.size(); ++i) by_parameter[chunks[i].parameter] += sums_[i];
  scales_.clear();
  for (const double sum : by_parameter)
    scales_.push_back(scale_to(options_.clipnorm, std::sqrt(sum)));
}

void GradientUpdate::apply(std::size_t chunk, float* gradient) {
  if (!updates_) return;
  const GradientChunk& c = (*target_.chunks)[chunk];
  if (needs_scales()) {
    const float scale = scales_[options_.clipnorm > 0.0 ? c.parameter : 0];
    if (scale != 1.0f) kernels_.scale(c.n, scale, gradient, gradient);
  }
  const ParameterRule& rule = (*target_.rules)[c.parameter];
  if (options_.kind == OptimizerKind::kMuon && rule.orthogonal) {
    optimizer_.take_momentum(c.begin, c.n, gradient);
    momenta_[chunk] = kernels_.sum_squares(c.n, gradient);
    weights_[chunk] = kernels_.sum_squares(c.n, target_.weights + c.begin);
    return;
  }
  optimizer_.update(c.begin, c.n, gradient, rule.rate, rule.weight_decay, target_.curvature,
                    target_.weights);
  average_weights(c);
}

void GradientUpdate::apply_matrices(Team& team,
                                    FunctionRef<float*(const GradientChunk&)> gradient_of) {
  const std::vector<GradientChunk>& chunks = *target_.chunks;
  for (const MatrixChunks& m : matrices_) {
    const GradientChunk& first = chunks[m.first];
    const ParameterRule& rule = (*target_.rules)[first.parameter];
    double momentum = 0.0, weights = 0.0;
    for (std::size_t i = m.first; i < m.end; ++i) {
      momentum += momenta_[i];
      weights += weights_[i];
    }
    const auto outputs = static_cast<double>(rule.outputs), rows = static_cast<double>(rule.rows);
    const double rate = optimizer_.learning_rate();
    double keep = rule.weight_decay ? 1.0 - rate * options_.weight_decay : 1.0;
    if (options_.normalize && weights > 0.0) keep *= std::sqrt(outputs / weights);
    orthogonal_.run(
        team, {rule.rows, rule.outputs, gradient_of(first), target_.weights + first.begin},
        std::sqrt(momentum), static_cast<float>(keep),
        static_cast<float>(rate * rule.rate * std::sqrt(std::max(1.0, outputs / rows))));
    team.for_each(static_cast<std::int64_t>(m.end - m.first), [&](std::int64_t i) {
      average_weights(chunks[m.first + static_cast<std::size_t>(i)]);
    });
  }
}

void GradientUpdate::average_weights(const GradientChunk& c) {
  if (!average()) return;
  float *w = target_.weights + c.begin, *mean = average() + c.begin;
  const std::size_t bytes = static_cast<std::size_t>(c.n) * sizeof(float);
  if (first_)
    std::memcpy(mean, w, bytes);
  else
    kernels_.moving_average(c.n, ema_momentum_, w, mean);
  if (overwrites_) std::memcpy(w, mean, bytes);
}

double GradientUpdate::penalty() const {
  double total = 0.0;
  for (const double penalty : penalties_) total += penalty;
  return total;
}

std::vector<std::string> GradientUpdate::slot_names() const {
  std::vector<std::string> names = optimizer_.slot_names();
  if (options_.gradient_accumulation_steps > 1) names.push_back(accumulator_.name);
  if (options_.use_ema) names.push_back(average_.name);
  return names;
}

std::vector<Optimizer::Slot*> GradientUpdate::slots() {
  std::vector<Optimizer::Slot*> all;
  for (Optimizer::Slot& slot : optimizer_.slots()) all.push_back(&slot);
  for (Optimizer::Slot* slot : {&accumulator_, &average_})
    if (slot->values.size() > 0) all.push_back(slot);
  return all;
}

void GradientUpdate::set_slots(std::vector<Optimizer::Slot> slots) {
  const std::size_t own = optimizer_.slot_names().size();
  std::size_t next = own;
  if (options_.gradient_accumulation_steps > 1) accumulator_ = std::move(slots[next++]);
  if (options_.use_ema) average_ = std::move(slots[next++]);
  slots.resize(own);
  optimizer_.slots() = std::move(slots);
  has_slots_ = true;
}

}  // namespace striate
