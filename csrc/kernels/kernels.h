#pragma once
// The kernel table: everything that is compiled once per ISA, behind plain function pointers.
// Kernels are pure and single-threaded; they know no graph, allocate nothing and throw nothing.
// ops/ decides geometry, packing and memory and calls them; graph/ decides threads.
//
// Two layouts of an activation of `n` samples and F = H*W*C features (NHWC within a sample):
//   channels in lanes   [n][H][W][C]           a vector holds neighbouring channels of one pixel
//   samples in lanes    [H][W][C][kLanes]      a vector holds one feature of kLanes samples
// A *position* is one feature of one pixel: 1 float in the first layout, kLanes floats in the
// second. Steps and offsets below count positions, so one geometry serves both.
//
// This header is included by the per-ISA files: plain structs and pointers only, no STL (the ODR
// rule: an inline STL function compiled with -mavx512f could replace the baseline's copy).
#include <stdint.h>

namespace striate {

constexpr int kLanes = 16;
constexpr int kWinogradPoints = 36;

// Consecutive positions of the input that meet consecutive rows of the weight matrix.
struct Run {
  int64_t x;       // offset of the first position from the output pixel's input origin
  int32_t length;  // positions
  int32_t depth;   // weight-matrix row of the first position
};

// A correlation as a matrix product over runs. Output pixel (r, c), channel o:
//   y[r*y_row + c*y_col + o] = max(floor, bias[o] +
//       sum over runs q in [row_runs[2r], row_runs[2r+1]), k < length_q of
//       x[r*x_row + c*x_col + runs[q].x + k] * w[runs[q].depth + k][o])
// summed in that order. Forward convolution, its input gradient (with x = dy and the kernel
// flipped by the packing), dense layers (one run) and their input gradients are all this.
// Rows are clipped against vertical padding by row_runs; horizontal padding is already in x.
// Offsets may be negative before clipping; every position actually read is inside x.
struct ConvPass {
  int32_t rows, cols;       // output pixels computed
  int32_t outputs;          // output channels computed
  int32_t depth;            // rows of the weight matrix = sum of run lengths
  int64_t x_row, x_col;     // input positions per output row, column
  int64_t y_row, y_col;     // output positions per output row, column
  const Run* runs;          // ordered by depth
  const int32_t* row_runs;  // 2*rows entries; an empty range gives y = max(floor, bias)
};

// What becomes of a sum before it is stored: y = max(floor, bias + sum + add). bias: by output
// channel, the first number of the sum; add: laid out as y, which it may be. Either may be null.
struct Epilogue {
  const float* bias = nullptr;
  const float* add = nullptr;
  float floor = -__builtin_inff();
};

// Which of dy passes back through a ReLU that stood behind an affine map by channel: where the
// ReLU's y > 0 or, y null, where x*scale[c] + offset[c] > 0; all of it where both are null.
struct ReluMask {
  const float* y = nullptr;  // laid out as dy
  const float *scale = nullptr, *offset = nullptr;
};

// Pooling over `images` images of H x W pixels of `inner` contiguous floats each (C in the first
// layout, C*kLanes with images = 1 in the second). Windows are clipped at the image's edges.
struct PoolPass {
  int32_t images, inner;
  int32_t height, width, out_height, out_width;
  int32_t window_h, window_w, stride_h, stride_w, pad_top, pad_left;
  // Divisor of an average: 0 counts the pixels inside the image, kPaddedPixels those inside the
  // image with its padding, otherwise this number.
  int32_t divisor;
  int32_t pad_bottom = 0, pad_right = 0;  // read for kPaddedPixels only
};
constexpr int32_t kPaddedPixels = -1;

// One tap of a depthwise kernel along one axis.
struct DepthwiseTap {
  int64_t x;       // offset in x from the output pixel's origin, in floats
  int32_t weight;  // the axis' share of the weight row: kh * KW or kw
};

// A depthwise correlation over pixels of `inner` floats each (C with channels in lanes, C * kLanes
// with samples in lanes). Output pixel (r, c), float i:
//   y[r*y_row + c*y_col + i] = bias[i] + sum over taps a in [row_taps[2r], row_taps[2r+1]) of
//       taps_h, b in [col_taps[2c], col_taps[2c+1]) of taps_w, of
//       x[r*x_row + c*x_col + a.x + b.x + i] * w[(a.weight + b.weight)*inner + i]
// summed in that order. The ranges leave out the taps that lie outside the image, so offsets may be
// negative. Forward, and input gradients one phase of the strides at a time, are all this.
struct DepthwisePass {
  int32_t rows, cols;  // output pixels computed
  int32_t inner;       // floats of a pixel
  int32_t tap_rows, tap_cols;
  int32_t inside_begin, inside_end;  // the columns that see every tap of a kernel row
  int64_t x_row, x_col;              // floats of x per output row, column
  int64_t y_row, y_col;              // floats of y per output row, column
  const DepthwiseTap *taps_h, *taps_w;
  const int32_t* row_taps;     // 2*rows
  const int32_t* col_taps;     // 2*cols
  const int32_t* tap_columns;  // 2*tap_cols: the columns [first, end) that see the tap
};

// Local response normalisation of pixels of `channels` contiguous floats.
struct ResponseNorm {
  int32_t channels;
  int32_t before, after;  // the window of channel c is [c - before, c + after], cut at the ends
  int32_t stage;          // pixels worked on at a time, at least 1
  float alpha;            // factor of the window's sum of squares
  float beta, k;          // k > 0 and normal, |beta| <= 1000
};

enum class ActivationKind : int32_t {
  kLinear,
  kRelu,
  kLeakyRelu,
  kSigmoid,
  kTanh,
  kScaledTanh,
  kElu,
  kGelu,
  kSilu
};

// Some of a block's pixels, one after the other: the first's number in the block, and its x.
struct PixelSpan {
  const float* x;
  int32_t first, count;
};

// Of a tile of a weight gradient: to[m*to_step + o] = from[m*from_step + o] + its sum. from may be
// null, for 0, or `to`.
struct WgradSums {
  const float* from;
  int64_t from_step;
  float* to;
  int64_t to_step;
};

struct KernelTable {
  const char* isa;       // "baseline", "avx2", "avx512", "neon"
  int32_t vector_width;  // floats in a vector

  // ---- convolution and dense ------------------------------------------------------------------
  // Width of the output tiles that conv_samples wants its weights packed in, for `cols` columns
  // and `outputs` output channels; the last tile is as narrow as what remains.
  int32_t (*samples_tile)(int32_t cols, int32_t outputs);
  // Width of conv_channels' tiles (vector_width * vectors a tile). The last tile is padded with
  // zeros up to a whole number of vectors.
  int32_t channels_tile;
  // Packs a weight matrix, element (k, o) at w[row_offset[k] + o*output_step], tile after tile:
  //   packed[o0*depth + k*width + j] = w(k, o0 + j), o0 = 0, tile, 2*tile...; width = the tile's,
  // the last tile's rounded up to a multiple of `pad` (1 for conv_samples, vector_width for
  // conv_channels). `packed` holds depth * (outputs rounded up to pad) floats.
  void (*pack)(const float* w, const int64_t* row_offset, int64_t output_step, int32_t outputs,
               int32_t depth, int32_t tile, int32_t pad, float* packed);
  // Samples in lanes; w packed with samples_tile(pass.cols, pass.outputs). bias may be null.
  void (*conv_samples)(const ConvPass& pass, const float* x, const float* w, const float* bias,
                       float floor, float* y);
  // Channels in lanes, one image. w_step = 0: w is packed with channels_tile. Otherwise w is the
  // plain matrix with w_step floats from row to row (at least `outputs`), read in place.
  void (*conv_channels)(const ConvPass& pass, const float* x, const float* w, int64_t w_step,
                        const Epilogue& epilogue, float* y);
  // Weight gradients for the forward pass's geometry: dw[(depth k) * dw_step + o] (+)= sum over
  // output pixels (and lanes, and images) of x * dy, dy laid out as y in the pass. Channels in
  // lanes makes the weight rows of runs first_run..end_run.
  void (*conv_wgrad_samples)(const ConvPass& pass, const float* x, const float* dy, float* dw,
                             int64_t dw_step, bool accumulate);
  void (*conv_wgrad_channels)(const ConvPass& pass, int32_t first_run, int32_t end_run,
                              int32_t images, const float* x, int64_t x_image, const float* dy,
                              int64_t dy_image, float* dw, int64_t dw_step, bool accumulate);
  // The same over a batch, dy packed, x packed or where it lies: up to wgrad_rows weight rows a
  // tile, channels_tile outputs a panel. pack_x: to[t*tile_step + p*wgrad_column + m] = x[p*x_col +
  // m + rows[0] + .. + rows[t-1]], m < rows[t]. pack_dy: panel after panel,
  // [pixels][channels_tile]; the last is as wide as its whole vectors, zeros behind its outputs.
  int32_t wgrad_rows, wgrad_column;
  void (*wgrad_pack_x)(const float* x, int64_t x_col, int32_t pixels, const int32_t* rows,
                       int32_t tiles, float* to, int64_t tile_step);
  void (*wgrad_pack_dy)(const float* dy, int64_t dy_col, int32_t pixels, int32_t outputs,
                        float* to);
  // One tile and one panel, summed over the spans' pixels: weight row m of the tile meets
  // x[x_offset + m] of each, which lie x_step apart within a span.
  void (*wgrad_panel)(int32_t rows, int32_t outputs, const PixelSpan* spans, int32_t span_count,
                      int64_t x_offset, int64_t x_step, const float* dy, const WgradSums& sums);

  // ---- Winograd's F(4x4, 3x3), channels in lanes ----------------------------------------------
  // Point p of channel c goes to to[p*step + c], kWinogradPoints of them a tile; whole vectors are
  // written. window: pointers to the tile's pixels, row by row, 6x6 of them (input) or 4x4
  // (gradient, of outputs), of which the channels first.. first + channels - 1 are taken; rows of
  // zeros stand for pixels outside.
  void (*winograd_input)(const float* const* window, int32_t first, int32_t channels, float* to,
                         int64_t step);
  void (*winograd_gradient)(const float* const* window, int32_t first, int32_t channels, float* to,
                            int64_t step);
  // The first rows x cols of the tile's 4x4 outputs.
  void (*winograd_output)(const float* from, int64_t step, int32_t rows, int32_t cols,
                          int32_t channels, const Epilogue& epilogue, float* y, int64_t y_row,
                          int64_t y_col);
  // n numbers (whole vectors) of each of nine taps to as many of each point; points may overlap the
  // taps at the same number: all taps of a number are read before its points are written.
  void (*winograd_filter)(int64_t n, const float* taps, int64_t tap_step, float* points,
                          int64_t step);
  // taps (+)= the gradient that points leave, n numbers of each.
  void (*winograd_filter_gradient)(int32_t n, const float* points, int64_t step, float* taps,
                                   int64_t tap_step, bool accumulate);

  // ---- dense ----------------------------------------------------------------------------------
  // Dense weight gradient with samples in lanes: dw[i*outputs + o] (+)= sum_n x[i][n] *
  // dy_rows[n][o]; x: [inputs][kLanes]; dy_rows: [kLanes][dy_step] (transposed first with
  // samples_to_rows).
  void (*dense_wgrad_samples)(int32_t inputs, int32_t outputs, const float* x, const float* dy_rows,
                              int64_t dy_step, float* dw, bool accumulate);
  // y[i] = sum_o w[i*outputs + o] * v[o]: a dense layer's input gradient for one sample.
  void (*dot_rows)(int32_t rows, int32_t outputs, const float* w, const float* v, float* y);
  // Over all samples of a batch, weights in place: y[n][o] = start[n][o] + sum_k x[n][k] * w[k][o],
  // summed in order of k; start may be null (zeros), y, or one row (start_step 0: the bias).
  void (*product)(int32_t samples, int32_t depth, int32_t outputs, const float* x, int64_t x_step,
                  const float* w, int64_t w_step, const float* start, int64_t start_step, float* y,
                  int64_t y_step);
  // dx[n][i] = sum_o dy[n][o] * w[i][o].
  void (*product_transposed)(int32_t samples, int32_t inputs, int32_t outputs, const float* dy,
                             int64_t dy_step, const float* w, int64_t w_step, float* dx,
                             int64_t dx_step);
  // db[c] (+)= sum over pixels (and lanes) of dy; dy: [pixels][channels] positions.
  void (*bias_grad_samples)(int64_t pixels, int32_t channels, const float* dy, float* db,
                            bool accumulate);
  void (*bias_grad_channels)(int64_t pixels, int32_t channels, const float* dy, float* db,
                             bool accumulate);

  // ---- per-channel affine map: y = x*a[c], and the epilogue; da[c] (+)= sum dy*x ----------------
  void (*channel_affine_samples)(int64_t pixels, int32_t channels, const float* a, const float* x,
                                 const Epilogue& epilogue, float* y);
  void (*channel_affine_channels)(int64_t pixels, int32_t channels, const float* a, const float* x,
                                  const Epilogue& epilogue, float* y);
  void (*channel_dot_samples)(int64_t pixels, int32_t channels, const float* dy, const float* x,
                              float* da, bool accumulate);
  void (*channel_dot_channels)(int64_t pixels, int32_t channels, const float* dy, const float* x,
                               float* da, bool accumulate);

  // ---- batch normalisation: by channel over pixels (and the first `samples` lanes) --------------
  // mean[c] of x, m2[c] = sum of (x - mean[c])^2, of deviations.
  void (*channel_moments_samples)(int64_t pixels, int32_t channels, int32_t samples, const float* x,
                                  float* mean, float* m2);
  void (*channel_moments_channels)(int64_t pixels, int32_t channels, const float* x, float* mean,
                                   float* m2);
  // g: what of dy passes the mask. sum[c] of g, dot[c] of g * (x - mean[c]).
  void (*channel_gradient_samples)(int64_t pixels, int32_t channels, const float* dy,
                                   const float* x, const float* mean, const ReluMask& mask,
                                   float* sum, float* dot);
  void (*channel_gradient_channels)(int64_t pixels, int32_t channels, const float* dy,
                                    const float* x, const float* mean, const ReluMask& mask,
                                    float* sum, float* dot);
  // dx = a[c] * g + b[c] * x + k[c]; dr = g. Either may be null or dy. Lanes from `samples` on
  // become zero.
  void (*channel_affine2_samples)(int64_t pixels, int32_t channels, int32_t samples, const float* a,
                                  const float* b, const float* k, const ReluMask& mask,
                                  const float* dy, const float* x, float* dx, float* dr);
  void (*channel_affine2_channels)(int64_t pixels, int32_t channels, const float* a, const float* b,
                                   const float* k, const ReluMask& mask, const float* dy,
                                   const float* x, float* dx, float* dr);

  // ---- pooling --------------------------------------------------------------------------------
  // index (may be null: inference): the winner's place in its window, kh*window_w + kw, as a float
  // (exact below 2^24); the first of equals wins. A window's first pixel inside the image starts
  // it.
  void (*max_pool)(const PoolPass& pass, const float* x, float* y, float* index);
  // dx is overwritten: zero where no window chose the pixel; overlapping windows add up in window
  // order. (The same gather serves the curvature pass.)
  void (*max_pool_backward)(const PoolPass& pass, const float* dy, const float* index, float* dx);
  // y = sum / divisor; backward spreads dy * (1/divisor)^order, order 1 (gradient) or 2
  // (curvature).
  void (*avg_pool)(const PoolPass& pass, const float* x, float* y);
  void (*avg_pool_backward)(const PoolPass& pass, const float* dy, float* dx, int32_t order);

  // ---- elementwise; in place is allowed -------------------------------------------------------
  void (*activation)(ActivationKind kind, float alpha, int64_t n, const float* x, float* y);
  // dx = dy * f'^order. f' is written in terms of y for linear, relu, leaky_relu (alpha >= 0),
  // sigmoid, tanh, scaled_tanh, elu (alpha >= 0), where x may be null, else of x (y may be null).
  void (*activation_backward)(ActivationKind kind, float alpha, int64_t n, const float* x,
                              const float* y, const float* dy, float* dx, int32_t order);
  void (*add)(int64_t n, const float* a, const float* b, float* y);
  void (*multiply)(int64_t n, const float* a, const float* b, float* y);
  void (*scale)(int64_t n, float a, const float* x, float* y);
  void (*subtract)(int64_t n, const float* a, const float* b, float* y);
  // y = a*x + b*z: interpolation, and with b = 1 and z = y a sum that grows.
  void (*blend)(int64_t n, float a, const float* x, float b, const float* z, float* y);
  // Where x beats y (is larger or, with `smallest`, smaller), y = x and index = place. index may be
  // null. Of equals, and of what is not a number, the earlier stays.
  void (*keep_extreme)(bool smallest, int64_t n, const float* x, float place, float* y,
                       float* index);
  // dx = index == place ? dy : 0: what keep_extreme gives back to the array of that place.
  void (*where_index)(int64_t n, const float* index, float place, const float* dy, float* dx);

  // ---- rows of logits -------------------------------------------------------------------------
  void (*softmax)(int64_t rows, int32_t cols, const float* x, float* y);
  // dx = y * (dy - sum(dy*y)) a row.
  void (*softmax_backward)(int64_t rows, int32_t cols, const float* y, const float* dy, float* dx);

  // ---- layout ---------------------------------------------------------------------------------
  // y[f][n] = rows[n][f] for n < samples (<= kLanes), 0 in the other lanes.
  void (*rows_to_samples)(int64_t features, int32_t samples, const float* const* rows, float* y);
  void (*bytes_to_samples)(int64_t features, int32_t samples, const uint8_t* const* rows, float* y);
  void (*bytes_to_floats)(int64_t n, const uint8_t* x, float* y);
  // y[n*y_step + f] = x[f][n] for n < samples.
  void (*samples_to_rows)(int64_t features, int32_t samples, const float* x, int64_t y_step,
                          float* y);

  // ---- optimizers: n parameters, gradient g, in place -----------------------------------------
  // out[i] = parts[0][i] + ... in a fixed pairwise tree: ((p0+p1)+(p2+p3))+..., an odd one out
  // passes to the next level as it is. out may be parts[0]. count >= 1, at most 64.
  void (*sum_tree)(int64_t n, int32_t count, const float* const* parts, float* out);
  // In all of them first w *= 1 - decay (decay = learning rate * decoupled weight decay).
  // v = momentum*v - lr*g; w += v, or momentum*v - lr*g with Nesterov (Keras's SGD).
  // momentum == 0: w -= lr*g, v may be null.
  void (*sgd)(int64_t n, float lr, float momentum, bool nesterov, float decay, const float* g,
              float* w, float* v);
  // m += (g-m)*(1-beta1); v += (g*g-v)*(1-beta2); w -= lr_t*m/(sqrt(v)+epsilon), where the caller
  // folded the bias corrections into lr_t = lr*sqrt(1-beta2^t)/(1-beta1^t) (Keras's Adam).
  void (*adam)(int64_t n, float lr_t, float beta1, float beta2, float epsilon, float decay,
               const float* g, float* w, float* m, float* v);
  // v = rho*v + (1-rho)*g*g; [centered: a = rho*a + (1-rho)*g, d = v - a*a else d = v]
  // step = lr*g/sqrt(d+epsilon); [momentum: b = momentum*b + step, w -= b] else w -= step.
  // a and b may be null where unused (Keras's RMSprop).
  void (*rmsprop)(int64_t n, float lr, float rho, float momentum, float epsilon, float decay,
                  const float* g, float* w, float* v, float* a, float* b);
  // Stochastic diagonal Levenberg-Marquardt: w -= eta / (mu + h) * g (LeCun et al. 1998, eq. 18).
  void (*sdlm)(int64_t n, float eta, float mu, const float* h, float decay, const float* g,
               float* w);

  // ---- gradients on their way to the optimizer: n parameters w, gradient g, in place ----------
  // g += l1*sign(w) + 2*l2*w, sign(0) = 0. Returns l1 * sum |w| + l2 * sum w*w, the penalty whose
  // gradient that is; g may be null: the penalty alone.
  double (*regularize)(int64_t n, float l1, float l2, const float* w, float* g);
  double (*sum_squares)(int64_t n, const float* g);
  // g = min(max(g, -limit), limit); a NaN stays one.
  void (*clip)(int64_t n, float limit, float* g);
  // average += (w - average) * (1 - momentum).
  void (*moving_average)(int64_t n, float momentum, const float* w, float* average);

  // Runs iterations * 16 independent vector multiply-adds (one for multiply, one for add where the
  // ISA has no FMA) and returns the floating-point operations done: the machine's FMA limit.
  int64_t (*fma_chain)(int64_t iterations);

  // ---- normalisation, channels in lanes -------------------------------------------------------
  // y[c] = x[c] * f[c], f[c] = s[c]^-beta, s[c] = k + alpha * sum over the window of x^2. factor
  // takes f where a backward follows (else null). scratch: stage * (channels + before + after) +
  // kLanes floats. In place is allowed.
  void (*response_norm)(const ResponseNorm& pass, int64_t pixels, const float* x, float* y,
                        float* factor, float* scratch);
  // dx from x and the forward's factor; scratch: twice the forward's. dx may be dy.
  void (*response_norm_backward)(const ResponseNorm& pass, int64_t pixels, const float* x,
                                 const float* factor, const float* dy, float* dx, float* scratch);
  // Rows of `cols` floats: y = z * gamma[i] + beta[i] (either may be null), z the row with mean 0
  // and variance 1. statistics (may be null) takes three numbers a row, of which
  // z = (x - statistics[0]) * statistics[1] - statistics[2]. In place is allowed.
  void (*layer_norm)(int64_t rows, int64_t cols, float epsilon, const float* gamma,
                     const float* beta, const float* x, float* y, float* statistics);
  void (*layer_norm_backward)(int64_t rows, int64_t cols, const float* gamma, const float* x,
                              const float* statistics, const float* dy, float* dx);
  // dgamma[i] (+)= sum over rows of dy * z, dbeta[i] (+)= sum of dy; either may be null.
  void (*layer_norm_parameters)(int64_t rows, int64_t cols, const float* x, const float* statistics,
                                const float* dy, float* dgamma, float* dbeta, bool accumulate);
  // With d = x - shift[c]: sum[c] = sum over pixels of d, squares[c] = sum of d*d.
  void (*channel_deviations)(int64_t pixels, int32_t channels, const float* shift, const float* x,
                             float* sum, float* squares);
  // sum[c] = sum over pixels of dy, dot[c] = sum of dy * (x - shift[c]).
  void (*channel_shifted_dots)(int64_t pixels, int32_t channels, const float* shift, const float* x,
                               const float* dy, float* sum, float* dot);
  // y = (x - shift[c])*a[c] + b[c]; dx = dy*a[c] + ((x - shift[c])*b[c] + d[c]). In place is
  // allowed.
  void (*channel_shifted_affine)(int64_t pixels, int32_t channels, const float* shift,
                                 const float* a, const float* b, const float* x, float* y);
  void (*channel_shifted_affine_backward)(int64_t pixels, int32_t channels, const float* shift,
                                          const float* a, const float* b, const float* d,
                                          const float* x, const float* dy, float* dx);

  // ---- depthwise convolution, one image or one block of samples in lanes ----------------------
  // w: [tap_rows * tap_cols][inner]; bias: [inner], may be null.
  void (*depthwise)(const DepthwisePass& pass, const float* x, const float* w, const float* bias,
                    float* y);
  // dw[(a.weight + b.weight)*inner + i] (+)= sum over output pixels of x * dy, for the forward
  // pass's geometry, dy laid out as its y.
  void (*depthwise_wgrad)(const DepthwisePass& pass, const float* x, const float* dy, float* dw,
                          bool accumulate);
};

// Levels in rising order on one architecture.
enum class Isa : int32_t { kBaseline, kAvx2, kAvx512, kNeon, kScalar };
constexpr int kIsaCount = 5;

// The table of one level, or null where it was not compiled in or this CPU (or its OS) lacks it.
const KernelTable* kernel_table(Isa isa);
// The best table, or the one that STRIATE_ISA names; chosen once, at the first call. Throws
// ValueError, listing the levels at hand, when STRIATE_ISA is unknown or not supported here.
const KernelTable& kernels();

}  // namespace striate
