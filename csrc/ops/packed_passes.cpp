#include "ops/packed_passes.h"

#include <limits>
#include <utility>

#include "core/checked.h"
#include "core/storage.h"

namespace striate {
namespace {
constexpr float kNoFloor = -std::numeric_limits<float>::infinity();
}

PackedPasses::PackedPasses(std::vector<ConvPassTables> passes, Layout layout,
                           const KernelTable& kernels)
    : k_(kernels), samples_layout_(layout == Layout::kSamples) {
  for (ConvPassTables& t : passes) {
    const std::int64_t width = (std::int64_t{t.pass.outputs} + pad() - 1) / pad() * pad();
    const std::int64_t size = align_up(checked_mul(t.pass.depth, width));
    passes_.push_back({std::move(t), packed_size_});
    packed_size_ = checked_add(packed_size_, size);
  }
}

int PackedPasses::tile(const ConvPass& pass) const {
  return samples_layout_ ? k_.samples_tile(pass.cols, pass.outputs) : k_.channels_tile;
}

void PackedPasses::pack(const float* w, float* packed) const {
  for (const Pass& p : passes_) {
    const ConvPassTables& t = p.tables;
    k_.pack(w, t.weight_rows.data(), t.weight_step, t.pass.outputs, t.pass.depth, tile(t.pass),
            pad(), packed + p.at);
  }
}

void PackedPasses::run(const float* x, const float* packed, const float* bias, float* y) const {
  const std::int64_t position = samples_layout_ ? kLanes : 1;
  for (const Pass& p : passes_) {
    const ConvPassTables& t = p.tables;
    const float* const from = x + t.x_origin * position;
    float* const to = y + t.y_origin * position;
    if (samples_layout_)
      k_.conv_samples(t.pass, from, packed + p.at, bias, kNoFloor, to);
    else
      k_.conv_channels(t.pass, from, packed + p.at, 0, bias, kNoFloor, to);
  }
}

}  // namespace striate
