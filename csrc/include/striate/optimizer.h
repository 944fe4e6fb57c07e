#pragma once
// Optimizers and learning-rate schedules, with Keras 3's definitions where it has them.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace striate {

enum class ScheduleKind { kConstant, kStep, kExponential, kCosine, kOneCycle, kPiecewise, kLinear };

// The learning rate as a function of the optimizer steps taken so far.
struct Schedule {
  ScheduleKind kind = ScheduleKind::kConstant;
  double initial = 0.01;   // kOneCycle: the maximum
  std::int64_t steps = 1;  // decay steps; kStep, kExponential: every so many
  double factor = 0.1;     // kStep, kExponential: the rate's; kCosine: the final fraction
  bool staircase = false;  // kExponential
  // kCosine: a linear rise from initial to warmup_target over warmup_steps comes first (Keras's
  // CosineDecay); 0 steps: none.
  std::int64_t warmup_steps = 0;
  double warmup_target = 0.0;
  // kOneCycle, as PyTorch's OneCycleLR with cosine annealing (Smith and Topin 2018).
  double rise_fraction = 0.3, div_factor = 25.0, final_div_factor = 1e4;
  // kPiecewise: values[i] up to and including step boundaries[i]; one value more than boundaries.
  // kLinear: values[i] at step boundaries[i], straight lines between, constant outside.
  std::vector<std::int64_t> boundaries;
  std::vector<double> values;

  double rate(std::int64_t step) const;
  void check() const;  // ValueError where a field is out of its domain
};

enum class OptimizerKind { kSgd, kAdam, kRmsprop, kSdlm, kMuon };

struct OptimizerOptions {
  OptimizerKind kind = OptimizerKind::kSgd;
  double learning_rate = 0.01;
  double weight_decay = 0.0;  // decoupled: w *= 1 - learning_rate * weight_decay, each step
  double momentum = 0.0;      // sgd, rmsprop, muon
  bool nesterov = false;      // sgd, muon
  double beta_1 = 0.9, beta_2 = 0.999;  // adam
  double epsilon = 1e-7;                // adam, rmsprop
  double rho = 0.9;                     // rmsprop
  bool centered = false;                // rmsprop
  // Stochastic diagonal Levenberg-Marquardt (LeCun et al. 1998, Appendix C): each parameter's
  // rate is learning_rate / (mu + h), h from Network::estimate_curvature.
  double mu = 0.02;
  // Muon (Jordan et al. 2024): a parameter of Network::set_orthogonal moves by its momentum made
  // orthonormal in so many Newton-Schulz rounds, times sqrt(max(1, outputs / rows)); the others as
  // by sgd. normalize: such a parameter has the norm sqrt(outputs) before each step, which is for
  // kernels in front of a normalisation.
  int newton_schulz_rounds = 5;
  bool normalize = false;

  // What happens around every rule, in Keras 3's order. At most one of the three clips is set.
  double clipnorm = 0.0;         // each parameter's gradient, to at most this L2 norm
  double clipvalue = 0.0;        // each entry, to [-clipvalue, clipvalue]
  double global_clipnorm = 0.0;  // all gradients together, to at most this L2 norm
  // The weights' exponential moving average, taken after each update:
  // average = ema_momentum * average + (1 - ema_momentum) * w, the first being w itself.
  bool use_ema = false;
  double ema_momentum = 0.99;
  std::optional<Schedule> ema_schedule;      // of the batch, in ema_momentum's place
  std::int64_t ema_overwrite_frequency = 0;  // every so many updates w = average; 0: never
  // Gradients of so many batches are averaged for one update; a schedule counts batches.
  std::int64_t gradient_accumulation_steps = 1;
};

// "sgd", "adam" (and "adamw": the same with weight_decay), "rmsprop", "sdlm", "muon"; else
// ValueError.
OptimizerKind optimizer_kind(const std::string& name);

}  // namespace striate
