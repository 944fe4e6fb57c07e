// The random numbers of augmentation, a batch at a time.
#include "striate/random.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "bindings/bindings.h"
#include "striate/error.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {
namespace {

using Samples = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;

template <void (*Fill)(const AugmentationKey&, const std::int64_t*, std::int64_t, std::int64_t,
                       float*)>
py::array_t<float> numbers(std::uint64_t seed, std::uint32_t epoch, std::uint32_t place,
                           const Samples& samples, std::int64_t count) {
  if (samples.ndim() != 1) throw ShapeError("samples must be one-dimensional");
  if (count < 0) throw ValueError("count must not be negative");
  const py::ssize_t n = samples.shape(0);
  py::array_t<float> out({n, static_cast<py::ssize_t>(count)});
  const std::int64_t* which = samples.data();
  float* to = out.mutable_data();
  const py::gil_scoped_release release;
  Fill({seed, epoch, place}, which, n, count, to);
  return out;
}

}  // namespace

void bind_random(py::module_& m) {
  m.def("uniforms", &numbers<augmentation_uniforms>, "seed"_a, "epoch"_a, "place"_a, "samples"_a,
        "count"_a);
  m.def("normals", &numbers<augmentation_normals>, "seed"_a, "epoch"_a, "place"_a, "samples"_a,
        "count"_a);
}

}  // namespace striate::bindings
