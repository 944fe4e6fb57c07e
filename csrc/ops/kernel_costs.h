#pragma once
// What steps choose their method by: costs of kernels, measured once per ISA and shipped.
// benchmarks/kernels/measure_costs.cpp measures them and prints the table of kernel_costs.cpp.
#include "kernels/kernels.h"

namespace striate {

// In multiply-accumulates of the direct convolution, on one core, all in L2. A 3x3 convolution on
// Winograd's points takes, a tile of 4x4 outputs,
//   winograd_product * 36 * in * out + winograd_input * in + winograd_output * out.
struct KernelCosts {
  const char* isa;
  double winograd_product, winograd_input, winograd_output;
};

// Of the table's ISA; the first row's for one that was never measured.
const KernelCosts& kernel_costs(const KernelTable& kernels);

}  // namespace striate
