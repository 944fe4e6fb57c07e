#include "ops/conv_weight_gradient.h"

#include <algorithm>
#include <utility>

#include "core/checked.h"
#include "core/storage.h"

namespace striate {
namespace {

// Output pixels that are packed at a time: a panel of dy, 16 KiB at 32 outputs, stays in L1 beside
// a tile of x, and a tile's sums are added to dW that seldom.
constexpr std::int64_t kPixels = 128;
// What one task makes at most: with 128 pixels of both sides, dW's share lies in L2 (128 x 256: 128
// KiB, x 64 KiB, dy 128 KiB), and each number packed meets at least so many others.
constexpr std::int64_t kTaskRows = 256, kTaskOutputs = 256;
// Cycles, about: a pixel's share of a tile of x, which is at least read, and a vector of dy.
constexpr std::int64_t kPackTile = 4, kReadTile = 2, kPackVector = 2;
// Tasks are cut as if for so many; 56x56 3x3/2 128-128 on two: 5 tasks 62 % of the limit, 8
// 87 %.
constexpr std::int64_t kThreads = 4;

std::int64_t floor_div(std::int64_t a, std::int64_t b) {
  return a >= 0 ? a / b : -((-a + b - 1) / b);
}

}  // namespace

ConvWeightGradient::ConvWeightGradient(const ConvGeometry& g, const KernelTable& k,
                                       const Bfloat16Kernels* pairs)
    : g_(g), k_(k), pairs_(pairs), shares_(1, 0) {
  const bool whole_row = g.groups == 1 && (g.dilation.w == 1 || g.kw == 1);
  runs_ = whole_row ? g.kh : g.kh * g.kw;
  run_length_ = (whole_row ? g.kw : 1) * g.group_in();
  matrix_ =
      g.kh == 1 && g.kw == 1 && g.strides.h == 1 && g.strides.w == 1 && g.oh == g.h && g.ow == g.w;
  tile_step_ = align_up(kPixels * k_.wgrad_column);
  const TaskCut best = choose_cut();
  const std::int64_t depth = runs_ * run_length_;
  std::vector<std::int64_t> row_cuts;
  for (std::int64_t i = 0; i <= best.row_parts; ++i) {
    const std::int64_t at = depth * i / best.row_parts;
    // Short runs stay whole: their ends make small tiles.
    row_cuts.push_back(2 * run_length_ <= depth / best.row_parts
                           ? (at + run_length_ / 2) / run_length_ * run_length_
                           : at);
  }
  for (std::int64_t group = 0; group < g.groups; ++group) cut(group, row_cuts, best.outputs);
  shares_ = {GradientShares::choose(static_cast<std::int64_t>(tasks_.size())),
             checked_mul(depth, g.oc)};
}

// The cut that takes least: each part of the outputs packs (or reads) all of x, each part of the
// rows all of dy, and tasks are to keep kThreads threads busy to the end.
ConvWeightGradient::TaskCut ConvWeightGradient::choose_cut() const {
  const std::int64_t depth = runs_ * run_length_, tile = k_.channels_tile;
  const auto count = [](std::int64_t n, std::int64_t size) { return (n + size - 1) / size; };
  const std::int64_t tiles = count(depth, k_.wgrad_rows);
  const std::int64_t products = tiles * count(g_.group_out(), k_.vector_width) * k_.wgrad_rows;
  TaskCut best{};
  double best_cost = 0;
  for (std::int64_t outputs = std::min(count(g_.group_out(), tile) * tile, kTaskOutputs);
       outputs >= tile; outputs -= tile)
    for (std::int64_t parts = count(depth, kTaskRows); parts <= tiles; ++parts) {
      const std::int64_t output_parts = count(g_.group_out(), outputs);
      const std::int64_t cycles = products +
                                  output_parts * tiles * (pairs_ ? kPackTile : kReadTile) +
                                  parts * count(g_.group_out(), k_.vector_width) * kPackVector;
      const std::int64_t weight_tasks = parts * output_parts * g_.groups;
      const std::int64_t tasks = weight_tasks * GradientShares::choose(weight_tasks);
      const double cost = static_cast<double>(cycles) *
                          static_cast<double>(count(tasks, kThreads)) / static_cast<double>(tasks);
      if (best_cost > 0 && cost >= best_cost) continue;
      best = {parts, outputs};
      best_cost = cost;
    }
  return best;
}

void ConvWeightGradient::cut(std::int64_t group, const std::vector<std::int64_t>& row_cuts,
                             std::int64_t outputs) {
  for (std::size_t i = 0; i + 1 < row_cuts.size(); ++i)
    for (std::int64_t o = 0; o < g_.group_out(); o += outputs) {
      const std::int64_t base = group * g_.group_out();
      Task task{base + o, base + std::min(o + outputs, g_.group_out()), {}, {}};
      for (std::int64_t k = row_cuts[i]; k < row_cuts[i + 1];) {
        const std::int64_t run = k / run_length_, from = k - run * run_length_;
        const std::int64_t to = std::min(run_length_, from + row_cuts[i + 1] - k);
        add_part(&task, part(group, run, from, to));
        k += to - from;
      }
      tasks_.push_back(std::move(task));
    }
}

// Rows first to end - 1 of a run.
ConvWeightGradient::Part ConvWeightGradient::part(std::int64_t group, std::int64_t run,
                                                  std::int64_t first, std::int64_t end) const {
  const std::int64_t taps = runs_ / g_.kh;  // of a kernel row that are runs of their own
  const std::int64_t kw = run % taps;
  Part p{};
  p.kh = run / taps;
  p.x = (kw * g_.dilation.w - g_.pad_left) * g_.c + group * g_.group_in() + first;
  p.depth = run * run_length_ + first;
  p.rows = end - first;
  const std::int64_t step = g_.strides.w * g_.c, row = g_.w * g_.c;
  p.begin = std::clamp<std::int64_t>(floor_div(-p.x + step - 1, step), 0, g_.ow);
  p.end = std::clamp<std::int64_t>(floor_div(row - p.rows - p.x, step) + 1, p.begin, g_.ow);
  return p;
}

void ConvWeightGradient::add_part(Task* task, Part p) const {
  p.first_tile = static_cast<std::int32_t>(task->tile_rows.size());
  p.tiles = static_cast<std::int32_t>((p.rows + k_.wgrad_rows - 1) / k_.wgrad_rows);
  for (std::int64_t t = 0; t < p.tiles; ++t)  // as even as can be
    task->tile_rows.push_back(
        static_cast<std::int32_t>(p.rows / p.tiles + (t < p.rows % p.tiles ? 1 : 0)));
  task->parts.push_back(p);
}

std::int64_t ConvWeightGradient::most_tiles() const {
  std::size_t most = 0;
  for (const Task& t : tasks_) most = std::max(most, t.tile_rows.size());
  return static_cast<std::int64_t>(most);
}

std::int64_t ConvWeightGradient::most_outputs() const {
  std::int64_t most = 0;
  for (const Task& t : tasks_) most = std::max(most, t.end_output - t.first_output);
  return align_up(most);
}

// Scratch: tiles of x (or windows that reach beyond their rows), panels of dy, one such window, and
// the task's sums.
std::int64_t ConvWeightGradient::scratch_floats() const {
  const std::int64_t panels = (most_outputs() + k_.channels_tile - 1) / k_.channels_tile;
  return most_tiles() * tile_step_ + most_outputs() * kPixels + align_up(kTaskRows) +
         most_tiles() * k_.wgrad_rows * panels * k_.channels_tile;
}

// body(number within the block, sample, output row, column, columns) for the rows' shares of it.
template <typename Body>
void ConvWeightGradient::each_row(const Pixels& block, Body body) const {
  for (std::int64_t p = block.first; p < block.end;) {
    const std::int64_t row = p / g_.ow, column = p % g_.ow;
    const std::int64_t columns = std::min(g_.ow - column, block.end - p);
    body(p - block.first, row / g_.oh, row % g_.oh, column, columns);
    p += columns;
  }
}

void ConvWeightGradient::pack_x(const Task& task, const Pixels& block, const float* x, float* to,
                                float* window) const {
  each_row(block, [&](std::int64_t at, std::int64_t n, std::int64_t oh, std::int64_t column,
                      std::int64_t columns) {
    for (const Part& p : task.parts) {
      const std::int64_t h = input_row(p, oh);
      if (h < 0 || h >= g_.h) {
        // Spans leave it out; but pairs of pixels may reach across a span's end.
        for (std::int32_t t = 0; pairs_ && t < p.tiles; ++t)
          std::fill_n(to + (p.first_tile + t) * tile_step_ + at * k_.wgrad_column,
                      columns * k_.wgrad_column, 0.0f);
        continue;
      }
      const PackedRow row{&p, x + (n * g_.h + h) * g_.w * g_.c, at - column,
                          task.tile_rows.data() + p.first_tile, to + p.first_tile * tile_step_};
      const std::int64_t end = column + columns;
      const std::int64_t inside = std::clamp(p.begin, column, end);
      const std::int64_t inside_end = std::clamp(p.end, inside, end);
      pack_clipped(row, column, inside, window);
      if (inside < inside_end)
        k_.wgrad_pack_x(row.x + p.x + inside * g_.strides.w * g_.c, g_.strides.w * g_.c,
                        static_cast<std::int32_t>(inside_end - inside), row.tile_rows, p.tiles,
                        row.to + (row.shift + inside) * k_.wgrad_column, tile_step_);
      pack_clipped(row, inside_end, end, window);
    }
  });
}

// A window that reaches beyond its row of x, with zeros there; false where all of it does.
bool ConvWeightGradient::clipped_window(const Part& p, const float* row, std::int64_t ow,
                                        float* window) const {
  const std::int64_t start = p.x + ow * g_.strides.w * g_.c;
  const std::int64_t from = std::clamp<std::int64_t>(-start, 0, p.rows);
  const std::int64_t to = std::clamp<std::int64_t>(g_.w * g_.c - start, from, p.rows);
  std::fill_n(window, p.rows, 0.0f);
  std::copy(row + start + from, row + start + to, window + from);
  return from < to;
}

void ConvWeightGradient::pack_clipped(const PackedRow& row, std::int64_t begin, std::int64_t end,
                                      float* window) const {
  const Part& p = *row.part;
  for (std::int64_t ow = begin; ow < end; ++ow) {
    clipped_window(p, row.x, ow, window);
    k_.wgrad_pack_x(window, 0, 1, row.tile_rows, p.tiles,
                    row.to + (row.shift + ow) * k_.wgrad_column, tile_step_);
  }
}

// The pixels of the block whose window has the part's row inside the image, of packed tiles.
void ConvWeightGradient::packed_spans(const Part& p, const Pixels& block, const float* tiles,
                                      std::vector<PixelSpan>* spans) const {
  if (pairs_)
    return spans->push_back(
        {tiles, 0, static_cast<std::int32_t>(panel_rows(block.end - block.first))});
  bool open = false;
  each_row(block,
           [&](std::int64_t at, std::int64_t, std::int64_t oh, std::int64_t, std::int64_t columns) {
             const std::int64_t h = input_row(p, oh);
             const bool inside = h >= 0 && h < g_.h;
             if (inside && open)
               spans->back().count += static_cast<std::int32_t>(columns);
             else if (inside)
               spans->push_back({tiles + at * k_.wgrad_column, static_cast<std::int32_t>(at),
                                 static_cast<std::int32_t>(columns)});
             open = inside;
           });
}

// body(row of x, from an output column to the block's pixel, columns) for the rows of outputs that
// meet the part inside the image.
template <typename Body>
void ConvWeightGradient::each_row_inside(const Part& p, const Pixels& block, const float* x,
                                         Body body) const {
  each_row(block, [&](std::int64_t at, std::int64_t n, std::int64_t oh, std::int64_t column,
                      std::int64_t columns) {
    const std::int64_t h = input_row(p, oh);
    if (h < 0 || h >= g_.h) return;
    const std::int64_t end = column + columns, inside = std::clamp(p.begin, column, end);
    body(x + (n * g_.h + h) * g_.w * g_.c, at - column,
         Columns{column, inside, std::clamp(p.end, inside, end), end});
  });
}

// The same of windows that are read where they lie; clipped ones are copied to `windows`, which
// moves on behind them.
void ConvWeightGradient::spans_in_place(const Part& p, const Pixels& block, const float* x,
                                        float** windows, std::vector<PixelSpan>* spans) const {
  const std::int64_t step = g_.strides.w * g_.c;
  const std::size_t first_span = spans->size();
  each_row_inside(p, block, x, [&](const float* row, std::int64_t shift, const Columns& c) {
    const auto clipped = [&](std::int64_t from, std::int64_t to) {
      for (std::int64_t ow = from; ow < to; ++ow) {
        if (!clipped_window(p, row, ow, *windows)) continue;
        spans->push_back({*windows, static_cast<std::int32_t>(shift + ow), 1});
        *windows += p.rows;
      }
    };
    clipped(c.first, c.inside);
    if (c.inside < c.inside_end) {
      const float* const from = row + p.x + c.inside * step;
      const auto first = static_cast<std::int32_t>(shift + c.inside);
      const auto count = static_cast<std::int32_t>(c.inside_end - c.inside);
      // Rows of x may go on where the last one ended.
      if (spans->size() > first_span && spans->back().first + spans->back().count == first &&
          spans->back().x + spans->back().count * step == from)
        spans->back().count += count;
      else
        spans->push_back({from, first, count});
    }
    clipped(c.inside_end, c.end);
  });
}

// What a block's windows read of x, where they lie inside their rows; windows that overlap or touch
// are one piece a row.
void ConvWeightGradient::pieces_of_x(const Task& task, const Pixels& block, const float* x,
                                     std::vector<Ahead::Piece>* pieces) const {
  const std::int64_t step = g_.strides.w * g_.c;
  for (const Part& p : task.parts)
    each_row_inside(p, block, x, [&](const float* row, std::int64_t, const Columns& c) {
      const std::int64_t count = c.inside_end - c.inside;
      if (count == 0) return;
      const float* const from = row + p.x + c.inside * step;
      if (step <= p.rows)
        pieces->push_back({from, 1, (count - 1) * step + p.rows, 0});
      else
        pieces->push_back({from, count, p.rows, step});
    });
}

void ConvWeightGradient::clear(const Task& task, float* dw) const {
  for (const Part& p : task.parts)
    for (std::int64_t k = p.depth; k < p.depth + p.rows; ++k)
      std::fill(dw + k * g_.oc + task.first_output, dw + k * g_.oc + task.end_output, 0.0f);
}

ConvWeightGradient::BlockWindows ConvWeightGradient::windows_of(const Task& task,
                                                                const Pixels& block, const float* x,
                                                                int order, float* tiles,
                                                                float* window) const {
  const std::int64_t count = block.end - block.first;
  BlockWindows all{k_.wgrad_column, tile_step_, {}, {}};
  if (in_place(order)) {
    all.pixel_step = g_.strides.w * g_.c;
    all.tile_step = 0;
  } else if (matrix_ && pairs_) {
    const Part& part = task.parts[0];  // of one run
    all.pixel_step = align_up(part.rows) + kAlignFloats;
    all.tile_step = 0;
    pairs_->pair_rows(count, static_cast<std::int32_t>(part.rows), x + block.first * g_.c + part.x,
                      g_.c, tiles, all.pixel_step);
  } else {
    pack_x(task, block, x, tiles, window);
    const std::int64_t column = k_.wgrad_column;
    for (std::size_t t = 0; t < task.tile_rows.size(); ++t) {
      float* const tile = tiles + static_cast<std::int64_t>(t) * tile_step_;
      if (order == 2) k_.multiply(count * column, tile, tile, tile);
      if (pairs_) pairs_->pair_rows(count, k_.wgrad_column, tile, column, tile, column);
    }
  }
  for (const Part& p : task.parts) {
    all.first_span.push_back(all.spans.size());
    if (in_place(order))
      spans_in_place(p, block, x, &tiles, &all.spans);
    else
      packed_spans(p, block, tiles, &all.spans);
  }
  all.first_span.push_back(all.spans.size());
  return all;
}

// Every tile of x meets every panel of dy; what the next block reads is asked for meanwhile.
void ConvWeightGradient::multiply(const Task& task, const BlockWindows& x, const float* panels,
                                  std::int64_t panel_step, const BlockSums& sums,
                                  Ahead next) const {
  const auto panel = pairs_ ? pairs_->wgrad_panel : k_.wgrad_panel;
  const std::int64_t outputs = task.end_output - task.first_output, width = k_.channels_tile;
  float* kept = sums.kept;
  for (std::int64_t o = 0; o < outputs; o += width)
    for (std::size_t i = 0; i < task.parts.size(); ++i) {
      const Part& p = task.parts[i];
      std::int64_t row = p.depth, offset = x.tile_step * p.first_tile;
      for (std::int32_t t = p.first_tile; t < p.first_tile + p.tiles; ++t) {
        const std::int32_t rows = task.tile_rows[static_cast<std::size_t>(t)];
        float* const dw = sums.dw + row * g_.oc + task.first_output + o;
        next.some();
        if (sums.last) Ahead::Piece{dw, rows, std::min(outputs - o, width), g_.oc}.all();
        const float* const from = sums.first ? (sums.accumulate ? dw : nullptr) : kept;
        panel(rows, static_cast<std::int32_t>(std::min(outputs - o, width)),
              x.spans.data() + x.first_span[i],
              static_cast<std::int32_t>(x.first_span[i + 1] - x.first_span[i]), offset,
              x.pixel_step, panels + o * panel_step,
              {from, sums.first ? g_.oc : width, sums.last ? dw : kept, sums.last ? g_.oc : width});
        row += rows;
        kept += rows * width;
        offset += x.tile_step ? x.tile_step : rows;
      }
    }
}

void ConvWeightGradient::run(int number, std::int64_t samples, const float* x, const float* dy,
                             int order, bool accumulate, float* scratch, float* shares,
                             float* dw) const {
  const auto weight_tasks = static_cast<int>(tasks_.size());
  const Task& task = tasks_[static_cast<std::size_t>(number % weight_tasks)];
  const std::int64_t share = number / weight_tasks;
  if (shares_.count() > 1) {
    dw = shares_.share(shares, share);
    accumulate = false;
  }
  const std::int64_t outputs = task.end_output - task.first_output;
  float* const tiles = scratch;
  float* const panels = tiles + most_tiles() * tile_step_;
  float* const window = panels + most_outputs() * kPixels;
  float* const kept = window + align_up(kTaskRows);
  const std::int64_t pixels = samples * g_.oh * g_.ow, blocks = (pixels + kPixels - 1) / kPixels;
  const std::int64_t first_block = blocks * share / shares_.count();
  const std::int64_t end_block = blocks * (share + 1) / shares_.count();
  if (first_block == end_block) return clear(task, dw);
  const auto pack_dy = pairs_ ? pairs_->wgrad_pack_dy : k_.wgrad_pack_dy;
  dy += task.first_output;
  for (std::int64_t b = first_block; b < end_block; ++b) {
    const Pixels block{pixels * b / blocks, pixels * (b + 1) / blocks};
    pack_dy(dy + block.first * g_.oc, g_.oc, static_cast<std::int32_t>(block.end - block.first),
            static_cast<std::int32_t>(outputs), panels);
    const BlockWindows windows = windows_of(task, block, x, order, tiles, window);
    const std::int64_t calls = (outputs + k_.channels_tile - 1) / k_.channels_tile *
                               static_cast<std::int64_t>(task.tile_rows.size());
    std::vector<Ahead::Piece> next;
    if (b + 1 < end_block) {
      const Pixels ahead{block.end, pixels * (b + 2) / blocks};
      next.push_back({dy + ahead.first * g_.oc, ahead.end - ahead.first, outputs, g_.oc});
      pieces_of_x(task, ahead, x, &next);
    }
    multiply(task, windows, panels, panel_rows(block.end - block.first),
             {kept, dw, b == first_block, b + 1 == end_block, accumulate},
             {std::move(next), calls});
  }
}

}  // namespace striate
