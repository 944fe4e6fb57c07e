#pragma once
// The one place where a file's extents become a number of bits.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace striate::io {

// The readers hold int64 sizes in size_t once they are checked.
static_assert(sizeof(std::size_t) >= sizeof(std::int64_t), "striate needs a 64-bit machine");

// product(shape) * item_bits, or nothing if it passes int64. Extents of 0 count as 1 while looking
// for overflow, so [0, huge, huge] is refused in every order: no array library could hold it.
// Extents must not be negative.
inline std::optional<std::int64_t> checked_bits(const std::vector<std::int64_t>& shape,
                                                std::int64_t item_bits) {
  std::int64_t bits = item_bits;
  bool empty = false;
  for (const std::int64_t extent : shape) {
    empty |= extent == 0;
    if (extent != 0 && __builtin_mul_overflow(bits, extent, &bits)) return std::nullopt;
  }
  return empty ? 0 : bits;
}

}  // namespace striate::io
