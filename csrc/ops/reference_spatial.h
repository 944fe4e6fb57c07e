#pragma once
// The oracle of the operations that merge, move and resize: as their definitions read, over rows of
// samples, like reference.h.
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "striate/ops.h"
#include "striate/shape.h"

namespace striate::reference {

using Rows = std::vector<float>;

// kind: add subtract multiply average maximum minimum, whose inputs broadcast to `out`.
// x: by input, [n][shape]; y: [n][out].
Rows merge(const std::string& kind, int n, const std::vector<Shape>& inputs, const Shape& out,
           const std::vector<Rows>& x);
// By input. order 2 squares the factors that dy is multiplied with.
std::vector<Rows> merge_backward(const std::string& kind, int n, const std::vector<Shape>& inputs,
                                 const Shape& out, const std::vector<Rows>& x, const Rows& dy,
                                 int order);

// A linear map of a sample, given by its entries: calls entry(x feature, y feature, factor) for
// each. `apply` is y = A x and `apply_transposed` dx = A^T dy, with A's entries squared at order 2
// (entries of one pair add up first).
using Entry = std::function<void(std::int64_t, std::int64_t, float)>;
using LinearMap = std::function<void(const Entry&)>;
Rows apply(const LinearMap& map, int n, const Shape& in, const Shape& out, const Rows& x);
Rows apply_transposed(const LinearMap& map, int n, const Shape& in, const Shape& out,
                      const Rows& dy, int order = 1);

LinearMap zero_padding2d(const Shape& in, const Padding& padding);
LinearMap cropping2d(const Shape& in, const Padding& cropping);
LinearMap permute(const Shape& in, const std::vector<int>& axes);
LinearMap upsampling2d(const Shape& in, const Extent& size, bool bilinear);
LinearMap adaptive_avg_pool2d(const Shape& in, const Extent& output);
// Input `input` of those that lie side by side along `axis`; `out` is the joined shape.
LinearMap concatenate(const std::vector<Shape>& inputs, std::size_t input, int axis,
                      const Shape& out);

}  // namespace striate::reference
