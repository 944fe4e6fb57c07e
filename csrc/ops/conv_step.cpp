#include "ops/conv_step.h"

#include <algorithm>

#include "core/checked.h"
#include "core/storage.h"
#include "ops/conv_weight_gradient.h"
#include "ops/epilogue.h"
#include "ops/packed_passes.h"
#include "ops/pairs.h"
#include "ops/task_cut.h"

namespace striate {
namespace {

// Pixels of a weight gradient's band, at least, so that loading and storing its tiles stays cheap.
constexpr std::int64_t kBandPixels = 96;
constexpr int kPackTasks = 8;

class ConvStep : public Step {
 public:
  ConvStep(const ConvGeometry& g, bool bias, std::vector<float> mask, const StepOptions& o)
      : g_(g),
        bias_(bias),
        mask_(std::move(mask)),
        k_(*o.kernels),
        samples_layout_(o.layout == Layout::kSamples),
        position_floats_(samples_layout_ ? kLanes : 1),
        pairs_(!samples_layout_ && mask_.empty() && pairs_apply(g) ? o.bfloat16 : nullptr),
        x_padding_(forward_padding(g)),
        cut_(o.cut ? cut_of(g, k_) : TaskCut{1, 1}),
        adds_(o.adds),
        floor_(floor_of(o.relu)),
        forward_(forward_passes(o)),
        input_gradient_(backward_passes(o)) {
    backward_reads_x = true;
    packed_size = forward_.packed_size();
    packed_backward_size = input_gradient_.packed_size();
    scratch_size = std::max(forward_.scratch_floats(), input_gradient_.scratch_floats());
    if (!samples_layout_) pack_tasks = kPackTasks;
    if (cut_.tasks() > 1) {
      forward_tasks = cut_.tasks();
      task_scratch_size = forward_.scratch_floats();
    }
    if (o.wide && mask_.empty() && !samples_layout_) {
      whole_gradient_ = std::make_unique<ConvWeightGradient>(g, k_, pairs_);
      gradient_tasks = whole_gradient_->tasks() + (bias ? 1 : 0);
      task_scratch_size = whole_gradient_->scratch_floats();
      gradient_shares_size = whole_gradient_->shares().floats();
      gradient_sum_tasks = whole_gradient_->shares().sum_tasks();
      return;
    }
    if (pairs_) return;  // no gradients
    const std::int64_t images = samples_layout_ ? 1 : o.block_samples;
    x_floats_ = align_up(x_padding_.positions() * position_floats_);
    // Small images of a block are summed in one go, so that their copies are all kept.
    whole_block_ = samples_layout_ || images * x_floats_ <= kBandPositions;
    gradient_bands_ = cut_bands(forward_[0], x_padding_,
                                std::max(kBandPositions, kBandPixels * x_padding_.channels), 0,
                                forward_[0].pass.rows);
    const std::int64_t band = band_floats(gradient_bands_, x_padding_, position_floats_);
    scratch_size = std::max(scratch_size, whole_block_ ? images * x_floats_ : band);
  }

  const char* method() const override {
    return samples_layout_ ? "direct, samples in lanes"
           : pairs_        ? "direct, pairs of bfloat16"
                           : "direct, channels in lanes";
  }
  void pack(const PackArgs& a) const override {
    (a.backward ? input_gradient_ : forward_).pack(a.params[0], a.task, pack_tasks, a.packed);
  }

  void forward(const ForwardArgs& a) const override {
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    for (std::int64_t n = 0; n < image_count(a); ++n)
      forward_.run(a.x[0] + n * x_image, a.packed, epilogue(a, n * y_image), a.scratch,
                   a.y + n * y_image);
  }

  void forward_task(const ForwardArgs& a, int task) const override {
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    const std::int64_t outputs = g_.group_out(), part = task % cut_.output_parts;
    const std::int64_t panels = (outputs + k_.channels_tile - 1) / k_.channels_tile;
    const auto first = panels * part / cut_.output_parts * k_.channels_tile;
    const auto end = panels * (part + 1) / cut_.output_parts * k_.channels_tile;
    for (std::int64_t n = 0; n < a.samples; ++n)
      forward_.run_part(static_cast<std::int32_t>(task / cut_.output_parts),
                        static_cast<std::int32_t>(first),
                        static_cast<std::int32_t>(std::min(end, outputs)), a.x[0] + n * x_image,
                        a.packed, epilogue(a, n * y_image), a.scratch, a.y + n * y_image);
  }

  void backward(const BackwardArgs& a) const override {
    if (a.dparams[0]) weight_gradient(a);
    if (bias_ && a.dparams[1]) bias_gradient(a);
    if (!a.dx[0]) return;
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    for (std::int64_t n = 0; n < image_count(a); ++n)
      input_gradient_.run(a.dy + n * y_image, a.packed, {}, a.scratch, a.dx[0] + n * x_image);
  }

  // The last task is the bias's.
  void gradient_task(const BackwardArgs& a, int task) const override {
    if (task == whole_gradient_->tasks()) {
      if (a.dparams[1]) bias_gradient(a);
      return;
    }
    if (a.dparams[0])
      whole_gradient_->run(task, a.samples, a.x[0], a.dy, a.order, a.accumulate, a.scratch,
                           a.shares, a.dparams[0]);
  }
  void gradient_sum(const BackwardArgs& a, int task) const override {
    if (a.dparams[0]) whole_gradient_->shares().sum(task, a.shares, a.accumulate, k_, a.dparams[0]);
  }

 private:
  PackedPasses forward_passes(const StepOptions& o) const {
    const auto row_parts = static_cast<std::int32_t>(cut_.row_parts);
    std::vector<ConvPassTables> passes;
    if (!pairs_) {
      passes.push_back(forward_pass(g_, x_padding_));
      return {std::move(passes), x_padding_, g_.groups, o.layout, k_, row_parts};
    }
    const ConvGeometry even = with_even_channels(g_);
    const ColumnPadding padding = forward_padding(even);
    passes.push_back(in_pairs(forward_pass(even, padding), g_.group_in()));
    return {std::move(passes), in_pairs(padding), g_.c, g_.groups, k_, *pairs_, row_parts};
  }
  PackedPasses backward_passes(const StepOptions& o) const {
    const ColumnPadding padding = input_gradient_padding(g_);
    std::vector<ConvPassTables> passes = input_gradient_passes(g_, padding);
    if (!pairs_) return {std::move(passes), padding, g_.groups, o.layout, k_};
    for (ConvPassTables& t : passes) t = in_pairs(std::move(t), g_.group_out());
    return {std::move(passes), in_pairs(padding), g_.oc, g_.groups, k_, *pairs_};
  }
  static TaskCut cut_of(const ConvGeometry& g, const KernelTable& k) {
    const std::int64_t weights = g.kh * g.kw * g.group_in() * g.oc;
    return cut_within_sample(g.oh * g.ow * weights, g.oh,
                             (g.group_out() + k.channels_tile - 1) / k.channels_tile,
                             weights > g.h * g.w * g.c + g.oh * g.ow * g.oc);
  }
  // Of the image whose y lies `place` floats on.
  Epilogue epilogue(const ForwardArgs& a, std::int64_t place) const {
    return epilogue_from({bias_ ? a.params[1] : nullptr, adds_ ? a.x[1] : nullptr, floor_}, 0,
                         place);
  }
  std::int64_t image_count(const StepArgs& a) const { return samples_layout_ ? 1 : a.samples; }
  std::int32_t run_count() const { return static_cast<std::int32_t>(forward_[0].runs.size()); }

  // ---- weight gradient, block by block

  void weight_gradient(const BackwardArgs& a) const {
    if (whole_block_) {
      block_gradient(a);
    } else {
      for (std::int64_t g = 0; g < g_.groups; ++g) band_gradient(a, g);
    }
    if (!mask_.empty())
      k_.multiply(static_cast<std::int64_t>(mask_.size()), a.dparams[0], mask_.data(),
                  a.dparams[0]);
  }

  // x with its columns padded, squared for the second order; in scratch unless neither is needed.
  const float* prepared_x(const BackwardArgs& a, std::int64_t* image) const {
    const std::int64_t x_image = g_.h * g_.w * g_.c * position_floats_;
    *image = x_image;
    if (!x_padding_.needed() && a.order == 1) return a.x[0];
    *image = x_floats_;
    for (std::int64_t n = 0; n < image_count(a); ++n) {
      float* to = a.scratch + n * x_floats_;
      x_padding_.copy(a.x[0] + n * x_image, position_floats_, 0, g_.h, to);
      if (a.order == 2) k_.multiply(x_padding_.positions() * position_floats_, to, to, to);
    }
    return a.scratch;
  }

  void block_gradient(const BackwardArgs& a) const {
    const ConvPassTables& t = forward_[0];
    std::int64_t x_image;
    const float* x = prepared_x(a, &x_image);
    const std::int64_t pixels = g_.oh * g_.ow;
    for (std::int64_t g = 0; g < g_.groups; ++g) {
      const float* xg = x + (t.x_origin + g * t.x_group) * position_floats_;
      const float* dyg = a.dy + g * t.y_group * position_floats_;
      float* dwg = a.dparams[0] + g * t.w_group;
      if (samples_layout_)
        k_.conv_wgrad_samples(t.pass, xg, dyg, dwg, g_.oc, a.accumulate);
      else
        k_.conv_wgrad_channels(t.pass, 0, run_count(), static_cast<std::int32_t>(a.samples), xg,
                               x_image, dyg, pixels * g_.oc, dwg, g_.oc, a.accumulate);
    }
  }

  void bias_gradient(const BackwardArgs& a) const {
    const auto bias_grad = samples_layout_ ? k_.bias_grad_samples : k_.bias_grad_channels;
    bias_grad(g_.oh * g_.ow * image_count(a), static_cast<std::int32_t>(g_.oc), a.dy, a.dparams[1],
              a.accumulate);
  }

  // Image after image, band after band: a band of x stays in L2 for all tiles, which gather in dw.
  void band_gradient(const BackwardArgs& a, std::int64_t group) const {
    const ConvPassTables& t = forward_[0];
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    bool accumulate = a.accumulate;
    for (std::int64_t n = 0; n < a.samples; ++n)
      for (const Band& band : gradient_bands_) {
        const ConvPass pass = band_pass(t.pass, band);
        const float* x = band_of_x(a, band, a.x[0] + n * x_image) + t.x_origin +
                         band.begin * pass.x_row + group * t.x_group;
        const float* dy = a.dy + n * y_image + band.begin * pass.y_row + group * t.y_group;
        k_.conv_wgrad_channels(pass, 0, run_count(), 1, x, 0, dy, 0,
                               a.dparams[0] + group * t.w_group, g_.oc, accumulate);
        accumulate = true;
      }
  }

  // As band_of(), with squares for the second order.
  const float* band_of_x(const BackwardArgs& a, const Band& band, const float* x) const {
    if (a.order == 1) return band_of(x_padding_, band, x, 1, a.scratch);
    const std::int64_t row = x_padding_.pitch() * g_.c;
    x_padding_.copy(x, 1, band.x_first, band.x_rows, a.scratch);
    k_.multiply(band.x_rows * row, a.scratch, a.scratch, a.scratch);
    return a.scratch - band.x_first * row;
  }

  ConvGeometry g_;
  bool bias_;
  std::vector<float> mask_;
  const KernelTable& k_;
  bool samples_layout_;
  std::int64_t position_floats_;
  const Bfloat16Kernels* pairs_;  // null: products of floats
  ColumnPadding x_padding_;
  TaskCut cut_;
  bool adds_;
  float floor_;
  PackedPasses forward_, input_gradient_;
  std::vector<Band> gradient_bands_;
  std::unique_ptr<ConvWeightGradient> whole_gradient_;  // in wide networks
  bool whole_block_ = false;
  std::int64_t x_floats_ = 0;
};

}  // namespace

std::unique_ptr<Step> bind_conv(const ConvGeometry& g, bool bias, std::vector<float> weight_mask,
                                const StepOptions& options) {
  return std::make_unique<ConvStep>(g, bias, std::move(weight_mask), options);
}

}  // namespace striate
