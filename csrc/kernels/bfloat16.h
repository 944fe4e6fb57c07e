#pragma once
// Products of bfloat16 numbers, summed in float32 (AVX512-BF16): a table beside kernels.h's, of
// CPUs that have the instruction. It multiplies *pairs*: a word of 32 bits holds two neighbours of
// the depth, the earlier one in its low half, and one instruction adds both products to a lane.
//
// To conv_channels and wgrad_panel a pair is what a float is in kernels.h's: the same code, half
// the depth. A pass counts its positions of x, its runs and its depth in pairs; bias, what is added
// and y are floats as ever. Pairs travel as float*, and only loads, stores and these products touch
// them.
//
// Rounding to bfloat16 is to nearest, ties to even; a sum takes both products of a pair unrounded,
// and denormals count as zeros.
#include "kernels/kernels.h"

namespace striate {

struct Bfloat16Kernels {
  const char* isa;  // "avx512_bf16"
  // Numbers side by side: word j of a pixel holds channels 2j and 2j + 1 of it, zero behind the
  // last; a pixel takes (channels + 1) / 2 words.
  void (*pair_channels)(int64_t pixels, int32_t channels, const float* x, float* words);
  // Numbers one above the other: words[r*step + i] holds rows[2r*row_step + i] and the number a row
  // below it, or zero below the last of an odd number of rows. In place is allowed, step by step.
  void (*pair_rows)(int64_t rows, int32_t width, const float* from, int64_t row_step, float* words,
                    int64_t step);
  // KernelTable's wgrad_pack_dy, pixels 2i and 2i + 1 in one row of words, as pair_rows leaves
  // them.
  void (*wgrad_pack_dy)(const float* dy, int64_t dy_col, int32_t pixels, int32_t outputs,
                        float* to);
  // As KernelTable's, with weights packed in pairs (pack, then pair_rows a tile); w_step is 0.
  void (*conv_channels)(const ConvPass& pass, const float* x, const float* w, int64_t w_step,
                        const Epilogue& epilogue, float* y);
  // As KernelTable's: a span's pixels are pairs of pixels.
  void (*wgrad_panel)(int32_t rows, int32_t outputs, const PixelSpan* spans, int32_t span_count,
                      int64_t x_offset, int64_t x_step, const float* dy, const WgradSums& sums);
};

// Null where the CPU has no such instruction, or STRIATE_ISA chose a table below AVX-512.
const Bfloat16Kernels* bfloat16_kernels();

}  // namespace striate
