// _core.Graph's methods that merge, move and resize images.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "bindings/graph_arguments.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {
namespace {

void bind_merges(py::class_<Graph>& cls) {
  const std::pair<const char*, OpPtr (*)()> merges[] = {
      {"add", striate::add},           {"subtract", striate::subtract},
      {"multiply", striate::multiply}, {"average", striate::average},
      {"maximum", striate::maximum},   {"minimum", striate::minimum}};
  for (const auto& [method, make] : merges)
    cls.def(
        method,
        [make = make](Graph& g, std::vector<ValueId> xs, const std::string& name) {
          return g.add(make(), std::move(xs), name);
        },
        "xs"_a, py::kw_only(), "name"_a);
  cls.def(
      "concatenate",
      [](Graph& g, std::vector<ValueId> xs, const std::string& name, int axis) {
        return g.add(striate::concatenate(axis), std::move(xs), name);
      },
      "xs"_a, py::kw_only(), "name"_a, "axis"_a = -1);
}

void bind_moves(py::class_<Graph>& cls) {
  cls.def(
      "zero_padding2d",
      [](Graph& g, ValueId x, const std::string& name, const py::object& pad) {
        return add(g, x, name, [&] { return zero_padding2d(padding(pad)); });
      },
      "x"_a, py::kw_only(), "name"_a, "padding"_a);
  cls.def(
      "cropping2d",
      [](Graph& g, ValueId x, const std::string& name, const py::object& cropping) {
        return add(g, x, name, [&] { return cropping2d(padding(cropping)); });
      },
      "x"_a, py::kw_only(), "name"_a, "cropping"_a);
  cls.def(
      "reshape",
      [](Graph& g, ValueId x, const std::string& name, std::vector<std::int64_t> target) {
        return add(g, x, name, [&] { return reshape(std::move(target)); });
      },
      "x"_a, py::kw_only(), "name"_a, "target_shape"_a);
  cls.def(
      "permute",
      [](Graph& g, ValueId x, const std::string& name, std::vector<int> axes) {
        return add(g, x, name, [&] { return permute(std::move(axes)); });
      },
      "x"_a, py::kw_only(), "name"_a, "axes"_a);
}

void bind_resizing(py::class_<Graph>& cls) {
  cls.def(
      "upsampling2d",
      [](Graph& g, ValueId x, const std::string& name, const Pair& size,
         const std::string& interpolation) {
        return add(g, x, name, [&] { return upsampling2d(extent(size), interpolation); });
      },
      "x"_a, py::kw_only(), "name"_a, "size"_a, "interpolation"_a = "nearest");
  cls.def(
      "adaptive_avg_pool2d",
      [](Graph& g, ValueId x, const std::string& name, const Pair& output) {
        return add(g, x, name, [&] { return adaptive_avg_pool2d(extent(output)); });
      },
      "x"_a, py::kw_only(), "name"_a, "output_size"_a);
  cls.def(
      "rescaling",
      [](Graph& g, ValueId x, const std::string& name, std::vector<float> scale,
         std::vector<float> offset) {
        return add(g, x, name, [&] { return rescaling(std::move(scale), std::move(offset)); });
      },
      "x"_a, py::kw_only(), "name"_a, "scale"_a, "offset"_a = std::vector<float>{0.0f});
  cls.def(
      "spatial_dropout2d",
      [](Graph& g, ValueId x, const std::string& name, float rate) {
        return add(g, x, name, [&] { return spatial_dropout2d(rate); });
      },
      "x"_a, py::kw_only(), "name"_a, "rate"_a);
}

}  // namespace

void bind_spatial(py::class_<Graph>& cls) {
  bind_merges(cls);
  bind_moves(cls);
  bind_resizing(cls);
}

}  // namespace striate::bindings
