#pragma once
// A convolution bound to Winograd's passes, forward and both gradients.
#include <memory>

#include "ops/conv_pass.h"
#include "ops/op.h"

namespace striate {

// Whether the plan asks for them and they are faster than the sum over taps on these shapes.
bool winograd_is_faster(const ConvGeometry& g, const StepOptions& options);
std::unique_ptr<Step> bind_winograd(const ConvGeometry& g, bool bias, const StepOptions& options);

}  // namespace striate
