#include "striate/shape.h"

#include "core/checked.h"

namespace striate {

Shape::Shape(std::initializer_list<std::int64_t> extents)
    : Shape(std::vector<std::int64_t>(extents)) {}

Shape::Shape(std::vector<std::int64_t> extents) : extents_(std::move(extents)) {
  for (std::int64_t e : extents_) {
    if (e < 1) throw ShapeError("shape " + str() + ": every extent must be at least 1");
    size_ = checked_mul(size_, e);
  }
}

std::string Shape::str() const {
  std::string s = "(";
  for (std::size_t i = 0; i < extents_.size(); ++i) {
    if (i) s += ", ";
    s += std::to_string(extents_[i]);
  }
  if (extents_.size() == 1) s += ",";
  return s + ")";
}

}  // namespace striate
