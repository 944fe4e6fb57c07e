#pragma once
// A convolution bound to shapes: its passes, packing and memory, in both layouts.
#include <memory>
#include <vector>

#include "ops/conv_pass.h"
#include "ops/op.h"

namespace striate {

// weight_mask: HWIO, 0 where a connection table leaves a weight out; empty: all weights exist.
std::unique_ptr<Step> bind_conv(const ConvGeometry& g, bool bias, std::vector<float> weight_mask,
                                const StepOptions& options);

}  // namespace striate
