// Optimizers, and the sum over blocks before them: one pass over the flat parameter buffer each.
namespace striate::STRIATE_ISA_NAMESPACE {
namespace {

// Calls body(offset, load, store) along n floats; load and store are masked in the last vector.
template <class Body>
STRIATE_INLINE void sweep(int64_t n, Body body) {
  int64_t i = 0;
  for (; i + kWidth <= n; i += kWidth) {
    body([i](const float* p) { return load(p + i); }, [i](float* p, V v) { store(p + i, v); });
  }
  if (i < n) {
    const Tail t = tail(static_cast<int>(n - i));
    body([i, t](const float* p) { return load_tail(p + i, t); },
         [i, t](float* p, V v) { store_tail(p + i, v, t); });
  }
}

// The tree over N parts splits at the largest power of two below N, which is the pairwise tree
// in which an odd one out passes on as it is.
template <int N, class Load>
STRIATE_INLINE V tree(const float* const* parts, Load at) {
  if constexpr (N == 1) {
    return at(parts[0]);
  } else {
    constexpr int kLeft = N > 4 ? 4 : N > 2 ? 2 : 1;
    return tree<kLeft>(parts, at) + tree<N - kLeft>(parts + kLeft, at);
  }
}
template <int N>
void sum_some(int64_t n, const float* const* parts, float* out) {
  sweep(n, [=](auto at, auto put) { put(out, tree<N>(parts, at)); });
}

// Eights are trees of their own; their sums make the next level. In chunks that stay in L1.
inline void sum_many(int64_t n, int32_t count, const float* const* parts, float* out);

void sum_tree(int64_t n, int32_t count, const float* const* parts, float* out) {
  switch (count) {
    case 1:
      if (out == parts[0]) return;
      return sum_some<1>(n, parts, out);
    case 2:
      return sum_some<2>(n, parts, out);
    case 3:
      return sum_some<3>(n, parts, out);
    case 4:
      return sum_some<4>(n, parts, out);
    case 5:
      return sum_some<5>(n, parts, out);
    case 6:
      return sum_some<6>(n, parts, out);
    case 7:
      return sum_some<7>(n, parts, out);
    case 8:
      return sum_some<8>(n, parts, out);
    default:
      return sum_many(n, count, parts, out);
  }
}

inline void sum_many(int64_t n, int32_t count, const float* const* parts, float* out) {
  constexpr int64_t kChunk = 256;
  float eights[8][kChunk];
  const float* sums[8];
  for (int64_t i = 0; i < n; i += kChunk) {
    const int64_t some = least(kChunk, n - i);
    int32_t groups = 0;
    for (int32_t p = 0; p < count; p += 8, ++groups) {
      const int32_t members = static_cast<int32_t>(least(8, count - p));
      const float* from[8];
      for (int32_t j = 0; j < members; ++j) from[j] = parts[p + j] + i;
      sum_tree(some, members, from, eights[groups]);
      sums[groups] = eights[groups];
    }
    sum_tree(some, groups, sums, out + i);
  }
}

void sgd(int64_t n, float lr, float momentum, bool nesterov, float decay, const float* g, float* w,
         float* v) {
  const V rate = splat(lr), mu = splat(momentum), keep = splat(1.0f - decay);
  if (momentum == 0.0f) {
    return sweep(n, [=](auto at, auto put) { put(w, fnma(rate, at(g), keep * at(w))); });
  }
  sweep(n, [=](auto at, auto put) {
    const V step = rate * at(g);
    const V velocity = fma(mu, at(v), zero() - step);
    put(v, velocity);
    put(w, keep * at(w) + (nesterov ? fma(mu, velocity, zero() - step) : velocity));
  });
}

void adam(int64_t n, float lr_t, float beta1, float beta2, float epsilon, float decay,
          const float* g, float* w, float* m, float* v) {
  const V rate = splat(lr_t), keep = splat(1.0f - decay), tiny = splat(epsilon);
  const V new1 = splat(1.0f - beta1), new2 = splat(1.0f - beta2);
  sweep(n, [=](auto at, auto put) {
    const V grad = at(g), old1 = at(m), old2 = at(v);
    const V mean = fma(grad - old1, new1, old1);
    const V square = fma(grad * grad - old2, new2, old2);
    put(m, mean);
    put(v, square);
    put(w, keep * at(w) - rate * mean / (sqrt(square) + tiny));
  });
}

void rmsprop(int64_t n, float lr, float rho, float momentum, float epsilon, float decay,
             const float* g, float* w, float* v, float* a, float* b) {
  const V rate = splat(lr), keep = splat(1.0f - decay), tiny = splat(epsilon);
  const V old = splat(rho), fresh = splat(1.0f - rho), mu = splat(momentum);
  sweep(n, [=](auto at, auto put) {
    const V grad = at(g);
    V d = fma(old, at(v), fresh * grad * grad);
    put(v, d);
    if (a) {
      const V mean = fma(old, at(a), fresh * grad);
      put(a, mean);
      d = fnma(mean, mean, d);
    }
    V step = rate * grad / sqrt(d + tiny);
    if (b) {
      step = fma(mu, at(b), step);
      put(b, step);
    }
    put(w, keep * at(w) - step);
  });
}

void sdlm(int64_t n, float eta, float mu, const float* h, float decay, const float* g, float* w) {
  const V rate = splat(eta), damp = splat(mu), keep = splat(1.0f - decay);
  sweep(n, [=](auto at, auto put) { put(w, keep * at(w) - rate / (damp + at(h)) * at(g)); });
}

}  // namespace
}  // namespace striate::STRIATE_ISA_NAMESPACE
