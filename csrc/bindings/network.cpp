#include "striate/network.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdio>

#include "bindings/batch_arguments.h"
#include "bindings/bindings.h"
#include "striate/error.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {
namespace {

const char* precision_name(Precision p) {
  return p == Precision::kStrict ? "strict" : p == Precision::kBfloat16 ? "bfloat16" : "float32";
}

Precision precision_of(const std::string& name) {
  for (Precision p : {Precision::kFloat32, Precision::kStrict, Precision::kBfloat16})
    if (name == precision_name(p)) return p;
  throw ValueError("precision is \"float32\", \"strict\" or \"bfloat16\", not \"" + name + "\"");
}

template <BatchLoss (Network::*Call)(const Batch&, const std::vector<float*>&)>
py::tuple run_batch(Network& net, const py::object& x, const py::object& rows, const py::object& y,
                    const py::object& weights, const py::object& outputs) {
  const BatchArguments arguments(net, x, rows);
  Batch b = arguments.batch();
  const std::int64_t samples = arguments.samples();
  add_targets(net, samples, y, weights, &b);
  const std::vector<float*> out = output_rows(net, outputs, b);
  BatchLoss result;
  {
    py::gil_scoped_release release;
    result = (net.*Call)(b, out);
  }
  if (arguments.single()) return py::make_tuple(result.loss, result.outputs[0].correct);
  py::list losses, correct;
  for (const OutputResult& o : result.outputs) {
    losses.append(o.loss);
    correct.append(o.correct);
  }
  return py::make_tuple(result.loss, losses, correct);
}

py::object predict(Network& net, const py::object& x) {
  const BatchArguments arguments(net, x, py::none());
  const Batch b = arguments.batch();
  py::list arrays;
  std::vector<float*> to;
  for (std::size_t k = 0; k < net.output_count(); ++k) {
    py::array_t<float> out = new_array(net.output_shape(k), b.count);
    to.push_back(out.mutable_data());
    arrays.append(out);
  }
  if (b.count > 0) {
    py::gil_scoped_release release;
    net.predict(b, to);
  }
  if (arguments.single()) return arrays[0];
  return arrays;
}

py::tuple gradients(Network& net, const py::object& x, const py::object& y,
                    const py::object& weights, bool training) {
  const BatchArguments arguments(net, x, py::none());
  Batch b = arguments.batch();
  add_targets(net, arguments.samples(), y, weights, &b);
  py::list arrays, input_arrays;
  std::vector<float*> pointers, input_pointers;
  for (const ParameterInfo& p : net.parameters()) {
    py::array_t<float> g = new_array(p.shape);
    pointers.push_back(g.mutable_data());
    arrays.append(g);
  }
  for (std::size_t i = 0; i < net.input_count(); ++i) {
    py::array_t<float> dx = new_array(net.input_shape(i), b.count);
    input_pointers.push_back(dx.mutable_data());
    input_arrays.append(dx);
  }
  BatchLoss result;
  {
    py::gil_scoped_release release;
    result = net.gradients(b, training, pointers, input_pointers);
  }
  if (arguments.single()) return py::make_tuple(result.loss, arrays, input_arrays[0]);
  return py::make_tuple(result.loss, arrays, input_arrays);
}

py::dict profile(Network& net, const py::object& x, const py::object& y, int repeats) {
  const BatchArguments arguments(net, x, py::none());
  Batch b = arguments.batch();
  const bool training = !y.is_none();
  if (training) add_targets(net, arguments.samples(), y, py::none(), &b);
  NetworkProfile p;
  {
    py::gil_scoped_release release;
    p = net.profile(b, training, repeats);
  }
  py::list layers;
  for (const LayerProfile& l : p.layers)
    layers.append(py::dict(
        "name"_a = l.name, "method"_a = l.method, "forward"_a = l.forward,
        "backward"_a = l.backward, "macs"_a = l.macs, "backward_products"_a = l.backward_products,
        "forward_bytes"_a = l.forward_bytes, "backward_bytes"_a = l.backward_bytes));
  return py::dict("seconds"_a = p.seconds, "threads"_a = p.threads, "other"_a = p.other,
                  "layers"_a = layers);
}

template <typename T>
void read(const py::dict& d, const char* name, T* to) {
  if (d.contains(name)) *to = d[name].cast<T>();
}

Schedule schedule(const std::string& kind, const py::dict& d) {
  Schedule s;
  if (kind == "constant") {
    s.kind = ScheduleKind::kConstant;
    read(d, "value", &s.initial);
  } else if (kind == "step" || kind == "exponential") {
    s.kind = kind == "step" ? ScheduleKind::kStep : ScheduleKind::kExponential;
    read(d, "initial", &s.initial);
    read(d, kind == "step" ? "factor" : "rate", &s.factor);
    read(d, "every", &s.steps);
    read(d, "staircase", &s.staircase);
  } else if (kind == "cosine") {
    s.kind = ScheduleKind::kCosine;
    s.factor = 0.0;
    read(d, "initial", &s.initial);
    read(d, "steps", &s.steps);
    read(d, "final_fraction", &s.factor);
    read(d, "warmup_steps", &s.warmup_steps);
    read(d, "warmup_target", &s.warmup_target);
  } else if (kind == "one_cycle") {
    s.kind = ScheduleKind::kOneCycle;
    read(d, "maximum", &s.initial);
    read(d, "steps", &s.steps);
    read(d, "pct_start", &s.rise_fraction);
    read(d, "div_factor", &s.div_factor);
    read(d, "final_div_factor", &s.final_div_factor);
  } else if (kind == "piecewise" || kind == "linear") {
    s.kind = kind == "linear" ? ScheduleKind::kLinear : ScheduleKind::kPiecewise;
    read(d, "boundaries", &s.boundaries);
    read(d, "values", &s.values);
  } else {
    throw ValueError("unknown schedule \"" + kind + "\"");
  }
  s.check();
  return s;
}

// (kind, options) or (kind, options, weight); None: an output without a loss.
OutputLoss output_loss(const py::object& spec) {
  OutputLoss l;
  l.none = spec.is_none();
  if (l.none) return l;
  const auto t = spec.cast<py::tuple>();
  const auto options = t[1].cast<py::dict>();
  l.options.kind = loss_kind(t[0].cast<std::string>());
  read(options, "from_logits", &l.options.from_logits);
  read(options, "j", &l.options.j);
  read(options, "label_smoothing", &l.options.label_smoothing);
  read(options, "delta", &l.options.delta);
  if (t.size() > 2) l.weight = t[2].cast<double>();
  return l;
}

// ema_momentum: a number, or a schedule as (kind, options).
void read_average(const py::dict& d, OptimizerOptions* o) {
  if (!d.contains("ema_momentum") || !py::isinstance<py::tuple>(d["ema_momentum"]))
    return read(d, "ema_momentum", &o->ema_momentum);
  const auto t = d["ema_momentum"].cast<py::tuple>();
  o->ema_schedule = schedule(t[0].cast<std::string>(), t[1].cast<py::dict>());
}

OptimizerOptions optimizer_options(const std::string& kind, const py::dict& d) {
  OptimizerOptions o;
  o.kind = optimizer_kind(kind);
  read(d, "learning_rate", &o.learning_rate);
  read(d, "weight_decay", &o.weight_decay);
  read(d, "momentum", &o.momentum);
  read(d, "nesterov", &o.nesterov);
  read(d, "beta_1", &o.beta_1);
  read(d, "beta_2", &o.beta_2);
  read(d, "epsilon", &o.epsilon);
  read(d, "rho", &o.rho);
  read(d, "centered", &o.centered);
  read(d, "mu", &o.mu);
  read(d, "newton_schulz_rounds", &o.newton_schulz_rounds);
  read(d, "normalize", &o.normalize);
  read(d, "clipnorm", &o.clipnorm);
  read(d, "clipvalue", &o.clipvalue);
  read(d, "global_clipnorm", &o.global_clipnorm);
  read(d, "use_ema", &o.use_ema);
  read_average(d, &o);
  read(d, "ema_overwrite_frequency", &o.ema_overwrite_frequency);
  read(d, "gradient_accumulation_steps", &o.gradient_accumulation_steps);
  return o;
}

void compile_outputs(Network& net, const py::list& losses, const std::string& optimizer,
                     const py::dict& options, const py::object& schedule_spec) {
  std::vector<OutputLoss> by_output;
  for (const py::handle& spec : losses)
    by_output.push_back(output_loss(py::reinterpret_borrow<py::object>(spec)));
  const OptimizerOptions o = optimizer_options(optimizer, options);
  Schedule s;
  s.initial = o.learning_rate;
  if (!schedule_spec.is_none()) {
    const auto t = schedule_spec.cast<py::tuple>();
    s = schedule(t[0].cast<std::string>(), t[1].cast<py::dict>());
  }
  net.compile_outputs(std::move(by_output), o);
  net.set_schedule(s);
}

void compile(Network& net, const std::string& loss, const py::dict& loss_options,
             const std::string& optimizer, const py::dict& options,
             const py::object& schedule_spec) {
  py::list losses;
  losses.append(py::make_tuple(loss, loss_options));
  compile_outputs(net, losses, optimizer, options, schedule_spec);
}

py::list parameter_list(const Network& net) {
  py::list list;
  for (const ParameterInfo& p : net.parameters())
    list.append(py::dict("name"_a = p.name, "layer"_a = p.layer,
                         "shape"_a = py::tuple(py::cast(p.shape.extents())),
                         "trainable"_a = p.trainable, "count"_a = p.count));
  return list;
}

py::array_t<float> copy_out(const Shape& shape, const float* values) {
  py::array_t<float> a = new_array(shape);
  std::copy(values, values + shape.size(), a.mutable_data());
  return a;
}

Shape parameter_shape(const Network& net, int index) {
  const std::vector<ParameterInfo> all = net.parameters();
  if (index < 0 || static_cast<std::size_t>(index) >= all.size())
    throw ValueError("the network has " + std::to_string(all.size()) +
                     " parameters, there is no number " + std::to_string(index));
  return all[static_cast<std::size_t>(index)].shape;
}

void set_parameter(Network& net, int index, const Floats& value) {
  const Shape shape = parameter_shape(net, index);
  const std::vector<std::int64_t> got(value.shape(), value.shape() + value.ndim());
  if (got != shape.extents())
    throw ShapeError(net.parameters()[static_cast<std::size_t>(index)].name + " has shape " +
                     shape.str() + ", got " +
                     py::str(py::tuple(py::cast(got))).cast<std::string>());
  net.set_parameter(index, value.data());
}

py::dict optimizer_state(const Network& net) {
  py::dict d;
  for (const auto& [name, values] : net.optimizer_state())
    d[py::str(name)] = copy_out(Shape{net.flat_size()}, values);
  return d;
}

void set_optimizer_state(Network& net, const std::map<std::string, Floats>& state) {
  std::map<std::string, const float*> slots;
  for (const auto& [name, values] : state) {
    if (values.size() != net.flat_size())
      throw ShapeError("optimizer slot \"" + name + "\" has " + std::to_string(values.size()) +
                       " values, expected " + std::to_string(net.flat_size()));
    slots[name] = values.data();
  }
  net.set_optimizer_state(slots);
}

py::dict memory(const Network& net, std::int64_t batch, bool training) {
  const MemoryUse m = net.memory(batch, training);
  return py::dict("parameters"_a = m.parameters, "gradients"_a = m.gradients,
                  "optimizer"_a = m.optimizer, "packed_weights"_a = m.packed_weights,
                  "activations"_a = m.activations, "total"_a = m.total());
}

void bind_training(py::class_<Network>& cls) {
  cls.def("compile", &compile_outputs, "losses"_a, "optimizer"_a, "optimizer_options"_a,
          "schedule"_a = py::none());
  cls.def("compile", &compile, "loss"_a, "loss_options"_a, "optimizer"_a, "optimizer_options"_a,
          "schedule"_a = py::none());
  cls.def("train_batch", &run_batch<&Network::train_batch>, "x"_a, "rows"_a, "y"_a,
          "sample_weight"_a = py::none(), "outputs"_a = py::none());
  cls.def("test_batch", &run_batch<&Network::test_batch>, "x"_a, "rows"_a, "y"_a,
          "sample_weight"_a = py::none(), "outputs"_a = py::none());
  cls.def("predict", &predict, "x"_a);
  cls.def("profile", &profile, "x"_a, "y"_a = py::none(), "repeats"_a = 5);
  cls.def("gradients", &gradients, "x"_a, "y"_a, "sample_weight"_a = py::none(),
          "training"_a = false);
  cls.def(
      "estimate_curvature",
      [](Network& net, const py::object& x, const py::object& rows, const py::object& y) {
        const BatchArguments arguments(net, x, rows);
        Batch b = arguments.batch();
        add_targets(net, arguments.samples(), y, py::none(), &b);
        py::gil_scoped_release release;
        net.estimate_curvature(b);
      },
      "x"_a, "rows"_a, "y"_a);
  cls.def("curvature", [](const Network& net, int index) {
    return copy_out(parameter_shape(net, index), net.curvature(index));
  });
  cls.def_property("learning_rate", &Network::learning_rate, &Network::set_learning_rate);
  cls.def_property("iterations", &Network::iterations, &Network::set_iterations);
  cls.def_property("samples_seen", &Network::samples_seen, &Network::set_samples_seen);
  cls.def_property("check_numerics", &Network::check_numerics, &Network::set_check_numerics);
  cls.def_property(
      "precision", [](const Network& n) { return precision_name(n.precision()); },
      [](Network& n, const std::string& name) { n.set_precision(precision_of(name)); });
}

}  // namespace

void bind_network(py::module_& m) {
  py::class_<Network> cls(m, "Network");
  cls.def(py::init([](const Graph& g, ValueId output, std::uint64_t seed) {
            return Network(g, output, seed);
          }),
          "graph"_a, "output"_a, "seed"_a = 0);
  cls.def(py::init([](const Graph& g, const std::vector<ValueId>& outputs, std::uint64_t seed) {
            return Network(g, outputs, seed);
          }),
          "graph"_a, "outputs"_a, "seed"_a = 0);
  cls.def("parameters", &parameter_list);
  cls.def("get_parameter", [](const Network& net, int index) {
    py::array_t<float> values = new_array(parameter_shape(net, index));
    net.copy_parameter(index, values.mutable_data());
    return values;
  });
  cls.def("set_parameter", &set_parameter);
  cls.def("set_trainable", &Network::set_trainable);
  cls.def("set_layer_trainable", &Network::set_layer_trainable, "layer"_a, "trainable"_a);
  cls.def("set_regularizer", &Network::set_regularizer, "index"_a, "l1"_a, "l2"_a);
  cls.def("set_weight_decay", &Network::set_weight_decay);
  cls.def("set_learning_rate_multiplier", &Network::set_learning_rate_multiplier, "index"_a,
          "factor"_a);
  cls.def("set_orthogonal", &Network::set_orthogonal, "index"_a, "on"_a);
  bind_training(cls);
  cls.def("optimizer_state", &optimizer_state);
  cls.def("set_optimizer_state", &set_optimizer_state);
  cls.def("use_average", &Network::use_average);
  cls.def("freeze", &Network::freeze);
  cls.def_property_readonly("frozen", &Network::frozen);
  cls.def_property_readonly("average_in_use", &Network::average_in_use);
  cls.def("overwrite_with_average", &Network::overwrite_with_average);
  cls.def("memory", &memory, "batch"_a, "training"_a = true);
  cls.def("weights_hash", [](const Network& net) {
    char text[17];
    std::snprintf(text, sizeof(text), "%016llx",
                  static_cast<unsigned long long>(net.weights_hash()));
    return std::string(text);
  });
  m.def(
      "schedule_value",
      [](const std::string& kind, const py::dict& options, std::int64_t step) {
        return schedule(kind, options).rate(step);
      },
      "kind"_a, "options"_a, "step"_a);
}

}  // namespace striate::bindings
