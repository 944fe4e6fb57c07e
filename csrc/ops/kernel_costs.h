#pragma once
// What plans and steps choose by: costs of kernels, measured once per ISA and shipped.
// benchmarks/kernels/measure_costs.cpp measures them and prints the table of kernel_costs.cpp.
#include "kernels/kernels.h"

namespace striate {

struct KernelCosts {
  const char* isa;
  // In multiply-accumulates of the direct convolution, on one core, all in L2. A 3x3 convolution on
  // Winograd's points takes, a tile of 4x4 outputs,
  //   winograd_product * 36 * in * out + winograd_input * in + winograd_output * out.
  double winograd_product, winograd_input, winograd_output;
  // Forward and backward of LeNet-5's layers on a block of samples in lanes, in samples with
  // channels in lanes: a block with fewer samples does not pay.
  double lanes;
};

// Of the table's ISA; the first row's for one that was never measured.
const KernelCosts& kernel_costs(const KernelTable& kernels);

}  // namespace striate
