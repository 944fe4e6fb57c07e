#include "ops/conv_step.h"

#include <algorithm>
#include <limits>

#include "core/checked.h"
#include "core/storage.h"

namespace striate {
namespace {

constexpr float kNoFloor = -std::numeric_limits<float>::infinity();
// Positions of a padded copy: 128 KiB, an eighth of an L2, so that the copy is still there when the
// tiles read it, beside their weights.
constexpr std::int64_t kBandPositions = std::int64_t{1} << 15;
// Pixels of a weight gradient's band, at least, so that loading and storing its tiles stays cheap.
constexpr std::int64_t kBandPixels = 96;
// Outputs whose weight gradient one task makes: their tile of it stays in L2 (4608 rows of 32: 590
// KB). Wide layers take 64, which halves the copies of x.
constexpr std::int64_t kSliceOutputs = 32, kWideSliceOutputs = 64, kWideSliceFrom = 512;
constexpr std::int64_t kGradientTasks = 8;  // at least, where the shape allows
constexpr int kPackTasks = 8;

// One pass's weights in the packed buffer, group after group.
struct PackedPass {
  ConvPassTables tables;
  std::vector<Band> bands;
  std::int64_t at, group_size;
};

// What one gradient task owns: outputs [first, end) of a group, runs [run, run_end).
struct GradientSlice {
  std::int64_t group, first, end;
  std::int32_t run, run_end;
};

class ConvStep : public Step {
 public:
  ConvStep(const ConvGeometry& g, bool bias, std::vector<float> mask, const StepOptions& o)
      : g_(g),
        bias_(bias),
        mask_(std::move(mask)),
        k_(*o.kernels),
        samples_layout_(o.layout == Layout::kSamples),
        x_padding_(forward_padding(g)),
        dy_padding_(input_gradient_padding(g)) {
    backward_reads_x = true;
    position_floats_ = samples_layout_ ? kLanes : 1;
    images_ = samples_layout_ ? 1 : o.block_samples;
    forward_ = place(forward_pass(g, x_padding_), x_padding_, &packed_size);
    for (ConvPassTables& t : input_gradient_passes(g, dy_padding_))
      input_gradient_.push_back(place(std::move(t), dy_padding_, &packed_backward_size));
    x_floats_ = align_up(x_padding_.positions() * position_floats_);
    // Small images of a block are summed in one go, so that their copies are all kept.
    whole_block_ = samples_layout_ || images_ * x_floats_ <= kBandPositions;
    gradient_bands_ = cut_bands(forward_.tables, x_padding_,
                                std::max(kBandPositions, kBandPixels * x_padding_.channels));
    task_scratch_size = band_floats(gradient_bands_, x_padding_);
    scratch_size = std::max(band_floats(forward_.bands, x_padding_),
                            whole_block_ ? images_ * x_floats_ : task_scratch_size);
    for (const PackedPass& p : input_gradient_)
      scratch_size = std::max(scratch_size, band_floats(p.bands, dy_padding_));
    if (o.wide && mask_.empty() && !samples_layout_) cut_gradient();
    if (!samples_layout_) pack_tasks = kPackTasks;
  }

  void pack(const PackArgs& a) const override {
    if (!a.backward) return pack_pass(forward_, a.params[0], a.task, a.packed);
    for (const PackedPass& p : input_gradient_) pack_pass(p, a.params[0], a.task, a.packed);
  }

  void forward(const ForwardArgs& a) const override {
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    for (std::int64_t n = 0; n < image_count(a); ++n)
      run(forward_, x_padding_, a.x[0] + n * x_image, a.packed, bias_ ? a.params[1] : nullptr,
          a.scratch, a.y + n * y_image);
  }

  void backward(const BackwardArgs& a) const override {
    if (a.dparams[0]) weight_gradient(a);
    if (bias_ && a.dparams[1]) bias_gradient(a);
    if (!a.dx[0]) return;
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    for (std::int64_t n = 0; n < image_count(a); ++n)
      for (const PackedPass& p : input_gradient_)
        run(p, dy_padding_, a.dy + n * y_image, a.packed, nullptr, a.scratch,
            a.dx[0] + n * x_image);
  }

  // The last task is the bias's.
  void gradient_task(const BackwardArgs& a, int task) const override {
    if (task == static_cast<int>(slices_.size())) {
      if (a.dparams[1]) bias_gradient(a);
      return;
    }
    if (a.dparams[0]) slice_gradient(a, slices_[static_cast<std::size_t>(task)]);
  }

 private:
  std::int64_t image_count(const StepArgs& a) const { return samples_layout_ ? 1 : a.samples; }
  std::int32_t run_count() const { return static_cast<std::int32_t>(forward_.tables.runs.size()); }

  int tile(const ConvPass& p) const {
    return samples_layout_ ? k_.samples_tile(p.cols, p.outputs) : k_.channels_tile;
  }

  std::int64_t band_floats(const std::vector<Band>& bands, const ColumnPadding& x) const {
    std::int64_t rows = 0;
    for (const Band& b : bands) rows = std::max(rows, b.x_rows);
    return align_up(rows * x.pitch() * x.channels * position_floats_);
  }

  PackedPass place(ConvPassTables tables, const ColumnPadding& x, std::int64_t* total) const {
    const std::int64_t pad = samples_layout_ ? 1 : k_.vector_width;
    const std::int64_t width = (tables.pass.outputs + pad - 1) / pad * pad;
    const std::int64_t size = align_up(checked_mul(tables.pass.depth, width));
    const bool whole = samples_layout_ || !x.needed();
    std::vector<Band> bands =
        cut_bands(tables, x, whole ? std::numeric_limits<std::int64_t>::max() / 2 : kBandPositions);
    PackedPass p{std::move(tables), std::move(bands), *total, size};
    *total = checked_add(*total, checked_mul(size, g_.groups));
    return p;
  }

  // A task packs every pack_tasks-th tile.
  void pack_pass(const PackedPass& p, const float* w, int task, float* packed) const {
    const ConvPass& pass = p.tables.pass;
    const int width = tile(pass), pad = samples_layout_ ? 1 : k_.vector_width;
    const std::int64_t tiles = (pass.outputs + width - 1) / width;
    for (std::int64_t i = task; i < tiles * g_.groups; i += pack_tasks) {
      const std::int64_t g = i / tiles;
      const auto o = static_cast<std::int32_t>(i % tiles * width);
      k_.pack(w + g * p.tables.w_group + o * p.tables.weight_step, p.tables.weight_rows.data(),
              p.tables.weight_step, std::min(width, pass.outputs - o), pass.depth, width, pad,
              packed + p.at + g * p.group_size + std::int64_t{o} * pass.depth);
    }
  }

  // The band's rows of x, padded where that is needed, as if row 0 of x were there.
  const float* banded(const ColumnPadding& padding, const Band& band, const float* x,
                      float* scratch) const {
    if (!padding.needed()) return x;
    padding.copy(x, position_floats_, band.x_first, band.x_rows, scratch);
    return scratch - band.x_first * padding.pitch() * padding.channels * position_floats_;
  }

  static ConvPass band_pass(const ConvPass& whole, const Band& band) {
    ConvPass pass = whole;
    pass.rows = band.end - band.begin;
    pass.row_runs += 2 * band.begin;
    return pass;
  }

  // One image (or one block of samples in lanes), every group.
  void run(const PackedPass& p, const ColumnPadding& padding, const float* image,
           const float* packed, const float* bias, float* scratch, float* y) const {
    const ConvPassTables& t = p.tables;
    for (const Band& band : p.bands) {
      const ConvPass pass = band_pass(t.pass, band);
      const float* x = banded(padding, band, image, scratch) +
                       (t.x_origin + band.begin * pass.x_row) * position_floats_;
      for (std::int64_t g = 0; g < g_.groups; ++g) {
        const float* xg = x + g * t.x_group * position_floats_;
        const float* wg = packed + p.at + g * p.group_size;
        const float* bg = bias ? bias + g * g_.group_out() : nullptr;
        float* yg = y + (t.y_origin + band.begin * pass.y_row + g * t.y_group) * position_floats_;
        if (samples_layout_)
          k_.conv_samples(pass, xg, wg, bg, kNoFloor, yg);
        else
          k_.conv_channels(pass, xg, wg, 0, bg, kNoFloor, yg);
      }
    }
  }

  // ---- weight gradient, block by block

  void weight_gradient(const BackwardArgs& a) const {
    if (whole_block_) {
      block_gradient(a);
    } else {
      for (std::int64_t g = 0; g < g_.groups; ++g)
        slice_gradient(a, {g, 0, g_.group_out(), 0, run_count()});
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
    const ConvPassTables& t = forward_.tables;
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

  // ---- weight gradient, by slices of the weights over all images

  void cut_gradient() {
    const std::int64_t width = g_.oc >= kWideSliceFrom ? kWideSliceOutputs : kSliceOutputs;
    const std::int64_t by_output = (g_.group_out() + width - 1) / width * g_.groups;
    const std::int64_t runs = run_count();
    const std::int64_t parts =
        std::clamp<std::int64_t>((kGradientTasks + by_output - 1) / by_output, 1, runs);
    for (std::int64_t g = 0; g < g_.groups; ++g)
      for (std::int64_t o = 0; o < g_.group_out(); o += width)
        for (std::int64_t q = 0; q < parts; ++q)
          slices_.push_back({g, o, std::min(o + width, g_.group_out()),
                             static_cast<std::int32_t>(q * runs / parts),
                             static_cast<std::int32_t>((q + 1) * runs / parts)});
    gradient_tasks = static_cast<int>(slices_.size()) + (bias_ ? 1 : 0);
  }

  // Image after image, band after band: a band of x stays in L2 for all the slice's tiles, which
  // gather in dw.
  void slice_gradient(const BackwardArgs& a, const GradientSlice& s) const {
    const ConvPassTables& t = forward_.tables;
    const std::int64_t x_image = g_.h * g_.w * g_.c, y_image = g_.oh * g_.ow * g_.oc;
    float* dw = a.dparams[0] + s.group * t.w_group + s.first;
    bool accumulate = a.accumulate;
    for (std::int64_t n = 0; n < a.samples; ++n)
      for (const Band& band : gradient_bands_) {
        ConvPass pass = band_pass(t.pass, band);
        pass.outputs = static_cast<std::int32_t>(s.end - s.first);
        const float* x = band_of_x(a, band, a.x[0] + n * x_image) + t.x_origin +
                         band.begin * pass.x_row + s.group * t.x_group;
        const float* dy =
            a.dy + n * y_image + band.begin * pass.y_row + s.group * t.y_group + s.first;
        k_.conv_wgrad_channels(pass, s.run, s.run_end, 1, x, 0, dy, 0, dw, g_.oc, accumulate);
        accumulate = true;
      }
  }

  // As banded(), with squares for the second order.
  const float* band_of_x(const BackwardArgs& a, const Band& band, const float* x) const {
    if (a.order == 1) return banded(x_padding_, band, x, a.scratch);
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
  ColumnPadding x_padding_, dy_padding_;
  PackedPass forward_{};
  std::vector<PackedPass> input_gradient_;
  std::vector<Band> gradient_bands_;
  std::vector<GradientSlice> slices_;
  bool whole_block_ = false;
  std::int64_t images_ = 1, position_floats_ = 1, x_floats_ = 0;
};

}  // namespace

std::unique_ptr<Step> bind_conv(const ConvGeometry& g, bool bias, std::vector<float> weight_mask,
                                const StepOptions& options) {
  return std::make_unique<ConvStep>(g, bias, std::move(weight_mask), options);
}

}  // namespace striate
