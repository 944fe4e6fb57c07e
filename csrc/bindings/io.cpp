// Data and model files as NumPy arrays.
#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <array>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bindings.h"
#include "striate/error.h"
#include "striate/idx.h"
#include "striate/safetensors.h"

namespace py = pybind11;

namespace striate::bindings {
namespace {

using Path = std::filesystem::path;  // takes str, bytes and os.PathLike

struct IdxName {
  IdxType type;
  const char* numpy;
};
constexpr std::array<IdxName, 6> kIdxNames{{
    {IdxType::kUint8, "u1"},
    {IdxType::kInt8, "i1"},
    {IdxType::kInt16, "i2"},
    {IdxType::kInt32, "i4"},
    {IdxType::kFloat32, "f4"},
    {IdxType::kFloat64, "f8"},
}};

struct TensorName {
  const char* safetensors;
  const char* numpy;
};
constexpr std::array<TensorName, 13> kTensorNames{{
    {"BOOL", "b1"},
    {"U8", "u1"},
    {"I8", "i1"},
    {"U16", "u2"},
    {"I16", "i2"},
    {"F16", "f2"},
    {"U32", "u4"},
    {"I32", "i4"},
    {"F32", "f4"},
    {"U64", "u8"},
    {"I64", "i8"},
    {"F64", "f8"},
    {"C64", "c8"},
}};

// "f4" for any float32, of either byte order.
std::string kind_and_size(const py::array& array) {
  return array.dtype().kind() + std::to_string(array.itemsize());
}

// C order and the byte order asked for, copied only if it is not so already.
py::array in_order(const py::array& array, const std::string& dtype) {
  return py::module_::import("numpy").attr("asarray")(array, py::arg("dtype") = dtype,
                                                      py::arg("order") = "C");
}

std::vector<std::int64_t> shape_of(const py::array& array) {
  return {array.shape(), array.shape() + array.ndim()};
}

py::array read_idx_array(const Path& path) {
  std::unique_ptr<IdxArray> idx;
  {
    py::gil_scoped_release release;
    idx = std::make_unique<IdxArray>(read_idx(path.string()));
  }
  for (const IdxName& n : kIdxNames) {
    if (n.type != idx->type) continue;
    const py::capsule owner(idx.get(), [](void* p) { delete static_cast<IdxArray*>(p); });
    IdxArray* array = idx.release();  // the capsule's now, for as long as NumPy looks at its bytes
    return py::array(py::dtype(n.numpy), array->shape, array->bytes.data(), owner);
  }
  throw FormatError(path.string() + ": an IDX type that NumPy does not have");
}

void write_idx_array(const Path& path, const py::array& array) {
  const std::string name = kind_and_size(array);
  for (const IdxName& n : kIdxNames) {
    if (name != n.numpy) continue;
    const py::array ordered = in_order(array, std::string("=") + n.numpy);
    const auto* data = static_cast<const std::uint8_t*>(ordered.data());
    IdxArray idx{shape_of(ordered), n.type, {data, data + ordered.nbytes()}};
    const py::gil_scoped_release release;
    write_idx(path.string(), idx);
    return;
  }
  throw ValueError("write_idx: IDX holds uint8, int8, int16, int32, float32 and float64, got " +
                   std::string(py::str(array.dtype())));
}

py::array tensor_array(const SafetensorsFile& file, const TensorView& view, const Path& path) {
  for (const TensorName& n : kTensorNames)
    if (view.dtype == n.safetensors)
      // Copied: the file promises no alignment, and one kept tensor should not keep all the rest.
      return py::array(py::dtype(std::string("<") + n.numpy), view.shape, file.data(view));
  throw FormatError(path.string() + ": tensor \"" + view.name + "\": NumPy has no dtype for " +
                    view.dtype);
}

std::pair<std::map<std::string, std::string>, py::dict> read_safetensors(const Path& path) {
  const SafetensorsFile file = [&] {
    const py::gil_scoped_release release;
    return SafetensorsFile::read(path.string());
  }();
  py::dict arrays;
  for (const TensorView& view : file.tensors())
    arrays[py::str(view.name)] = tensor_array(file, view, path);
  return {file.metadata(), arrays};
}

const char* safetensors_name(const std::string& tensor, const py::array& array) {
  const std::string name = kind_and_size(array);
  for (const TensorName& n : kTensorNames)
    if (name == n.numpy) return n.safetensors;
  throw ValueError("write_safetensors: tensor \"" + tensor + "\": safetensors has no dtype for " +
                   std::string(py::str(array.dtype())));
}

void write_safetensors_arrays(const Path& path, const std::map<std::string, std::string>& metadata,
                              const std::map<std::string, py::array>& arrays) {
  std::vector<TensorSource> sources;
  std::vector<py::array> ordered;  // keeps what `sources` points into
  for (const auto& [name, array] : arrays) {
    const char* dtype = safetensors_name(name, array);
    ordered.push_back(in_order(array, "<" + kind_and_size(array)));
    sources.push_back({name, dtype, shape_of(ordered.back()), ordered.back().data()});
  }
  const py::gil_scoped_release release;
  write_safetensors(path.string(), metadata, sources);
}

}  // namespace

void bind_io(py::module_& m) {
  m.def("read_idx", read_idx_array, py::arg("path"),
        "Read an IDX file, plain or gzip, as MNIST is distributed.");
  m.def("write_idx", write_idx_array, py::arg("path"), py::arg("array"),
        "Write an IDX file, atomically.");
  m.def("read_safetensors", read_safetensors, py::arg("path"),
        "Read a safetensors file: its metadata, and its tensors by name in the file's order.");
  m.def("write_safetensors", write_safetensors_arrays, py::arg("path"), py::arg("metadata"),
        py::arg("tensors"), "Write a safetensors file, atomically.");
}

}  // namespace striate::bindings
