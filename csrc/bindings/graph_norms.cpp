// _core.Graph's methods for normalisation across channels and within samples, and for the
// convolutions beside conv2d: depthwise, separable and transposed.
#include <optional>

#include "bindings/bindings.h"
#include "bindings/graph_arguments.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {
namespace {

ValueId add_local_response_normalization(Graph& g, ValueId x, const std::string& name,
                                         std::int64_t size, double alpha, double beta, double k,
                                         bool alpha_over_size) {
  return add(g, x, name,
             [&] { return local_response_normalization({size, alpha, beta, k, alpha_over_size}); });
}

NormalizationOptions normalization(double epsilon, bool center, bool scale,
                                   const py::tuple& beta_init, const py::tuple& gamma_init,
                                   bool trainable) {
  NormalizationOptions o;
  o.epsilon = epsilon;
  o.center = center;
  o.scale = scale;
  o.beta_initializer = initializer(beta_init);
  o.gamma_initializer = initializer(gamma_init);
  o.trainable = trainable;
  return o;
}

DepthwiseConv2DOptions depthwise(const Pair& kernel, const Pair& strides, const py::object& pad,
                                 const Pair& dilation, std::int64_t depth_multiplier,
                                 const py::tuple& kernel_init) {
  DepthwiseConv2DOptions o;
  o.kernel = extent(kernel);
  o.strides = extent(strides);
  o.dilation = extent(dilation);
  o.padding = padding(pad);
  o.depth_multiplier = depth_multiplier;
  o.kernel_initializer = initializer(kernel_init);
  return o;
}

ValueId add_depthwise_conv2d(Graph& g, ValueId x, const std::string& name, const Pair& kernel,
                             const Pair& strides, const py::object& pad, const Pair& dilation,
                             std::int64_t depth_multiplier, bool use_bias,
                             const py::tuple& depthwise_init, const py::tuple& bias_init,
                             bool trainable) {
  DepthwiseConv2DOptions o =
      depthwise(kernel, strides, pad, dilation, depth_multiplier, depthwise_init);
  o.bias = use_bias;
  o.bias_initializer = initializer(bias_init);
  o.trainable = trainable;
  return add(g, x, name, [&] { return depthwise_conv2d(std::move(o)); });
}

ValueId add_separable_conv2d(Graph& g, ValueId x, const std::string& name, std::int64_t filters,
                             const Pair& kernel, const Pair& strides, const py::object& pad,
                             const Pair& dilation, std::int64_t depth_multiplier, bool use_bias,
                             const py::tuple& depthwise_init, const py::tuple& pointwise_init,
                             const py::tuple& bias_init, bool trainable) {
  SeparableConv2DOptions o;
  o.filters = filters;
  o.depthwise = depthwise(kernel, strides, pad, dilation, depth_multiplier, depthwise_init);
  o.bias = use_bias;
  o.pointwise_initializer = initializer(pointwise_init);
  o.bias_initializer = initializer(bias_init);
  o.trainable = trainable;
  return add(g, x, name, [&] { return separable_conv2d(std::move(o)); });
}

ValueId add_conv2d_transpose(Graph& g, ValueId x, const std::string& name, std::int64_t filters,
                             const Pair& kernel, const Pair& strides, const py::object& pad,
                             const std::optional<Pair>& output_padding, const Pair& dilation,
                             bool use_bias, const py::tuple& kernel_init,
                             const py::tuple& bias_init, bool trainable) {
  Conv2DTransposeOptions o;
  o.filters = filters;
  o.kernel = extent(kernel);
  o.strides = extent(strides);
  o.padding = padding(pad);
  if (output_padding) o.output_padding = extent(*output_padding);
  o.dilation = extent(dilation);
  o.bias = use_bias;
  o.kernel_initializer = initializer(kernel_init);
  o.bias_initializer = initializer(bias_init);
  o.trainable = trainable;
  return add(g, x, name, [&] { return conv2d_transpose(std::move(o)); });
}

void bind_normalizations(py::class_<Graph>& cls) {
  const py::tuple zeros = py::make_tuple("zeros", py::dict());
  const py::tuple ones = py::make_tuple("ones", py::dict());
  cls.def("local_response_normalization", &add_local_response_normalization, "x"_a, py::kw_only(),
          "name"_a, "size"_a = 5, "alpha"_a = 1e-4, "beta"_a = 0.75, "k"_a = 2.0,
          "alpha_over_size"_a = false);
  cls.def(
      "layer_normalization",
      [](Graph& g, ValueId x, const std::string& name, std::int64_t axes, double epsilon,
         bool center, bool scale, const py::tuple& beta_init, const py::tuple& gamma_init,
         bool trainable) {
        return add(g, x, name, [&] {
          return layer_normalization(
              axes, normalization(epsilon, center, scale, beta_init, gamma_init, trainable));
        });
      },
      "x"_a, py::kw_only(), "name"_a, "axes"_a = 1, "epsilon"_a = 1e-3, "center"_a = true,
      "scale"_a = true, "beta_initializer"_a = zeros, "gamma_initializer"_a = ones,
      "trainable"_a = true);
  cls.def(
      "group_normalization",
      [](Graph& g, ValueId x, const std::string& name, std::int64_t groups, double epsilon,
         bool center, bool scale, const py::tuple& beta_init, const py::tuple& gamma_init,
         bool trainable) {
        return add(g, x, name, [&] {
          return group_normalization(
              groups, normalization(epsilon, center, scale, beta_init, gamma_init, trainable));
        });
      },
      "x"_a, py::kw_only(), "name"_a, "groups"_a = 32, "epsilon"_a = 1e-3, "center"_a = true,
      "scale"_a = true, "beta_initializer"_a = zeros, "gamma_initializer"_a = ones,
      "trainable"_a = true);
}

void bind_convolutions(py::class_<Graph>& cls) {
  const py::tuple glorot = py::make_tuple("glorot_uniform", py::dict());
  const py::tuple zeros = py::make_tuple("zeros", py::dict());
  cls.def("depthwise_conv2d", &add_depthwise_conv2d, "x"_a, py::kw_only(), "name"_a, "kernel"_a,
          "strides"_a = Pair(1, 1), "padding"_a = "valid", "dilation"_a = Pair(1, 1),
          "depth_multiplier"_a = 1, "use_bias"_a = true, "depthwise_initializer"_a = glorot,
          "bias_initializer"_a = zeros, "trainable"_a = true);
  cls.def("separable_conv2d", &add_separable_conv2d, "x"_a, py::kw_only(), "name"_a, "filters"_a,
          "kernel"_a, "strides"_a = Pair(1, 1), "padding"_a = "valid", "dilation"_a = Pair(1, 1),
          "depth_multiplier"_a = 1, "use_bias"_a = true, "depthwise_initializer"_a = glorot,
          "pointwise_initializer"_a = glorot, "bias_initializer"_a = zeros, "trainable"_a = true);
  cls.def("conv2d_transpose", &add_conv2d_transpose, "x"_a, py::kw_only(), "name"_a, "filters"_a,
          "kernel"_a, "strides"_a = Pair(1, 1), "padding"_a = "valid",
          "output_padding"_a = py::none(), "dilation"_a = Pair(1, 1), "use_bias"_a = true,
          "kernel_initializer"_a = glorot, "bias_initializer"_a = zeros, "trainable"_a = true);
}

}  // namespace

void bind_norms(py::class_<Graph>& graph) {
  bind_normalizations(graph);
  bind_convolutions(graph);
}

}  // namespace striate::bindings
