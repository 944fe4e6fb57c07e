#pragma once
// Owned, 64-byte-aligned float memory: the arenas, the flat parameter and gradient buffers.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <utility>

#include "core/checked.h"

namespace striate {

constexpr std::int64_t kAlignFloats = 16;  // 64 bytes, a cache line and an AVX-512 vector

inline std::int64_t align_up(std::int64_t floats) {
  return checked_add(floats, kAlignFloats - 1) / kAlignFloats * kAlignFloats;
}

class Storage {
 public:
  Storage() = default;
  // Zeros. Throws std::bad_alloc.
  explicit Storage(std::int64_t floats);
  ~Storage() { std::free(data_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  Storage(Storage&& o) noexcept { swap(o); }
  Storage& operator=(Storage&& o) noexcept {
    swap(o);
    return *this;
  }

  // Makes room for at least `floats`; contents are lost when it grows.
  void reserve(std::int64_t floats) {
    if (floats <= size_) return;
    *this = Storage();  // never both
    *this = Storage(floats);
  }
  // Gives the memory of [begin, end) back to the system where it can: whole pages, which are zero
  // when they are touched again. What was there is lost.
  void release(std::int64_t begin, std::int64_t end);
  float* data() { return data_; }
  const float* data() const { return data_; }
  std::int64_t size() const { return size_; }

 private:
  void swap(Storage& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(size_, o.size_);
  }
  float* data_ = nullptr;
  std::int64_t size_ = 0;
};

}  // namespace striate
