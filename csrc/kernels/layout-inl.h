// Between rows of features and samples in lanes: transposes of kWidth x kWidth blocks.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

inline V load_row(const float* p, int n) { return n == kWidth ? load(p) : load_tail(p, tail(n)); }
inline V load_row(const uint8_t* p, int n) {
  if (n == kWidth) return load_bytes(p);
  uint8_t some[kWidth] = {};
  for (int i = 0; i < n; ++i) some[i] = p[i];
  return load_bytes(some);
}

template <class T>
STRIATE_INLINE void to_samples(int64_t features, int32_t samples, const T* const* rows, float* y) {
  for (int64_t f = 0; f < features; f += kWidth, y += kWidth * kLanes) {
    const int n = static_cast<int>(least(kWidth, features - f));
    for (int part = 0; part < kLanes; part += kWidth) {
      V v[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) {
        v[i] = part + i < samples ? load_row(rows[part + i] + f, n) : zero();
      }
      transpose(v);
      if (n == kWidth) {
#pragma GCC unroll 16
        for (int i = 0; i < kWidth; ++i) store(y + i * kLanes + part, v[i]);
      } else {
        for (int i = 0; i < n; ++i) store(y + i * kLanes + part, v[i]);
      }
    }
  }
}

void rows_to_samples(int64_t features, int32_t samples, const float* const* rows, float* y) {
  to_samples(features, samples, rows, y);
}
void bytes_to_samples(int64_t features, int32_t samples, const uint8_t* const* rows, float* y) {
  to_samples(features, samples, rows, y);
}

void samples_to_rows(int64_t features, int32_t samples, const float* x, int64_t y_step, float* y) {
  for (int64_t f = 0; f < features; f += kWidth, x += kWidth * kLanes) {
    const int n = static_cast<int>(least(kWidth, features - f));
    for (int part = 0; part < kLanes && part < samples; part += kWidth) {
      V v[kWidth];
#pragma GCC unroll 16
      for (int i = 0; i < kWidth; ++i) v[i] = i < n ? load(x + i * kLanes + part) : zero();
      transpose(v);
      const int count = static_cast<int>(least(kWidth, samples - part));
      float* const to = y + part * y_step + f;
      const Tail some = tail(n);
      for (int i = 0; i < count; ++i) store_tail(to + i * y_step, v[i], some);
    }
  }
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
