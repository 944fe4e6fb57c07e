#pragma once
// What every vec_*.h needs. Included, like them and the *-inl.h, by isa_*.cpp alone.

// Tile bodies must be inlined into their unrolled callers: a call would spill every accumulator.
#define STRIATE_INLINE inline __attribute__((always_inline))
