#pragma once
#include <cstdint>

#include "kernels/kernels.h"

namespace striate {

// Epilogue's floor of a step that applies a ReLU, or does not.
inline float floor_of(bool relu) { return relu ? 0.0f : Epilogue{}.floor; }

// The epilogue of what begins `channel` channels and `place` floats of y further on.
inline Epilogue epilogue_from(const Epilogue& e, std::int64_t channel, std::int64_t place) {
  return {e.bias ? e.bias + channel : nullptr, e.add ? e.add + place : nullptr, e.floor};
}

}  // namespace striate
