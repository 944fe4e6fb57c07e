// What every vec_*.h needs. Included, like them and the *-inl.h, by isa_*.cpp alone.

// Tile bodies must be inlined into their unrolled callers: a call would spill every accumulator.
#define STRIATE_INLINE inline __attribute__((always_inline))

namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// A pointer that the compiler does not see through. A tile walks its pixels three at a time, p,
// p+step and p+2*step being one register and one index each: left alone, GCC keeps all fourteen
// addresses and spills accumulators for them (75 instead of 95 % of the limit on 3x3x64-64).
STRIATE_INLINE const float* opaque(const float* p) {
  asm("" : "+r"(p));
  return p;
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
