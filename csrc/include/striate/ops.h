#pragma once
// The operations that a graph is made of. Each function checks its options, in the field's terms
// (ValueError), and returns a node's description for Graph::add, which checks the shapes.
// Images are [H, W, C], kernels [KH, KW, C / groups, OC], dense weights [I, O].
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "striate/initializer.h"

namespace striate {

class Op;
using OpPtr = std::shared_ptr<const Op>;

// What a node costs for one sample.
struct Cost {
  std::int64_t macs = 0;         // multiply-accumulates of the forward pass
  std::int64_t connections = 0;  // as LeCun et al. 1998 count them: weights and biases, each use
  std::int64_t parameters = 0;   // absent connections of a table are not counted
  std::int64_t trainable = 0;
};

struct Extent {  // of rows, then of columns
  std::int64_t h = 1, w = 1;
};

struct Padding {
  enum class Kind { kValid, kSame, kExplicit };
  Kind kind = Kind::kValid;
  std::int64_t top = 0, bottom = 0, left = 0, right = 0;  // of kExplicit

  static Padding valid() { return {}; }
  // As TensorFlow: out = ceil(in / stride), the odd pixel of padding at the bottom and right.
  static Padding same() { return {Kind::kSame, 0, 0, 0, 0}; }
  static Padding all(std::int64_t p) { return {Kind::kExplicit, p, p, p, p}; }
};

struct Conv2DOptions {
  std::int64_t filters = 0;
  Extent kernel, strides, dilation;
  Padding padding;
  std::int64_t groups = 1;
  bool bias = true;
  // Optional [C][OC] table: which input maps feed which output map (LeNet-5's C3, table I).
  // The weights of absent connections are zero and stay zero.
  std::vector<std::vector<bool>> connections;
  Initializer kernel_initializer = Initializer::glorot_uniform();
  Initializer bias_initializer;
  bool trainable = true;
};
OpPtr conv2d(Conv2DOptions options);

struct DenseOptions {
  std::int64_t units = 0;
  bool bias = true;
  Initializer kernel_initializer = Initializer::glorot_uniform();
  Initializer bias_initializer;
  bool trainable = true;
};
OpPtr dense(DenseOptions options);

struct Pool2DOptions {
  Extent window{2, 2}, strides{2, 2};
  Padding padding;
  bool count_include_pad = false;  // average only: PyTorch's default is true, Keras's is false
};
OpPtr max_pool2d(Pool2DOptions options);
OpPtr avg_pool2d(Pool2DOptions options);
OpPtr global_max_pool2d(bool keepdims = false);
OpPtr global_avg_pool2d(bool keepdims = false);

// LeNet-5's S layers: y = coefficient[c] * (sum over the window) + bias[c], valid padding. The
// squashing function that follows is an activation of its own.
struct Subsample2DOptions {
  Extent window{2, 2}, strides{2, 2};
  Initializer coefficient_initializer = Initializer::fan_in_uniform(2.4);
  Initializer bias_initializer;
  bool trainable = true;
};
OpPtr subsample2d(Subsample2DOptions options);

// Batch normalisation over the last axis (Ioffe and Szegedy 2015), Keras 3's defaults. Parameters
// in order: gamma, beta (where asked for), moving_mean, moving_variance.
struct BatchNormalizationOptions {
  double momentum = 0.99, epsilon = 1e-3;
  bool center = true, scale = true;
  Initializer beta_initializer, gamma_initializer = Initializer::constant(1.0);
  Initializer moving_mean_initializer, moving_variance_initializer = Initializer::constant(1.0);
  bool trainable = true;
  // On the moving statistics in training too, while gamma and beta train (Keras's training=False).
  bool inference = false;
};
OpPtr batch_normalization(BatchNormalizationOptions options);

OpPtr flatten();

// linear, relu, leaky_relu (slope alpha), sigmoid, tanh, scaled_tanh (1.7159 tanh(2x/3)),
// elu (alpha), gelu (exact), silu, softmax (over the last axis). Throws ValueError for other names.
OpPtr activation(const std::string& kind, float alpha = 0.0f);

// Inverted dropout: in training each feature is zero with probability `rate`, else x / (1 - rate).
OpPtr dropout(float rate);

// LeNet-5's output (LeCun et al. 1998, eq. 7): y[i] = sum_j (x[j] - codes[i][j])^2; not trained.
OpPtr rbf(std::vector<std::vector<float>> codes);

}  // namespace striate
