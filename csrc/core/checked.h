#pragma once
// Size arithmetic that throws instead of wrapping. Every size that depends on a user's shape or a
// file's header goes through here; raw `*` on sizes is for sizes already proven small.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>

#include "striate/error.h"

namespace striate {

inline std::int64_t checked_mul(std::int64_t a, std::int64_t b) {
  std::int64_t r;
  if (__builtin_mul_overflow(a, b, &r))
    throw ValueError("size overflow: " + std::to_string(a) + " * " + std::to_string(b));
  return r;
}

inline std::int64_t checked_add(std::int64_t a, std::int64_t b) {
  std::int64_t r;
  if (__builtin_add_overflow(a, b, &r))
    throw ValueError("size overflow: " + std::to_string(a) + " + " + std::to_string(b));
  return r;
}

template <typename To, typename From>
To narrow(From v) {
  static_assert(std::is_integral_v<To> && std::is_integral_v<From>);
  const To r = static_cast<To>(v);
  if (static_cast<From>(r) != v || ((r < To{}) != (v < From{})))
    throw ValueError("size out of range: " + std::to_string(v));
  return r;
}

}  // namespace striate
