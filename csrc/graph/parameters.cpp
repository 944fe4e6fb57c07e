#include "graph/parameters.h"

#include <cmath>

#include "core/orthogonal.h"
#include "striate/error.h"
#include "striate/random.h"

namespace striate {

ParameterTable::ParameterTable(const Graph& graph) {
  for (std::size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.parameters_of != node.output) {
      nodes_.push_back(nodes_[static_cast<std::size_t>(node.parameters_of)]);
      continue;
    }
    const int first = static_cast<int>(all_.size());
    if (node.op)
      for (ParameterSpec& spec : node.op->parameters(graph.input_shapes(node))) {
        const std::int64_t size = align_up(spec.shape.size());
        all_.push_back({node.name + "/" + spec.name, node.name, static_cast<int>(i),
                        std::move(spec), floats_});
        floats_ = checked_add(floats_, size);
      }
    nodes_.push_back({first, static_cast<int>(all_.size()) - first, node.name,
                      node.op && node.op->begins_frozen()});
  }
}

void ParameterTable::require_layer(const std::string& layer) const {
  for (const NodeParameters& n : nodes_)
    if (n.layer == layer) return;
  throw ValueError("the network has no layer \"" + layer + "\"");
}

void ParameterTable::set_frozen(const std::string& layer, bool frozen) {
  require_layer(layer);
  for (NodeParameters& n : nodes_)
    if (n.layer == layer) n.frozen = frozen;
  for (Parameter& p : all_)
    if (p.layer == layer && !p.spec.fixed) p.spec.trainable = !frozen;
}

namespace {

// Redraws beyond two standard deviations come from streams of their own, so an element's value
// depends on no other element's luck.
class NormalDraws {
 public:
  NormalDraws(std::uint64_t seed, std::uint32_t parameter) {
    for (std::uint32_t t = 0; t < kTries; ++t)
      tries_.emplace_back(seed, RandomPurpose::kInitialize, parameter, t);
  }
  const RandomStream& first() const { return tries_[0]; }
  double truncated(std::uint32_t element) const {
    for (const RandomStream& stream : tries_) {
      const double z = stream.normal(element);
      if (std::abs(z) <= 2.0) return z;
    }
    return 0.0;
  }

 private:
  static constexpr std::uint32_t kTries = 16;  // all 16 outside two sigma: once in 10^21
  std::vector<RandomStream> tries_;
};

double fan_of(const ParameterSpec& p, Initializer::Fan fan) {
  if (fan == Initializer::Fan::kIn) return static_cast<double>(p.fan_in);
  if (fan == Initializer::Fan::kOut) return static_cast<double>(p.fan_out);
  return 0.5 * static_cast<double>(p.fan_in + p.fan_out);
}

double draw(const ParameterSpec& p, const NormalDraws& draws, std::uint32_t i) {
  const RandomStream& stream = draws.first();
  const Initializer& init = p.initializer;
  const auto uniform = [&](double low, double high) {
    return low + (high - low) * static_cast<double>(stream.uniform(i));
  };
  switch (init.kind) {
    case InitializerKind::kConstant:
      return init.first;
    case InitializerKind::kUniform:
      return uniform(init.first, init.second);
    case InitializerKind::kNormal:
      return init.first + init.second * stream.normal(i);
    case InitializerKind::kTruncatedNormal:
      return init.first + init.second * draws.truncated(i);
    case InitializerKind::kVarianceScaling: {
      const double variance = init.first / fan_of(p, init.fan);
      if (!init.normal) return uniform(-std::sqrt(3.0 * variance), std::sqrt(3.0 * variance));
      if (!init.truncated) return std::sqrt(variance) * stream.normal(i);
      // 0.8796...: a standard normal cut at two sigma has that standard deviation.
      return std::sqrt(variance) / 0.87962566103423978 * draws.truncated(i);
    }
    case InitializerKind::kFanInUniform: {
      double fan = static_cast<double>(p.fan_in);
      if (!p.fan_in_by_output.empty())
        fan = static_cast<double>(p.fan_in_by_output[i % p.fan_in_by_output.size()]);
      return uniform(-init.first / fan, init.first / fan);
    }
    case InitializerKind::kOrthogonal:
      break;  // not entry by entry
  }
  return 0.0;
}

// Entry k of a kernel [.., inputs, outputs] whose output c is input c; others than the first so
// many outputs as there are inputs are not meant.
bool passes_on(const Shape& shape, std::int64_t k, float* value) {
  const std::int64_t outputs = shape[shape.rank() - 1], inputs = shape[shape.rank() - 2];
  const std::int64_t output = k % outputs, input = k / outputs % inputs;
  if (output >= inputs) return false;
  std::int64_t tap = 0;  // the centre, the later one of two
  for (int axis = 0; axis + 2 < static_cast<int>(shape.rank()); ++axis)
    tap = tap * shape[axis] + shape[axis] / 2;
  *value = input == output && k / (inputs * outputs) == tap ? 1.0f : 0.0f;
  return true;
}

void draw_orthogonal(const Parameter& p, const RandomStream& stream, float* w) {
  const Shape& shape = p.spec.shape;
  const std::int64_t cols = shape[shape.rank() - 1];
  fill_orthogonal(stream, shape.size() / cols, cols, p.spec.initializer.first, w);
  for (std::size_t k = 0; k < p.spec.mask.size(); ++k)
    if (!p.spec.mask[k]) w[k] = 0.0f;
}

}  // namespace

void check_initializer(const Parameter& p) {
  if (!drawn_by_entry(p) && p.spec.shape.rank() < 2)
    throw ValueError(p.name + ": an orthogonal initializer is for weights of at least two axes, " +
                     "these are " + p.spec.shape.str());
  if (p.spec.initializer.dirac && p.spec.shape.rank() < 2)
    throw ValueError(p.name + ": a Dirac initializer is for kernels, these weights are " +
                     p.spec.shape.str());
}

bool drawn_by_entry(const Parameter& p) {
  return p.spec.initializer.kind != InitializerKind::kOrthogonal || !p.spec.values.empty();
}

void initialize(const ParameterTable& table, std::size_t i, std::uint64_t seed, std::int64_t begin,
                std::int64_t end, float* w) {
  const Parameter& p = table.all()[i];
  const NormalDraws draws(seed, static_cast<std::uint32_t>(i));
  if (!drawn_by_entry(p)) {
    draw_orthogonal(p, draws.first(), w);
    return;
  }
  for (std::int64_t k = begin; k < end; ++k) {
    const auto at = static_cast<std::size_t>(k);
    if (!p.spec.values.empty())
      w[k] = p.spec.values[at];
    else if (!p.spec.mask.empty() && !p.spec.mask[at])
      w[k] = 0.0f;
    else if (!p.spec.initializer.dirac || !passes_on(p.spec.shape, k, &w[k]))
      w[k] = static_cast<float>(draw(p.spec, draws, static_cast<std::uint32_t>(k)));
  }
}

}  // namespace striate
