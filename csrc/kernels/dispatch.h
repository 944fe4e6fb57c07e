#pragma once
// How kernels() makes its choice; apart so that tests can ask with a value of their own.
#include "kernels/kernels.h"

namespace striate {

// `requested`: what STRIATE_ISA holds; null or empty asks for the best.
const KernelTable& choose_kernels(const char* requested);

}  // namespace striate
