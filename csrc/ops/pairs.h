#pragma once
// Convolution passes on pairs of channels, for products of bfloat16 (kernels/bfloat16.h).
#include "kernels/bfloat16.h"
#include "ops/conv_pass.h"

namespace striate {

// Whether the convolution's forward pass and its input gradient can count channels in pairs: each
// group must have an even number of them. Of a single group's inputs the last may lack its
// neighbour.
bool pairs_apply(const ConvGeometry& g);
// The same convolution of images with a channel of zeros behind an odd number of them.
ConvGeometry with_even_channels(const ConvGeometry& g);

// The pass on words of two positions each. It was made for x of an even number of channels a group;
// `channels` of these have weights (all, or all but the last). weight_rows becomes two a word: both
// rows of a pair, one after the other, -1 where there is none.
ConvPassTables in_pairs(ConvPassTables pass, std::int64_t channels);
// The same columns, of words.
ColumnPadding in_pairs(const ColumnPadding& padding);

// Rows first..first + count - 1 of an image of floats, `channels` a pixel, to the front of
// `padded`, as words with the padding's columns.
void copy_pairs(const Bfloat16Kernels& k, const ColumnPadding& padding, std::int64_t channels,
                const float* x, std::int64_t first, std::int64_t count, float* padded);
// A tile of the pass's weights (t.weight_rows), `outputs` of them from w on, to rows of words as
// wide as their whole vectors.
void pack_pairs(const KernelTable& k, const Bfloat16Kernels& pairs, const ConvPassTables& t,
                const float* w, std::int32_t outputs, float* packed);

}  // namespace striate
