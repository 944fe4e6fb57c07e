#include "striate/network.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <cstdio>

#include "bindings/bindings.h"
#include "striate/error.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {
namespace {

using Floats = py::array_t<float, py::array::c_style>;
using Integers = py::array_t<std::int64_t, py::array::c_style>;

py::array_t<float> new_array(const Shape& shape, std::int64_t rows = -1) {
  std::vector<py::ssize_t> extents;
  if (rows >= 0) extents.push_back(rows);
  extents.insert(extents.end(), shape.extents().begin(), shape.extents().end());
  return py::array_t<float>(extents);
}

// The samples of x as a Batch; checks that rows stay inside it. The arrays outlive the call: the
// caller's frame holds them while the GIL is released.
Batch samples(const Network& net, const py::array& x, const py::object& rows) {
  const Shape& shape = net.input_shape();
  if (!(x.flags() & py::array::c_style))
    throw ShapeError("x must be C-contiguous here; the Model's methods copy where needed");
  if (x.ndim() != shape.rank() + 1)
    throw ShapeError("x has " + std::to_string(x.ndim()) + " axes, expected a batch of " +
                     shape.str());
  for (int i = 0; i < shape.rank(); ++i)
    if (x.shape(i + 1) != shape[i])
      throw ShapeError("x holds samples of another shape than the network's input " + shape.str() +
                       ": axis " + std::to_string(i + 1) + " is " + std::to_string(x.shape(i + 1)));
  Batch b;
  if (py::isinstance<py::array_t<float>>(x))
    b.x = static_cast<const float*>(x.data());
  else if (py::isinstance<py::array_t<std::uint8_t>>(x))
    b.bytes = static_cast<const std::uint8_t*>(x.data());
  else
    throw ShapeError("x must be float32 or uint8 here; the Model's methods convert");
  b.count = x.shape(0);
  if (rows.is_none()) return b;
  // As it is, never a converted copy: a copy would be gone when the batch runs.
  if (!py::isinstance<Integers>(rows)) throw ShapeError("rows must be C-contiguous int64 here");
  const auto picked = py::reinterpret_borrow<Integers>(rows);
  if (picked.ndim() != 1) throw ShapeError("rows must be one-dimensional");
  for (py::ssize_t i = 0; i < picked.shape(0); ++i)
    if (picked.at(i) < 0 || picked.at(i) >= b.count)
      throw ShapeError("row " + std::to_string(picked.at(i)) + " is outside the " +
                       std::to_string(b.count) + " samples of x");
  b.rows = picked.data();
  b.count = picked.shape(0);
  return b;
}

// Labels or targets of all of x's samples, as the dtype says.
void add_labels(const Network& net, const py::array& x, const py::array& y,
                const py::object& weights, Batch* b) {
  if (y.ndim() < 1 || y.shape(0) != x.shape(0))
    throw ShapeError("x has " + std::to_string(x.shape(0)) + " samples, y has " +
                     std::to_string(y.ndim() < 1 ? 0 : y.shape(0)));
  if (!(y.flags() & py::array::c_style)) throw ShapeError("y must be C-contiguous here");
  const Shape& output = net.output_shape();
  const auto& sizes = output.extents();
  const std::int64_t outputs = output.size();
  const bool positions =
      y.ndim() == output.rank() && std::equal(y.shape() + 1, y.shape() + y.ndim(), sizes.begin());
  if (positions && py::isinstance<py::array_t<std::int64_t>>(y)) {
    b->labels = static_cast<const std::int64_t*>(y.data());
  } else if (y.ndim() == 2 && y.shape(1) == outputs && py::isinstance<py::array_t<float>>(y)) {
    b->targets = static_cast<const float*>(y.data());
  } else {
    throw ShapeError("y must be int64 labels [N, ...], one a row of the output " + output.str() +
                     ", or float32 targets [N, " + std::to_string(outputs) + "] here");
  }
  if (weights.is_none()) return;
  if (!py::isinstance<Floats>(weights))
    throw ShapeError("sample_weight must be C-contiguous float32 here");
  const auto w = py::reinterpret_borrow<Floats>(weights);
  if (w.ndim() != 1 || w.shape(0) != x.shape(0))
    throw ShapeError("sample_weight must be [N], one number a sample");
  b->weights = w.data();
}

float* output_rows(const Network& net, const py::object& outputs, const Batch& b) {
  if (outputs.is_none()) return nullptr;
  auto o = outputs.cast<py::array>();
  if (!py::isinstance<py::array_t<float>>(o) || !(o.flags() & py::array::c_style) ||
      !o.writeable() || o.size() < b.count * net.output_shape().size())
    throw ShapeError("outputs must be writable C-contiguous float32 [batch, " +
                     std::to_string(net.output_shape().size()) + "]");
  return static_cast<float*>(o.mutable_data());
}

template <BatchLoss (Network::*Call)(const Batch&, float*)>
py::tuple run_batch(Network& net, const py::array& x, const py::object& rows, const py::array& y,
                    const py::object& weights, const py::object& outputs) {
  Batch b = samples(net, x, rows);
  add_labels(net, x, y, weights, &b);
  float* out = output_rows(net, outputs, b);
  BatchLoss result;
  {
    py::gil_scoped_release release;
    result = (net.*Call)(b, out);
  }
  return py::make_tuple(result.loss, result.correct);
}

py::array_t<float> predict(Network& net, const py::array& x) {
  const Batch b = samples(net, x, py::none());
  py::array_t<float> out = new_array(net.output_shape(), b.count);
  if (b.count == 0) return out;
  float* to = out.mutable_data();
  py::gil_scoped_release release;
  net.predict(b, to);
  return out;
}

py::tuple gradients(Network& net, const py::array& x, const py::array& y, const py::object& weights,
                    bool training) {
  Batch b = samples(net, x, py::none());
  add_labels(net, x, y, weights, &b);
  py::list arrays;
  std::vector<float*> pointers;
  for (const ParameterInfo& p : net.parameters()) {
    py::array_t<float> g = new_array(p.shape);
    pointers.push_back(g.mutable_data());
    arrays.append(g);
  }
  py::array_t<float> dx = new_array(net.input_shape(), b.count);
  float* dx_data = dx.mutable_data();
  BatchLoss result;
  {
    py::gil_scoped_release release;
    result = net.gradients(b, training, pointers.data(), dx_data);
  }
  return py::make_tuple(result.loss, arrays, dx);
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
  } else if (kind == "piecewise") {
    s.kind = ScheduleKind::kPiecewise;
    read(d, "boundaries", &s.boundaries);
    read(d, "values", &s.values);
  } else {
    throw ValueError("unknown schedule \"" + kind + "\"");
  }
  s.check();
  return s;
}

void compile(Network& net, const std::string& loss, const py::dict& loss_options,
             const std::string& optimizer, const py::dict& d, const py::object& schedule_spec) {
  LossOptions l;
  l.kind = loss_kind(loss);
  read(loss_options, "from_logits", &l.from_logits);
  read(loss_options, "j", &l.j);
  read(loss_options, "label_smoothing", &l.label_smoothing);
  read(loss_options, "delta", &l.delta);
  OptimizerOptions o;
  o.kind = optimizer_kind(optimizer);
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
  read(d, "clipnorm", &o.clipnorm);
  read(d, "clipvalue", &o.clipvalue);
  read(d, "global_clipnorm", &o.global_clipnorm);
  read(d, "use_ema", &o.use_ema);
  read(d, "ema_momentum", &o.ema_momentum);
  read(d, "ema_overwrite_frequency", &o.ema_overwrite_frequency);
  read(d, "gradient_accumulation_steps", &o.gradient_accumulation_steps);
  Schedule s;
  s.initial = o.learning_rate;
  if (!schedule_spec.is_none()) {
    const auto t = schedule_spec.cast<py::tuple>();
    s = schedule(t[0].cast<std::string>(), t[1].cast<py::dict>());
  }
  net.compile(l, o);
  net.set_schedule(s);
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
  net.parameter(index);  // throws for a bad index
  return net.parameters()[static_cast<std::size_t>(index)].shape;
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
  cls.def("compile", &compile, "loss"_a, "loss_options"_a, "optimizer"_a, "optimizer_options"_a,
          "schedule"_a = py::none());
  cls.def("train_batch", &run_batch<&Network::train_batch>, "x"_a, "rows"_a, "y"_a,
          "sample_weight"_a = py::none(), "outputs"_a = py::none());
  cls.def("test_batch", &run_batch<&Network::test_batch>, "x"_a, "rows"_a, "y"_a,
          "sample_weight"_a = py::none(), "outputs"_a = py::none());
  cls.def("predict", &predict, "x"_a);
  cls.def("gradients", &gradients, "x"_a, "y"_a, "sample_weight"_a = py::none(),
          "training"_a = false);
  cls.def(
      "estimate_curvature",
      [](Network& net, const py::array& x, const py::object& rows, const py::array& y) {
        Batch b = samples(net, x, rows);
        add_labels(net, x, y, py::none(), &b);
        py::gil_scoped_release release;
        net.estimate_curvature(b);
      },
      "x"_a, "rows"_a, "y"_a);
  cls.def("curvature", [](const Network& net, int index) {
    return copy_out(parameter_shape(net, index), net.curvature(index));
  });
  cls.def_property("learning_rate", &Network::learning_rate, &Network::set_learning_rate);
  cls.def_property("iterations", &Network::iterations, &Network::set_iterations);
  cls.def_property("check_numerics", &Network::check_numerics, &Network::set_check_numerics);
}

}  // namespace

void bind_network(py::module_& m) {
  py::class_<Network> cls(m, "Network");
  cls.def(py::init([](const Graph& g, ValueId output, std::uint64_t seed) {
            return Network(g, output, seed);
          }),
          "graph"_a, "output"_a, "seed"_a = 0);
  cls.def("parameters", &parameter_list);
  cls.def("get_parameter", [](const Network& net, int index) {
    return copy_out(parameter_shape(net, index), net.parameter(index));
  });
  cls.def("set_parameter", &set_parameter);
  cls.def("set_trainable", &Network::set_trainable);
  cls.def("set_regularizer", &Network::set_regularizer, "index"_a, "l1"_a, "l2"_a);
  cls.def("set_weight_decay", &Network::set_weight_decay);
  bind_training(cls);
  cls.def("optimizer_state", &optimizer_state);
  cls.def("set_optimizer_state", &set_optimizer_state);
  cls.def("use_average", &Network::use_average);
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
