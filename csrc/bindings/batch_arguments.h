#pragma once
// Arrays from Python as a Batch. A network with one input takes an array or a list of one, with
// several a list; the same holds for what its outputs are compared with.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <vector>

#include "striate/network.h"

namespace striate::bindings {

using Floats = pybind11::array_t<float, pybind11::array::c_style>;
using Integers = pybind11::array_t<std::int64_t, pybind11::array::c_style>;

pybind11::array_t<float> new_array(const Shape& shape, std::int64_t rows = -1);

// The samples of x; checks shapes, types, and that rows stay inside. The arrays outlive the call:
// the caller's frame holds them while the GIL is released.
class BatchArguments {
 public:
  BatchArguments(const Network& net, const pybind11::object& x, const pybind11::object& rows);
  const Batch& batch() const { return batch_; }
  std::int64_t samples() const { return samples_; }  // of the arrays; the batch picks rows of them
  bool single() const { return single_; }            // x was an array, not a list

 private:
  Batch batch_;
  std::int64_t samples_ = 0;
  bool single_ = false;
};

// Labels or targets of all samples, as the dtypes say; None for an output without a loss.
void add_targets(const Network& net, std::int64_t samples, const pybind11::object& y,
                 const pybind11::object& weights, Batch* b);

// Where outputs are wanted, by output; empty where `outputs` is None.
std::vector<float*> output_rows(const Network& net, const pybind11::object& outputs,
                                const Batch& b);

}  // namespace striate::bindings
