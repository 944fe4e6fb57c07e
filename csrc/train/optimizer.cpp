#include "train/optimizer.h"

#include <cmath>
#include <cstring>

#include "striate/error.h"

namespace striate {

OptimizerKind optimizer_kind(const std::string& name) {
  if (name == "sgd") return OptimizerKind::kSgd;
  if (name == "adam" || name == "adamw") return OptimizerKind::kAdam;
  if (name == "rmsprop") return OptimizerKind::kRmsprop;
  if (name == "sdlm") return OptimizerKind::kSdlm;
  if (name == "muon") return OptimizerKind::kMuon;
  throw ValueError("unknown optimizer \"" + name + "\": sgd, adam, adamw, rmsprop, sdlm or muon");
}

Optimizer::Optimizer(const OptimizerOptions& o, const KernelTable& kernels)
    : options_(o), kernels_(kernels) {
  const auto require = [](bool ok, const char* name, double value, const char* domain) {
    if (!ok)
      throw ValueError(std::string("optimizer: ") + name + " must be " + domain + ", got " +
                       std::to_string(value));
  };
  const auto fraction = [](double v) { return v >= 0.0 && v < 1.0; };
  require(std::isfinite(o.learning_rate) && o.learning_rate >= 0.0, "learning_rate",
          o.learning_rate, "finite and at least 0");
  require(std::isfinite(o.weight_decay) && o.weight_decay >= 0.0, "weight_decay", o.weight_decay,
          "finite and at least 0");
  require(fraction(o.momentum), "momentum", o.momentum, "in [0, 1)");
  require(fraction(o.beta_1), "beta_1", o.beta_1, "in [0, 1)");
  require(fraction(o.beta_2), "beta_2", o.beta_2, "in [0, 1)");
  require(fraction(o.rho), "rho", o.rho, "in [0, 1)");
  require(std::isfinite(o.epsilon) && o.epsilon >= 0.0, "epsilon", o.epsilon,
          "finite and at least 0");
  require(std::isfinite(o.mu) && o.mu > 0.0, "mu", o.mu, "finite and positive");
  require(o.newton_schulz_rounds >= 1 && o.newton_schulz_rounds <= 100, "newton_schulz_rounds",
          o.newton_schulz_rounds, "from 1 to 100");
}

std::vector<std::string> Optimizer::slot_names() const {
  switch (options_.kind) {
    case OptimizerKind::kSgd:
    case OptimizerKind::kMuon:
      if (options_.momentum == 0.0) return {};
      return {"momentum"};
    case OptimizerKind::kAdam:
      return {"momentum", "velocity"};
    case OptimizerKind::kRmsprop: {
      std::vector<std::string> names{"velocity"};
      if (options_.centered) names.push_back("average_gradient");
      if (options_.momentum != 0.0) names.push_back("momentum");
      return names;
    }
    case OptimizerKind::kSdlm:
      return {};
  }
  return {};
}

void Optimizer::make_slots(std::int64_t parameter_floats) {
  if (!slots_.empty()) return;
  for (const std::string& name : slot_names()) slots_.push_back({name, Storage(parameter_floats)});
}

void Optimizer::begin_step(double learning_rate, std::int64_t step) {
  learning_rate_ = learning_rate;
  const auto t = static_cast<double>(step);
  adam_rate_ = static_cast<float>(learning_rate * std::sqrt(1.0 - std::pow(options_.beta_2, t)) /
                                  (1.0 - std::pow(options_.beta_1, t)));
}

void Optimizer::take_momentum(std::int64_t begin, std::int64_t n, float* g) {
  if (slots_.empty()) return;
  const auto momentum = static_cast<float>(options_.momentum);
  float* v = slot(0, begin);
  kernels_.blend(n, momentum, v, 1.0f, g, v);
  if (options_.nesterov)
    kernels_.blend(n, momentum, v, 1.0f, g, g);
  else
    std::memcpy(g, v, static_cast<std::size_t>(n) * sizeof(float));
}

void Optimizer::update(std::int64_t begin, std::int64_t n, const float* g, float factor,
                       bool decays, const float* curvature, float* parameters) {
  float* w = parameters + begin;
  const auto f = [](double v) { return static_cast<float>(v); };
  const float rate = f(learning_rate_) * factor;
  const float decay = decays ? f(learning_rate_ * options_.weight_decay) : 0.0f;
  switch (options_.kind) {
    case OptimizerKind::kSgd:
    case OptimizerKind::kMuon:
      return kernels_.sgd(n, rate, f(options_.momentum), options_.nesterov, decay, g, w,
                          slots_.empty() ? nullptr : slot(0, begin));
    case OptimizerKind::kAdam:
      return kernels_.adam(n, adam_rate_ * factor, f(options_.beta_1), f(options_.beta_2),
                           f(options_.epsilon), decay, g, w, slot(0, begin), slot(1, begin));
    case OptimizerKind::kRmsprop: {
      std::size_t next = 1;
      float* average = options_.centered ? slot(next++, begin) : nullptr;
      float* momentum = options_.momentum != 0.0 ? slot(next, begin) : nullptr;
      return kernels_.rmsprop(n, rate, f(options_.rho), f(options_.momentum), f(options_.epsilon),
                              decay, g, w, slot(0, begin), average, momentum);
    }
    case OptimizerKind::kSdlm:
      return kernels_.sdlm(n, rate, f(options_.mu), curvature + begin, decay, g, w);
  }
}

}  // namespace striate
