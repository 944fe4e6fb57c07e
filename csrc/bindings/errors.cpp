// C++ exceptions as Python classes, one to one; each is also the built-in error it amounts to.
#include <pybind11/pybind11.h>

#include <cerrno>

#include "bindings/bindings.h"
#include "striate/error.h"

namespace py = pybind11;

namespace striate::bindings {
namespace {

// Module-lifetime class objects, as pybind11's own exception translators keep theirs.
struct ErrorClasses {
  PyObject *base, *shape, *argument, *format, *numerics;
};
ErrorClasses classes;

PyObject* make_class(py::module_& m, const char* name, py::object bases, const char* doc) {
  py::object cls = py::reinterpret_steal<py::object>(PyErr_NewExceptionWithDoc(
      ("striate." + std::string(name)).c_str(), doc, bases.ptr(), nullptr));
  if (!cls) throw py::error_already_set();
  m.attr(name) = cls;
  return cls.release().ptr();
}

PyObject* make_class(py::module_& m, const char* name, PyObject* builtin, const char* doc) {
  return make_class(m, name,
                    py::make_tuple(py::reinterpret_borrow<py::object>(classes.base),
                                   py::reinterpret_borrow<py::object>(builtin)),
                    doc);
}

void translate(std::exception_ptr p) {
  try {
    if (p) std::rethrow_exception(p);
  } catch (const ShapeError& e) {
    PyErr_SetString(classes.shape, e.what());
  } catch (const ValueError& e) {
    PyErr_SetString(classes.argument, e.what());
  } catch (const FormatError& e) {
    PyErr_SetString(classes.format, e.what());
  } catch (const NumericsError& e) {
    PyErr_SetString(classes.numerics, e.what());
  } catch (const IoError& e) {
    // OSError(errno, message) picks FileNotFoundError and its like by itself.
    const py::object args = py::make_tuple(e.code() ? e.code() : EIO, e.what());
    PyErr_SetObject(PyExc_OSError, args.ptr());
  } catch (const Error& e) {
    PyErr_SetString(classes.base, e.what());
  }
}

}  // namespace

void bind_errors(py::module_& m) {
  classes.base = make_class(m, "StriateError", py::reinterpret_borrow<py::object>(PyExc_Exception),
                            "Every error that striate raises itself.");
  classes.shape = make_class(m, "ShapeError", PyExc_ValueError, "Shapes that do not fit.");
  classes.argument =
      make_class(m, "ArgumentError", PyExc_ValueError, "An argument outside its domain.");
  classes.format = make_class(m, "FormatError", PyExc_ValueError,
                              "A file whose bytes are not what its format promises.");
  classes.numerics = make_class(m, "NumericsError", PyExc_ArithmeticError,
                                "A NaN or infinity, found while check_numerics is on.");
  py::register_exception_translator(&translate);
}

}  // namespace striate::bindings
