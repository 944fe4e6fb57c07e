#include "striate/graph.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/graph_arguments.h"
#include "striate/error.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {
namespace {

std::vector<std::vector<bool>> connections(const py::object& table) {
  std::vector<std::vector<bool>> rows;
  if (table.is_none()) return rows;
  const auto array = py::array_t<bool, py::array::c_style | py::array::forcecast>::ensure(table);
  if (!array || array.ndim() != 2)
    throw ShapeError("connections must be a table of booleans, [input maps, output maps]");
  const auto view = array.unchecked<2>();
  for (py::ssize_t i = 0; i < view.shape(0); ++i) {
    rows.emplace_back();
    for (py::ssize_t j = 0; j < view.shape(1); ++j) rows.back().push_back(view(i, j));
  }
  return rows;
}

Pool2DOptions pool_options(const Pair& window, const Pair& strides, const py::object& pad,
                           bool ceil_mode) {
  Pool2DOptions o;
  o.ceil_mode = ceil_mode;
  o.window = extent(window);
  o.strides = extent(strides);
  o.padding = padding(pad);
  return o;
}

ValueId add_conv2d(Graph& g, ValueId x, const std::string& name, std::int64_t filters,
                   const Pair& kernel, const Pair& strides, const py::object& pad,
                   const Pair& dilation, std::int64_t groups, bool use_bias,
                   const py::object& table, const py::tuple& kernel_init,
                   const py::tuple& bias_init, bool trainable) {
  Conv2DOptions o;
  o.filters = filters;
  o.kernel = extent(kernel);
  o.strides = extent(strides);
  o.dilation = extent(dilation);
  o.padding = padding(pad);
  o.groups = groups;
  o.bias = use_bias;
  o.connections = connections(table);
  o.kernel_initializer = initializer(kernel_init);
  o.bias_initializer = initializer(bias_init);
  o.trainable = trainable;
  return add(g, x, name, [&] { return conv2d(std::move(o)); });
}

ValueId add_subsample2d(Graph& g, ValueId x, const std::string& name, const Pair& window,
                        const Pair& strides, const py::tuple& coefficient_init,
                        const py::tuple& bias_init, bool trainable) {
  Subsample2DOptions o;
  o.window = extent(window);
  o.strides = extent(strides);
  o.coefficient_initializer = initializer(coefficient_init);
  o.bias_initializer = initializer(bias_init);
  o.trainable = trainable;
  return add(g, x, name, [&] { return subsample2d(o); });
}

ValueId add_dense(Graph& g, ValueId x, const std::string& name, std::int64_t units, bool use_bias,
                  const py::tuple& kernel_init, const py::tuple& bias_init, bool trainable) {
  DenseOptions o;
  o.units = units;
  o.bias = use_bias;
  o.kernel_initializer = initializer(kernel_init);
  o.bias_initializer = initializer(bias_init);
  o.trainable = trainable;
  return add(g, x, name, [&] { return dense(std::move(o)); });
}

ValueId add_rbf(Graph& g, ValueId x, const std::string& name,
                const py::array_t<float, py::array::c_style | py::array::forcecast>& codes) {
  if (codes.ndim() != 2) throw ShapeError("rbf codes must be [classes, features]");
  const auto view = codes.unchecked<2>();
  std::vector<std::vector<float>> rows;
  for (py::ssize_t i = 0; i < view.shape(0); ++i) {
    rows.emplace_back();
    for (py::ssize_t j = 0; j < view.shape(1); ++j) rows.back().push_back(view(i, j));
  }
  return add(g, x, name, [&] { return rbf(std::move(rows)); });
}

ValueId add_batch_normalization(Graph& g, ValueId x, const std::string& name, double momentum,
                                double epsilon, bool center, bool scale, const py::tuple& beta,
                                const py::tuple& gamma, const py::tuple& moving_mean,
                                const py::tuple& moving_variance, bool trainable) {
  BatchNormalizationOptions o;
  o.momentum = momentum;
  o.epsilon = epsilon;
  o.center = center;
  o.scale = scale;
  o.beta_initializer = initializer(beta);
  o.gamma_initializer = initializer(gamma);
  o.moving_mean_initializer = initializer(moving_mean);
  o.moving_variance_initializer = initializer(moving_variance);
  o.trainable = trainable;
  return add(g, x, name, [&] { return batch_normalization(o); });
}

py::dict cost(const Graph& g, ValueId value) {
  const Cost c = g.cost(value);
  return py::dict("macs"_a = c.macs, "connections"_a = c.connections, "parameters"_a = c.parameters,
                  "trainable"_a = c.trainable);
}

void bind_layers(py::class_<Graph>& cls) {
  const py::tuple glorot = py::make_tuple("glorot_uniform", py::dict());
  const py::tuple zeros = py::make_tuple("zeros", py::dict());
  const py::tuple fan_in = py::make_tuple("fan_in_uniform", py::dict("limit"_a = 2.4));
  cls.def("conv2d", &add_conv2d, "x"_a, py::kw_only(), "name"_a, "filters"_a, "kernel"_a,
          "strides"_a = Pair(1, 1), "padding"_a = "valid", "dilation"_a = Pair(1, 1),
          "groups"_a = 1, "use_bias"_a = true, "connections"_a = py::none(),
          "kernel_initializer"_a = glorot, "bias_initializer"_a = zeros, "trainable"_a = true);
  cls.def("dense", &add_dense, "x"_a, py::kw_only(), "name"_a, "units"_a, "use_bias"_a = true,
          "kernel_initializer"_a = glorot, "bias_initializer"_a = zeros, "trainable"_a = true);
  cls.def("subsample2d", &add_subsample2d, "x"_a, py::kw_only(), "name"_a, "window"_a, "strides"_a,
          "coefficient_initializer"_a = fan_in, "bias_initializer"_a = zeros, "trainable"_a = true);
  cls.def(
      "max_pool2d",
      [](Graph& g, ValueId x, const std::string& name, const Pair& window, const Pair& strides,
         const py::object& pad, bool ceil_mode) {
        return add(g, x, name,
                   [&] { return max_pool2d(pool_options(window, strides, pad, ceil_mode)); });
      },
      "x"_a, py::kw_only(), "name"_a, "window"_a, "strides"_a, "padding"_a = "valid",
      "ceil_mode"_a = false);
  cls.def(
      "avg_pool2d",
      [](Graph& g, ValueId x, const std::string& name, const Pair& window, const Pair& strides,
         const py::object& pad, bool count_include_pad, bool ceil_mode) {
        Pool2DOptions o = pool_options(window, strides, pad, ceil_mode);
        o.count_include_pad = count_include_pad;
        return add(g, x, name, [&] { return avg_pool2d(o); });
      },
      "x"_a, py::kw_only(), "name"_a, "window"_a, "strides"_a, "padding"_a = "valid",
      "count_include_pad"_a = false, "ceil_mode"_a = false);
  cls.def(
      "global_max_pool2d",
      [](Graph& g, ValueId x, const std::string& name, bool keepdims) {
        return g.add(global_max_pool2d(keepdims), x, name);
      },
      "x"_a, py::kw_only(), "name"_a, "keepdims"_a = false);
  cls.def(
      "global_avg_pool2d",
      [](Graph& g, ValueId x, const std::string& name, bool keepdims) {
        return g.add(global_avg_pool2d(keepdims), x, name);
      },
      "x"_a, py::kw_only(), "name"_a, "keepdims"_a = false);
  cls.def(
      "flatten",
      [](Graph& g, ValueId x, const std::string& name) { return g.add(flatten(), x, name); }, "x"_a,
      py::kw_only(), "name"_a);
  cls.def(
      "activation",
      [](Graph& g, ValueId x, const std::string& name, const std::string& kind, float alpha) {
        return add(g, x, name, [&] { return activation(kind, alpha); });
      },
      "x"_a, py::kw_only(), "name"_a, "kind"_a, "alpha"_a = 0.0f);
  cls.def(
      "dropout",
      [](Graph& g, ValueId x, const std::string& name, float rate) {
        return add(g, x, name, [&] { return dropout(rate); });
      },
      "x"_a, py::kw_only(), "name"_a, "rate"_a);
  const py::tuple ones = py::make_tuple("ones", py::dict());
  cls.def("batch_normalization", &add_batch_normalization, "x"_a, py::kw_only(), "name"_a,
          "momentum"_a = 0.99, "epsilon"_a = 1e-3, "center"_a = true, "scale"_a = true,
          "beta_initializer"_a = zeros, "gamma_initializer"_a = ones,
          "moving_mean_initializer"_a = zeros, "moving_variance_initializer"_a = ones,
          "trainable"_a = true);
  cls.def("rbf", &add_rbf, "x"_a, py::kw_only(), "name"_a, "codes"_a);
}

}  // namespace

void bind_graph(py::module_& m) {
  py::class_<Graph> cls(m, "Graph");
  cls.def(py::init<>());
  cls.def(
      "input",
      [](Graph& g, const std::vector<std::int64_t>& shape, const std::string& name) {
        return g.input(Shape(shape), name);
      },
      "shape"_a, "name"_a = "input");
  cls.def_property("reuse", &Graph::reuse, &Graph::set_reuse);
  cls.def("shape",
          [](const Graph& g, ValueId v) { return py::tuple(py::cast(g.shape(v).extents())); });
  cls.def("cost", &cost);
  bind_layers(cls);
  bind_spatial(cls);
  bind_norms(cls);
}

}  // namespace striate::bindings
