#include "bindings/bindings.h"

// The GIL stays: one Network is not for two threads at once.
PYBIND11_MODULE(_core, m, pybind11::mod_gil_used()) {
  using namespace striate::bindings;
  bind_errors(m);
  bind_graph(m);
  bind_network(m);
  bind_system(m);
  bind_io(m);
}
