#pragma once
// Every error that striate raises. Messages name the layer or file, what was expected, what came,
// and the likely mend. Python sees the same hierarchy (python/striate/errors.py).
#include <stdexcept>
#include <string>

namespace striate {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Shapes that do not fit: wrong rank, channels, batch length.
class ShapeError : public Error {
 public:
  using Error::Error;
};

// An argument outside its domain: a negative stride, an unknown name, a label out of range.
class ValueError : public Error {
 public:
  using Error::Error;
};

// A file whose bytes are not what its format promises.
class FormatError : public Error {
 public:
  using Error::Error;
};

// The operating system refused: open, write, rename. `code()` is errno.
class IoError : public Error {
 public:
  IoError(const std::string& what, int code) : Error(what), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

// A NaN or infinity found while check_numerics is on.
class NumericsError : public Error {
 public:
  using Error::Error;
};

}  // namespace striate
