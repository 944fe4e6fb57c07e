#include "train/layer_bench.h"

#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bindings.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {

void bind_layer_bench(py::module_& m) {
  py::class_<LayerBench>(m, "LayerBench")
      .def(py::init<const Graph&, ValueId, std::int64_t, bool>(), "graph"_a, "value"_a, "batch"_a,
           "wide"_a = true)
      .def_property_readonly("passes", &LayerBench::passes)
      .def("run", &LayerBench::run, "name"_a, py::call_guard<py::gil_scoped_release>());
}

}  // namespace striate::bindings
