// Images as NumPy arrays [N, H, W, C], uint8 or float32.
#include "striate/images.h"

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string>
#include <vector>

#include "bindings/bindings.h"
#include "striate/error.h"

namespace py = pybind11;
using namespace py::literals;

namespace striate::bindings {
namespace {

using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Integers = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;

template <typename Pixel>
ImageBatch<Pixel> batch(const py::array& images) {
  return {static_cast<const Pixel*>(images.data()), images.shape(0), images.shape(1),
          images.shape(2), images.shape(3)};
}

void check_images(const py::array& images) {
  const bool taken = py::isinstance<py::array_t<float>>(images) ||
                     py::isinstance<py::array_t<std::uint8_t>>(images);
  if (!taken || images.ndim() != 4 || !(images.flags() & py::array::c_style))
    throw ShapeError("images must be C-contiguous uint8 or float32 [N, H, W, C] here");
}

void check_shape(const Floats& array, const std::vector<py::ssize_t>& shape, const char* name) {
  bool same = array.ndim() == static_cast<py::ssize_t>(shape.size());
  for (std::size_t i = 0; same && i < shape.size(); ++i)
    same = array.shape(static_cast<py::ssize_t>(i)) == shape[i];
  if (!same) throw ShapeError(std::string(name) + " has another shape than the images ask for");
}

Border border_of(const std::string& name) {
  if (name == "constant") return Border::kConstant;
  if (name == "reflect") return Border::kReflect;
  if (name == "nearest") return Border::kNearest;
  throw ValueError("border is constant, reflect or nearest, got " + name);
}

Filter filter_of(const std::string& name) {
  if (name == "nearest") return Filter::kNearest;
  if (name == "box") return Filter::kBox;
  if (name == "bilinear") return Filter::kBilinear;
  if (name == "bicubic") return Filter::kBicubic;
  if (name == "lanczos3") return Filter::kLanczos3;
  throw ValueError("filter is nearest, box, bilinear, bicubic or lanczos3, got " + name);
}

py::array_t<float> warp(const py::array& images, const Floats& matrices, const py::object& nodes,
                        const py::object& row_weights, const py::object& column_weights,
                        const std::string& border, float fill, int threads) {
  check_images(images);
  const py::ssize_t n = images.shape(0), height = images.shape(1), width = images.shape(2);
  check_shape(matrices, {n, 6}, "matrices");
  Warp w{};
  w.matrices = matrices.data();
  w.border = border_of(border);
  w.fill = fill;
  Floats lattice, rows, columns;  // hold the converted arrays while the images are warped
  if (!nodes.is_none()) {
    lattice = nodes.cast<Floats>();
    rows = row_weights.cast<Floats>();
    columns = column_weights.cast<Floats>();
    if (lattice.ndim() != 4) throw ShapeError("nodes must be [N, 2, rows, columns]");
    w.node_rows = lattice.shape(2);
    w.node_columns = lattice.shape(3);
    check_shape(lattice, {n, 2, w.node_rows, w.node_columns}, "nodes");
    check_shape(rows, {height, w.node_rows}, "row_weights");
    check_shape(columns, {w.node_columns, width}, "column_weights");
    w.nodes = lattice.data();
    w.row_weights = rows.data();
    w.column_weights = columns.data();
  }
  py::array_t<float> out({n, height, width, images.shape(3)});
  float* to = out.mutable_data();
  const bool bytes = py::isinstance<py::array_t<std::uint8_t>>(images);
  const py::gil_scoped_release release;
  if (bytes)
    warp_images(batch<std::uint8_t>(images), w, to, threads);
  else
    warp_images(batch<float>(images), w, to, threads);
  return out;
}

template <typename Pixel>
py::array resized(const py::array& images, const Box* boxes, Filter filter, std::int64_t height,
                  std::int64_t width, int threads) {
  if (height < 1 || width < 1) throw ValueError("resize_images: an empty size");
  py::array_t<Pixel> out({images.shape(0), static_cast<py::ssize_t>(height),
                          static_cast<py::ssize_t>(width), images.shape(3)});
  Pixel* to = out.mutable_data();
  const ImageBatch<Pixel> from = batch<Pixel>(images);
  const py::gil_scoped_release release;
  resize_images(from, boxes, filter, height, width, to, threads);
  return std::move(out);
}

py::array resize(const py::array& images, std::int64_t height, std::int64_t width,
                 const std::string& filter, const py::object& boxes, int threads) {
  check_images(images);
  std::vector<Box> cut;
  if (!boxes.is_none()) {
    const auto given = boxes.cast<Integers>();
    if (given.ndim() != 2 || given.shape(0) != images.shape(0) || given.shape(1) != 4)
      throw ShapeError("boxes must be [N, 4]: top, left, height, width");
    for (py::ssize_t i = 0; i < given.shape(0); ++i)
      cut.push_back({given.at(i, 0), given.at(i, 1), given.at(i, 2), given.at(i, 3)});
  }
  const Box* first = boxes.is_none() ? nullptr : cut.data();
  return py::isinstance<py::array_t<std::uint8_t>>(images)
             ? resized<std::uint8_t>(images, first, filter_of(filter), height, width, threads)
             : resized<float>(images, first, filter_of(filter), height, width, threads);
}

}  // namespace

void bind_images(py::module_& m) {
  m.def("warp_images", &warp, "images"_a, "matrices"_a, "nodes"_a = py::none(),
        "row_weights"_a = py::none(), "column_weights"_a = py::none(), "border"_a = "constant",
        "fill"_a = 0.0f, "threads"_a = 1);
  m.def("resize_images", &resize, "images"_a, "height"_a, "width"_a, "filter"_a = "bilinear",
        "boxes"_a = py::none(), "threads"_a = 1);
}

}  // namespace striate::bindings
