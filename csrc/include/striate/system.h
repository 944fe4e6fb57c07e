#pragma once
// What this build is and what this machine gives it.
#include <string>
#include <vector>

namespace striate {

std::string isa();                          // the kernels in use: "avx512"
std::vector<std::string> available_isas();  // what this build and this CPU both have
bool has_bfloat16();     // products of bfloat16: AVX512-BF16, with the AVX-512 kernels in use
std::string compiler();  // "g++ 12.2.0"

// Floating-point operations a second, in GFLOP/s, of independent multiply-adds on `threads`
// threads at once, in the ISA in use: the limit that shares of peak refer to. Takes about 0.2 s.
double measure_fma_peak(int threads);

}  // namespace striate
