#include "bindings/bindings.h"

// The GIL stays on a free-threaded Python: the bindings have not been tried without it.
PYBIND11_MODULE(_core, m, pybind11::mod_gil_used()) {
  using namespace striate::bindings;
  bind_errors(m);
  bind_graph(m);
  bind_network(m);
  bind_system(m);
  bind_io(m);
  bind_random(m);
  bind_images(m);
  bind_layer_bench(m);
}
