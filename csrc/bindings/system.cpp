// Random numbers, ISA, threads, and what striate was built with.
#include "striate/system.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings/bindings.h"
#include "striate/random.h"
#include "striate/threads.h"
#include "striate/version.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {

void bind_system(py::module_& m) {
  m.attr("__version__") = STRIATE_VERSION;
  m.def("isa", &isa);
  m.def("available_isas", &available_isas);
  m.def("has_bfloat16", &has_bfloat16);
  m.def("num_threads", &num_threads);
  m.def("thread_reason", [] { return default_threads().reason; });
  m.def("set_num_threads", &set_num_threads, "threads"_a);
  m.def("parallel_backend", &parallel_backend);
  m.def("compiler", &compiler);
  m.def("measure_fma_peak", &measure_fma_peak, "threads"_a,
        py::call_guard<py::gil_scoped_release>());
  m.def(
      "shuffled",
      [](std::int64_t n, std::uint64_t seed, std::uint32_t epoch) {
        const std::vector<std::int64_t> order = shuffled(n, seed, epoch);
        return py::array_t<std::int64_t>(static_cast<py::ssize_t>(order.size()), order.data());
      },
      "n"_a, "seed"_a, "epoch"_a);
  m.def(
      "philox4x32",
      [](const std::array<std::uint32_t, 4>& counter, const std::array<std::uint32_t, 2>& key) {
        return py::tuple(py::cast(philox4x32(counter, key)));
      },
      "counter"_a, "key"_a);
}

}  // namespace striate::bindings
