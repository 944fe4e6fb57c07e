#pragma once
// The extension's parts: conversion between Python and C++ and the GIL, no arithmetic.
#include <pybind11/pybind11.h>

namespace striate {
class Graph;
}

namespace striate::bindings {

void bind_errors(pybind11::module_& m);       // errors.cpp
void bind_graph(pybind11::module_& m);        // graph.cpp
void bind_network(pybind11::module_& m);      // network.cpp
void bind_system(pybind11::module_& m);       // system.cpp: random numbers, ISA, threads
void bind_io(pybind11::module_& m);           // io.cpp
void bind_random(pybind11::module_& m);       // random.cpp: numbers for augmentation
void bind_images(pybind11::module_& m);       // images.cpp
void bind_layer_bench(pybind11::module_& m);  // layer_bench.cpp: what benchmarks time

// Parts of bind_graph.
void bind_spatial(pybind11::class_<Graph>& cls);  // graph_spatial.cpp: merges, moves, resizing
void bind_norms(pybind11::class_<Graph>& graph);  // graph_norms.cpp

}  // namespace striate::bindings
