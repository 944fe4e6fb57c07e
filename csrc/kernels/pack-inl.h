// Packing of weight matrices into the tiles that conv_samples and conv_channels read.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// kWidth rows of `packed` from kWidth neighbouring floats of each output: a transposed matrix
// (an input gradient's weights). LeNet-5 packs 60,000 of them a batch.
STRIATE_INLINE void pack_transposed(const float* w, int64_t output_step, int32_t outputs,
                                    int32_t width, float* packed) {
  for (int32_t o = 0; o < outputs; o += kWidth) {
    const int n = static_cast<int>(least(kWidth, outputs - o));
    V v[kWidth];
#pragma GCC unroll 16
    for (int i = 0; i < kWidth; ++i) v[i] = i < n ? load(w + (o + i) * output_step) : zero();
    transpose(v);
    const Tail some = tail(n);
#pragma GCC unroll 16
    for (int k = 0; k < kWidth; ++k) store_tail(packed + k * width + o, v[k], some);
  }
}

inline void pack_row(const float* w, int64_t output_step, int32_t outputs, float* packed) {
  int32_t o = 0;
  if (output_step == 1) {
    for (; o + kWidth <= outputs; o += kWidth) store(packed + o, load(w + o));
    if (o < outputs) {
      const Tail rest = tail(outputs - o);
      store_tail(packed + o, load_tail(w + o, rest), rest);
    }
    return;
  }
  for (; o < outputs; ++o) packed[o] = w[o * output_step];
}

inline bool neighbours(const int64_t* row_offset) {
  for (int i = 1; i < kWidth; ++i) {
    if (row_offset[i] != row_offset[0] + i) return false;
  }
  return true;
}

void pack(const float* w, const int64_t* row_offset, int64_t output_step, int32_t outputs,
          int32_t depth, int32_t tile, int32_t pad, float* packed) {
  for (int32_t o = 0; o < outputs; o += tile) {
    const int32_t used = static_cast<int32_t>(least(tile, outputs - o));
    const int32_t width = (used + pad - 1) / pad * pad;
    const float* const from = w + o * output_step;
    float* to = packed + static_cast<int64_t>(o) * depth;
    for (int32_t k = 0; k < depth;) {
      int32_t rows = 1;
      if (output_step != 1 && k + kWidth <= depth && neighbours(row_offset + k)) {
        rows = kWidth;
        pack_transposed(from + row_offset[k], output_step, used, width, to);
      } else {
        pack_row(from + row_offset[k], output_step, used, to);
      }
      for (int32_t i = 0; i < rows; ++i, to += width) {
        for (int32_t j = used; j < width; ++j) to[j] = 0.0f;
      }
      k += rows;
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
