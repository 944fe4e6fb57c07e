#pragma once
// The floating-point mode that arithmetic runs under, put on for a scope.
#include <cstdint>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace striate {

// Puts the thread's floating-point mode at round-to-nearest, no traps, denormals flushed (inputs
// and results). The whole mode and not the two flush bits alone, so that a caller's rounding
// direction cannot reach rank 0's share of the work and miss the others'.
class FloatMode {
 public:
#if defined(__SSE2__)
  FloatMode() : saved_(_mm_getcsr()) { _mm_setcsr(kMasked | kFlushToZero | kDenormalsAreZero); }
  ~FloatMode() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kMasked = 0x1f80, kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  unsigned saved_;
#elif defined(__aarch64__)
  FloatMode() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(kFlushToZero) : "memory");
  }
  ~FloatMode() { asm volatile("msr fpcr, %0" ::"r"(saved_) : "memory"); }

 private:
  static constexpr std::uint64_t kFlushToZero = std::uint64_t{1} << 24;
  std::uint64_t saved_;
#else
  FloatMode() {}
  ~FloatMode() {}
#endif
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;
};

}  // namespace striate
