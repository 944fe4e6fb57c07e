#pragma once
// Convolution passes with their weights packed for a layout, for steps other than conv2d's own.
#include <cstdint>
#include <vector>

#include "ops/conv_pass.h"
#include "ops/op.h"

namespace striate {

class PackedPasses {
 public:
  // `passes` of one group.
  PackedPasses(std::vector<ConvPassTables> passes, Layout layout, const KernelTable& kernels);

  std::int64_t packed_size() const { return packed_size_; }  // floats
  const ConvPassTables& operator[](std::size_t i) const { return passes_[i].tables; }
  void pack(const float* w, float* packed) const;
  // One image, or one block of samples in lanes. bias: by output channel, or null.
  void run(const float* x, const float* packed, const float* bias, float* y) const;

 private:
  struct Pass {
    ConvPassTables tables;
    std::int64_t at;  // of its weights in the packed buffer
  };
  int tile(const ConvPass& pass) const;
  int pad() const { return samples_layout_ ? 1 : k_.vector_width; }

  const KernelTable& k_;
  bool samples_layout_;
  std::int64_t packed_size_ = 0;
  std::vector<Pass> passes_;
};

}  // namespace striate
