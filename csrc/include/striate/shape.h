#pragma once
// Glossary of dimension letters, used in every header and comment:
//   N batch, H W input rows and columns, C input channels, OH OW OC the same of the output,
//   KH KW kernel rows and columns, I O inputs and outputs of a dense layer, F features of a sample.
// Activations are NHWC, convolution weights HWIO, dense weights [I, O].
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace striate {

// The shape of one sample (no batch axis): [H, W, C] for images, [F] after Flatten.
// Extents are >= 1; the product fits int64. Throws ShapeError otherwise.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents);
  explicit Shape(std::vector<std::int64_t> extents);

  int rank() const { return static_cast<int>(extents_.size()); }
  std::int64_t operator[](int axis) const { return extents_[static_cast<std::size_t>(axis)]; }
  std::int64_t size() const { return size_; }  // product of extents; 1 for rank 0
  const std::vector<std::int64_t>& extents() const { return extents_; }
  std::string str() const;  // "(28, 28, 1)"
  bool operator==(const Shape& o) const { return extents_ == o.extents_; }
  bool operator!=(const Shape& o) const { return !(*this == o); }

 private:
  std::vector<std::int64_t> extents_;
  std::int64_t size_ = 1;
};

}  // namespace striate
