#include "bindings/batch_arguments.h"

#include "striate/error.h"

namespace py = pybind11;

namespace striate::bindings {
namespace {

// One for each of `count`; an array, or None, stands for a list of one.
std::vector<py::object> listed(const py::object& given, std::size_t count, const char* what) {
  std::vector<py::object> all;
  if (given.is_none() || py::isinstance<py::array>(given)) {
    all.push_back(given);
  } else {
    for (const py::handle& one : given) all.push_back(py::reinterpret_borrow<py::object>(one));
  }
  if (all.size() != count)
    throw ShapeError("the network takes " + std::to_string(count) + " " + what + ", got " +
                     std::to_string(all.size()));
  return all;
}

BatchInput samples_of(const py::object& given, const Shape& shape) {
  if (!py::isinstance<py::array>(given)) throw ShapeError("x must be an array here");
  const auto x = py::reinterpret_borrow<py::array>(given);
  if (!(x.flags() & py::array::c_style))
    throw ShapeError("x must be C-contiguous here; the Model's methods copy where needed");
  if (x.ndim() != shape.rank() + 1)
    throw ShapeError("x has " + std::to_string(x.ndim()) + " axes, expected a batch of " +
                     shape.str());
  for (int i = 0; i < shape.rank(); ++i)
    if (x.shape(i + 1) != shape[i])
      throw ShapeError("x holds samples of another shape than the network's input " + shape.str() +
                       ": axis " + std::to_string(i + 1) + " is " + std::to_string(x.shape(i + 1)));
  BatchInput input;
  if (py::isinstance<py::array_t<float>>(x))
    input.x = static_cast<const float*>(x.data());
  else if (py::isinstance<py::array_t<std::uint8_t>>(x))
    input.bytes = static_cast<const std::uint8_t*>(x.data());
  else
    throw ShapeError("x must be float32 or uint8 here; the Model's methods convert");
  return input;
}

const float* weights_of(const py::object& weights, std::int64_t samples) {
  if (weights.is_none()) return nullptr;
  if (!py::isinstance<Floats>(weights))
    throw ShapeError("sample_weight must be C-contiguous float32 here");
  const auto w = py::reinterpret_borrow<Floats>(weights);
  if (w.ndim() != 1 || w.shape(0) != samples)
    throw ShapeError("sample_weight must be [N], one number a sample");
  return w.data();
}

BatchTarget target_of(const py::object& given, const Shape& shape, std::int64_t samples) {
  BatchTarget target;
  if (given.is_none()) return target;
  if (!py::isinstance<py::array>(given)) throw ShapeError("y must be an array here");
  const auto y = py::reinterpret_borrow<py::array>(given);
  if (y.ndim() < 1 || y.shape(0) != samples)
    throw ShapeError("x has " + std::to_string(samples) + " samples, y has " +
                     std::to_string(y.ndim() < 1 ? 0 : y.shape(0)));
  if (!(y.flags() & py::array::c_style)) throw ShapeError("y must be C-contiguous here");
  const std::int64_t features = shape.size();
  if (py::isinstance<py::array_t<std::int64_t>>(y) &&
      y.size() * shape[shape.rank() - 1] == samples * features) {
    target.labels = static_cast<const std::int64_t*>(y.data());
  } else if (y.ndim() >= 2 && y.size() == samples * features &&
             py::isinstance<py::array_t<float>>(y)) {
    target.targets = static_cast<const float*>(y.data());
  } else {
    throw ShapeError("y must be int64 [N] or float32 [N, " + std::to_string(features) + "] here");
  }
  return target;
}

}  // namespace

py::array_t<float> new_array(const Shape& shape, std::int64_t rows) {
  std::vector<py::ssize_t> extents;
  if (rows >= 0) extents.push_back(rows);
  extents.insert(extents.end(), shape.extents().begin(), shape.extents().end());
  return py::array_t<float>(extents);
}

BatchArguments::BatchArguments(const Network& net, const py::object& x, const py::object& rows)
    : single_(py::isinstance<py::array>(x)) {
  const std::vector<py::object> arrays = listed(x, net.input_count(), "inputs");
  batch_.inputs.clear();
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    batch_.inputs.push_back(samples_of(arrays[i], net.input_shape(i)));
    const std::int64_t n = py::reinterpret_borrow<py::array>(arrays[i]).shape(0);
    if (i > 0 && n != samples_)
      throw ShapeError("input 0 has " + std::to_string(samples_) + " samples, input " +
                       std::to_string(i) + " has " + std::to_string(n));
    samples_ = n;
  }
  batch_.targets.assign(net.output_count(), {});
  batch_.count = samples_;
  if (rows.is_none()) return;
  // As it is, never a converted copy: a copy would be gone when the batch runs.
  if (!py::isinstance<Integers>(rows)) throw ShapeError("rows must be C-contiguous int64 here");
  const auto picked = py::reinterpret_borrow<Integers>(rows);
  if (picked.ndim() != 1) throw ShapeError("rows must be one-dimensional");
  for (py::ssize_t i = 0; i < picked.shape(0); ++i)
    if (picked.at(i) < 0 || picked.at(i) >= samples_)
      throw ShapeError("row " + std::to_string(picked.at(i)) + " is outside the " +
                       std::to_string(samples_) + " samples of x");
  batch_.rows = picked.data();
  batch_.count = picked.shape(0);
}

void add_targets(const Network& net, std::int64_t samples, const py::object& y,
                 const py::object& weights, Batch* b) {
  const std::vector<py::object> targets = listed(y, net.output_count(), "targets");
  for (std::size_t k = 0; k < targets.size(); ++k)
    b->targets[k] = target_of(targets[k], net.output_shape(k), samples);
  if (weights.is_none()) return;
  const std::vector<py::object> all = listed(weights, net.output_count(), "sample weights");
  for (std::size_t k = 0; k < all.size(); ++k) b->targets[k].weights = weights_of(all[k], samples);
}

std::vector<float*> output_rows(const Network& net, const py::object& outputs, const Batch& b) {
  std::vector<float*> rows;
  if (outputs.is_none()) return rows;
  const std::vector<py::object> all = listed(outputs, net.output_count(), "output arrays");
  for (std::size_t k = 0; k < all.size(); ++k) {
    rows.push_back(nullptr);
    if (all[k].is_none()) continue;
    auto o = all[k].cast<py::array>();
    if (!py::isinstance<py::array_t<float>>(o) || !(o.flags() & py::array::c_style) ||
        !o.writeable() || o.size() < b.count * net.output_shape(k).size())
      throw ShapeError("outputs must be writable C-contiguous float32 [batch, " +
                       std::to_string(net.output_shape(k).size()) + "]");
    rows.back() = static_cast<float*>(o.mutable_data());
  }
  return rows;
}

}  // namespace striate::bindings
