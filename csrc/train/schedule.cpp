#include <algorithm>
#include <cmath>

#include "striate/error.h"
#include "striate/optimizer.h"

namespace striate {
namespace {

constexpr double kPi = 3.14159265358979323846;

double cosine_between(double from, double to, double fraction) {
  return to + (from - to) / 2.0 * (std::cos(kPi * fraction) + 1.0);
}

double cosine_decay(const Schedule& s, std::int64_t step) {
  double top = s.initial;
  if (s.warmup_steps > 0) {
    top = s.warmup_target;
    if (step < s.warmup_steps)
      return s.initial + (s.warmup_target - s.initial) * static_cast<double>(step) /
                             static_cast<double>(s.warmup_steps);
    step -= s.warmup_steps;
  }
  const double done = static_cast<double>(std::min(step, s.steps)) / static_cast<double>(s.steps);
  return top * ((1.0 - s.factor) * 0.5 * (1.0 + std::cos(kPi * done)) + s.factor);
}

double one_cycle(const Schedule& s, std::int64_t step) {
  const double start = s.initial / s.div_factor, end = start / s.final_div_factor;
  const double last = static_cast<double>(s.steps) - 1.0;
  const double rise = s.rise_fraction * static_cast<double>(s.steps) - 1.0;
  const double at = std::min(static_cast<double>(step), last);
  if (at <= rise) return cosine_between(start, s.initial, rise > 0.0 ? at / rise : 1.0);
  const double fall = last - rise;
  return cosine_between(s.initial, end, fall > 0.0 ? (at - rise) / fall : 1.0);
}

double on_lines(const Schedule& s, std::int64_t step) {
  const auto above = std::upper_bound(s.boundaries.begin(), s.boundaries.end(), step);
  if (above == s.boundaries.begin()) return s.values.front();
  if (above == s.boundaries.end()) return s.values.back();
  const auto right = static_cast<std::size_t>(above - s.boundaries.begin());
  const std::int64_t from = s.boundaries[right - 1], to = s.boundaries[right];
  const double share = static_cast<double>(step - from) / static_cast<double>(to - from);
  return s.values[right - 1] + (s.values[right] - s.values[right - 1]) * share;
}

}  // namespace

double Schedule::rate(std::int64_t step) const {
  switch (kind) {
    case ScheduleKind::kConstant:
      return initial;
    case ScheduleKind::kStep:
      return initial * std::pow(factor, static_cast<double>(step / steps));
    case ScheduleKind::kExponential: {
      const double times = static_cast<double>(step) / static_cast<double>(steps);
      return initial * std::pow(factor, staircase ? std::floor(times) : times);
    }
    case ScheduleKind::kCosine:
      return cosine_decay(*this, step);
    case ScheduleKind::kOneCycle:
      return one_cycle(*this, step);
    case ScheduleKind::kPiecewise: {
      const auto at = std::lower_bound(boundaries.begin(), boundaries.end(), step);
      return values[static_cast<std::size_t>(at - boundaries.begin())];
    }
    case ScheduleKind::kLinear:
      return on_lines(*this, step);
  }
  return initial;
}

void Schedule::check() const {
  const auto require = [](bool ok, const char* rule) {
    if (!ok) throw ValueError(std::string("schedule: ") + rule);
  };
  require(std::isfinite(initial) && initial >= 0.0, "the learning rate must be finite and >= 0");
  require(steps >= 1, "steps must be at least 1");
  require(warmup_steps >= 0, "warmup_steps must be at least 0");
  require(std::isfinite(factor) && factor >= 0.0, "the factor must be finite and >= 0");
  require(rise_fraction >= 0.0 && rise_fraction <= 1.0, "pct_start must be in [0, 1]");
  require(div_factor > 0.0 && final_div_factor > 0.0, "division factors must be positive");
  if (kind != ScheduleKind::kPiecewise && kind != ScheduleKind::kLinear) return;
  if (kind == ScheduleKind::kPiecewise)
    require(values.size() == boundaries.size() + 1, "one value more than boundaries is needed");
  else
    require(!values.empty() && values.size() == boundaries.size(),
            "as many values as boundaries are needed, at least one");
  require(std::is_sorted(boundaries.begin(), boundaries.end()), "boundaries must rise");
}

}  // namespace striate
