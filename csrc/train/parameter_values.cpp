#include "train/parameter_values.h"

#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "striate/threads.h"

namespace striate {
namespace {

// Entries that a thread draws at once: some 0.1 ms of truncated normal numbers.
constexpr std::int64_t kPiece = 1 << 12;

struct Piece {
  std::size_t parameter;
  std::int64_t begin, end;
};

}  // namespace

ParameterValues::ParameterValues(const ParameterTable& table, std::uint64_t seed)
    : table_(table), seed_(seed), drawn_(table.all().size()), all_drawn_(table.all().empty()) {
  for (const Parameter& p : table.all()) check_initializer(p);
}

void ParameterValues::allocate() {
  if (!each_.empty()) return;
  flat_ = Storage(table_.floats());
  for (const Parameter& p : table_.all()) {
    each_.push_back(flat_.data() + p.offset);
    mutable_each_.push_back(flat_.data() + p.offset);
  }
}

void ParameterValues::draw_all() {
  if (all_drawn_) return;
  allocate();
  std::vector<Piece> pieces;
  for (std::size_t i = 0; i < drawn_.size(); ++i) {
    if (drawn_[i]) continue;
    const Parameter& p = table_.all()[i];
    const std::int64_t n = p.spec.shape.size();
    const std::int64_t step = drawn_by_entry(p) ? kPiece : n;
    for (std::int64_t at = 0; at < n; at += step) pieces.push_back({i, at, std::min(at + step, n)});
  }
  const auto count = static_cast<std::int64_t>(pieces.size());
  const int threads = static_cast<int>(std::min<std::int64_t>(num_threads(), count));
  parallel_for(threads, count, [&](std::int64_t k) {
    const Piece& piece = pieces[static_cast<std::size_t>(k)];
    initialize(table_, piece.parameter, seed_, piece.begin, piece.end,
               mutable_each_[piece.parameter]);
  });
  drawn_.assign(drawn_.size(), true);
  all_drawn_ = true;
}

const float* ParameterValues::at(std::size_t parameter) {
  allocate();
  if (!drawn_[parameter]) {
    const std::int64_t n = table_.all()[parameter].spec.shape.size();
    initialize(table_, parameter, seed_, 0, n, mutable_each_[parameter]);
    drawn_[parameter] = true;
  }
  return each_[parameter];
}

void ParameterValues::set(std::size_t parameter, const float* values) {
  allocate();
  const ParameterSpec& spec = table_.all()[parameter].spec;
  float* to = mutable_each_[parameter];
  const std::int64_t n = spec.shape.size();
  for (std::int64_t i = 0; i < n; ++i)
    to[i] = spec.mask.empty() || spec.mask[static_cast<std::size_t>(i)] ? values[i] : 0.0f;
  drawn_[parameter] = true;
}

void ParameterValues::copy(std::size_t parameter, float* to) const {
  const std::int64_t n = table_.all()[parameter].spec.shape.size();
  if (drawn_[parameter])
    std::memcpy(to, each_[parameter], static_cast<std::size_t>(n) * sizeof(float));
  else
    initialize(table_, parameter, seed_, 0, n, to);
}

}  // namespace striate
