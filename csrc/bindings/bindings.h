#pragma once
// One bind_* a file of csrc/bindings/; module.cpp calls them all. Bindings convert and release the
// GIL: whatever decides or computes belongs to the core.
#include <pybind11/pybind11.h>

namespace striate::bindings {

void bind_io(pybind11::module_& m);

}  // namespace striate::bindings
