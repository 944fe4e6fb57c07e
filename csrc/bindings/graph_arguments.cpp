#include "bindings/graph_arguments.h"

namespace py = pybind11;

namespace striate::bindings {

Extent extent(const Pair& p) { return {p.first, p.second}; }

Padding padding(const py::object& o) {
  if (py::isinstance<py::str>(o)) {
    const auto s = o.cast<std::string>();
    if (s == "valid") return Padding::valid();
    if (s == "same") return Padding::same();
    throw ValueError(
        "padding must be \"valid\", \"same\" or ((top, bottom), (left, right)), got \"" + s + "\"");
  }
  const auto p = o.cast<std::pair<Pair, Pair>>();
  return {Padding::Kind::kExplicit, p.first.first, p.first.second, p.second.first, p.second.second};
}

// ("uniform", {"low": .., "high": ..}) and its like, as the stub lists them.
Initializer initializer(const py::tuple& t) {
  const auto kind = t[0].cast<std::string>();
  const auto options = t[1].cast<py::dict>();
  const auto get = [&](const char* name, double fallback) {
    return options.contains(name) ? options[name].cast<double>() : fallback;
  };
  using Fan = Initializer::Fan;
  if (kind == "zeros") return Initializer::constant(0.0);
  if (kind == "ones") return Initializer::constant(1.0);
  if (kind == "constant") return Initializer::constant(get("value", 0.0));
  if (kind == "uniform") return Initializer::uniform(get("low", -0.05), get("high", 0.05));
  if (kind == "normal")
    return Initializer::normal_distribution(get("mean", 0.0), get("stddev", 0.05));
  if (kind == "truncated_normal")
    return Initializer::truncated_normal(get("mean", 0.0), get("stddev", 0.05));
  if (kind == "glorot_uniform") return Initializer::variance_scaling(1.0, Fan::kAverage, false);
  if (kind == "glorot_normal") return Initializer::variance_scaling(1.0, Fan::kAverage, true);
  if (kind == "he_uniform") return Initializer::variance_scaling(2.0, Fan::kIn, false);
  if (kind == "he_normal") return Initializer::variance_scaling(2.0, Fan::kIn, true);
  if (kind == "lecun_uniform") return Initializer::variance_scaling(1.0, Fan::kIn, false);
  if (kind == "lecun_normal") return Initializer::variance_scaling(1.0, Fan::kIn, true);
  if (kind == "variance_scaling" || kind == "dirac") {
    const auto mode = options.contains("mode") ? options["mode"].cast<std::string>() : "fan_in";
    const auto normal = options.contains("normal") && options["normal"].cast<bool>();
    const auto truncated = !options.contains("truncated") || options["truncated"].cast<bool>();
    return Initializer::variance_scaling(get("scale", 1.0),
                                         mode == "fan_out"   ? Fan::kOut
                                         : mode == "fan_avg" ? Fan::kAverage
                                                             : Fan::kIn,
                                         normal, truncated, kind == "dirac");
  }
  if (kind == "orthogonal") return Initializer::orthogonal(get("gain", 1.0));
  if (kind == "fan_in_uniform") return Initializer::fan_in_uniform(get("limit", 2.4));
  throw ValueError("unknown initializer \"" + kind + "\"");
}

}  // namespace striate::bindings
