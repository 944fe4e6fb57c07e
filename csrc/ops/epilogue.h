#pragma once
#include <cstdint>

#include "kernels/kernels.h"

namespace striate {

// The epilogue of what begins `channel` channels and `place` floats of y further on.
inline Epilogue epilogue_from(const Epilogue& e, std::int64_t channel, std::int64_t place) {
  return {e.bias ? e.bias + channel : nullptr, e.add ? e.add + place : nullptr, e.floor};
}

}  // namespace striate
