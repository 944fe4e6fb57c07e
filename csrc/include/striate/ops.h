#pragma once
// The operations that a graph is made of. Each function checks its options, in the field's terms
// (ValueError), and returns a node's description for Graph::add, which checks the shapes.
// Images are [H, W, C], kernels [KH, KW, C / groups, OC], dense weights [I, O].
#include <cstdint>
#include <memory>
#include <optional>
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
  // PyTorch's: a last window that runs over the far edge is kept, unless it would start in the
  // padding there. It never wins a maximum beyond the image, and counts no pixel beyond the
  // padding.
  bool ceil_mode = false;
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
};
OpPtr batch_normalization(BatchNormalizationOptions options);

OpPtr flatten();
// The features in memory order under another shape; one extent may be -1 and takes what is left.
OpPtr reshape(std::vector<std::int64_t> target);
// Output axis i is input axis axes[i], counted from 0 within a sample.
OpPtr permute(std::vector<int> axes);

// linear, relu, leaky_relu (slope alpha), sigmoid, tanh, scaled_tanh (1.7159 tanh(2x/3)),
// elu (alpha), gelu (exact), silu, softmax (over the last axis). Throws ValueError for other names.
OpPtr activation(const std::string& kind, float alpha = 0.0f);

// Inverted dropout: in training each feature is zero with probability `rate`, else x / (1 - rate).
OpPtr dropout(float rate);
// ... each map of an image is, as a whole.
OpPtr spatial_dropout2d(float rate);

// LeNet-5's output (LeCun et al. 1998, eq. 7): y[i] = sum_j (x[j] - codes[i][j])^2; not trained.
OpPtr rbf(std::vector<std::vector<float>> codes);

// Zeros around an image, or what is inside a frame of it; of kind Padding::Kind::kExplicit.
OpPtr zero_padding2d(const Padding& padding);
OpPtr cropping2d(const Padding& cropping);

// Each pixel becomes size.h x size.w. interpolation: "nearest" or "bilinear" (half-pixel centres
// and clamped edges, as TensorFlow's resize).
OpPtr upsampling2d(const Extent& size, const std::string& interpolation = "nearest");

// x * scale + offset; one number each, or one for each channel (the last axis).
OpPtr rescaling(std::vector<float> scale, std::vector<float> offset = {0.0f});

// Output row i is the mean of rows floor(i * H / output.h) to ceil((i + 1) * H / output.h), and
// columns alike (PyTorch's AdaptiveAvgPool2d).
OpPtr adaptive_avg_pool2d(const Extent& output);

// Elementwise, of 2 to 64 inputs (subtract: exactly 2). Extents must agree or be 1, which is
// repeated; an input of lower rank gets 1s in front. Of equal maxima (minima) the first input's
// takes the gradient.
OpPtr add();
OpPtr subtract();
OpPtr multiply();
OpPtr average();
OpPtr maximum();
OpPtr minimum();

// 2 to 64 inputs side by side along an axis of a sample, 0 for rows; -1 is the last one.
OpPtr concatenate(int axis = -1);
// Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3):
//   y[c] = x[c] / (k + a * sum over the window of c of x^2)^beta
// The window has `size` channels, size / 2 of them before c and (size - 1) / 2 after, cut at the
// first and the last channel. a = alpha, as in the paper and in TensorFlow, or alpha / size, as in
// Caffe and PyTorch. The defaults are the paper's.
struct LocalResponseNormalizationOptions {
  std::int64_t size = 5;
  double alpha = 1e-4;  // at least 0
  double beta = 0.75;   // at most 1000 in magnitude
  double k = 2.0;       // above 0
  bool alpha_over_size = false;
};
OpPtr local_response_normalization(LocalResponseNormalizationOptions options);

// What layer and group normalisation have in common: z * gamma + beta, where z has mean 0 and
// variance 1 up to epsilon, which is added to the variance.
struct NormalizationOptions {
  double epsilon = 1e-3;
  bool center = true;  // beta
  bool scale = true;   // gamma
  Initializer beta_initializer;
  Initializer gamma_initializer = Initializer::constant(1.0);
  bool trainable = true;
};
// Statistics over the last `axes` axes of a sample, by position in the others (Ba et al. 2016);
// gamma and beta have the shape of those axes.
OpPtr layer_normalization(std::int64_t axes, NormalizationOptions options);
// Statistics over a group's channels at all positions of a sample (Wu and He 2018); gamma and beta
// are [C]. groups divides C; -1 is C, a group for each channel (instance normalisation).
OpPtr group_normalization(std::int64_t groups, NormalizationOptions options);

// Each channel convolved with its own kernels: [H, W, C] -> [OH, OW, C * depth_multiplier], channel
// c * depth_multiplier + m from channel c. Kernel [KH, KW, C, depth_multiplier].
struct DepthwiseConv2DOptions {
  Extent kernel, strides, dilation;
  Padding padding;
  std::int64_t depth_multiplier = 1;
  bool bias = true;
  Initializer kernel_initializer = Initializer::glorot_uniform();
  Initializer bias_initializer;
  bool trainable = true;
};
OpPtr depthwise_conv2d(DepthwiseConv2DOptions options);

// A depthwise convolution without bias, then a 1x1 convolution: depthwise_kernel [KH, KW, C,
// depth_multiplier], pointwise_kernel [1, 1, C * depth_multiplier, filters], bias [filters].
struct SeparableConv2DOptions {
  std::int64_t filters = 0;
  DepthwiseConv2DOptions depthwise;  // its bias and bias_initializer are not read
  bool bias = true;
  Initializer pointwise_initializer = Initializer::glorot_uniform();
  Initializer bias_initializer;
  bool trainable = true;
};
OpPtr separable_conv2d(SeparableConv2DOptions options);

// Transposed convolution, the gradient of a convolution by its input: kernel [KH, KW, filters, C].
// With K = (window - 1) * dilation + 1 an axis of `in` pixels gives
//   valid     (in - 1) * stride + max(K, stride), as TensorFlow, or + K + output_padding
//   same      in * stride, as TensorFlow, or (in - 1) * stride + K % 2 + output_padding
//   explicit  (in - 1) * stride + K - before - after + output_padding (0 if not given), as PyTorch
// pixels. Of same's padding the odd pixel is at the bottom and right, as TensorFlow.
struct Conv2DTransposeOptions {
  std::int64_t filters = 0;
  Extent kernel, strides, dilation;
  Padding padding;
  // Below the larger of stride and dilation.
  std::optional<Extent> output_padding;
  bool bias = true;
  Initializer kernel_initializer = Initializer::glorot_uniform();
  Initializer bias_initializer;
  bool trainable = true;
};
OpPtr conv2d_transpose(Conv2DTransposeOptions options);

}  // namespace striate
