#pragma once
// y = x W + b and its backward, for dense layers and for convolutions whose kernel covers its
// whole input. x: [I], W: [I, O] row-major (a covering kernel's HWIO is the same memory).
#include <memory>
#include <vector>

#include "ops/op.h"

namespace striate {

struct DenseShape {
  std::int64_t inputs, outputs;
  bool bias;
  std::vector<float> weight_mask;  // empty: all weights exist
};

std::unique_ptr<Step> bind_dense(DenseShape shape, const StepOptions& options);
// For inference of wide networks, where options.bfloat16 is there (ops/dense_pairs.cpp).
std::unique_ptr<Step> bind_dense_pairs(DenseShape shape, const StepOptions& options);

}  // namespace striate
