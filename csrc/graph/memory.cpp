#include "graph/memory.h"

#include <algorithm>

#include "core/storage.h"

namespace striate {

int MemoryPlanner::add(std::int64_t floats, bool fixed) {
  const int id = static_cast<int>(buffers_.size());
  buffers_.push_back({floats, fixed, id, {}, {}, 0, 0});
  return id;
}

int MemoryPlanner::root(int b) const {
  while (buffers_[static_cast<std::size_t>(b)].root != b)
    b = buffers_[static_cast<std::size_t>(b)].root;
  return b;
}

void MemoryPlanner::write(int buffer, int time) {
  buffers_[static_cast<std::size_t>(root(buffer))].events.push_back({time, buffer, true});
}
void MemoryPlanner::read(int buffer, int time) {
  buffers_[static_cast<std::size_t>(root(buffer))].events.push_back({time, buffer, false});
}

bool MemoryPlanner::side_by_side(int time, int other) const {
  const int number = timeline_.stretch_of[static_cast<std::size_t>(time)];
  if (time == other || number != timeline_.stretch_of[static_cast<std::size_t>(other)])
    return false;
  const Stretch& stretch = timeline_.stretches[static_cast<std::size_t>(number)];
  return stretch.kind == Stretch::Kind::kTasks || std::min(time, other) < stretch.end_tasks;
}

// Whether a write of `writer` lands between the birth and a later reading of some member of
// `reader`.
bool MemoryPlanner::spoils(const Buffer& writer, const Buffer& reader) const {
  for (const Event& r : reader.events) {
    if (r.write) continue;
    int born = r.time;
    for (const Event& e : reader.events)
      if (e.member == r.member) born = std::min(born, e.time);
    for (const Event& w : writer.events)
      if (w.write && born <= w.time && (w.time < r.time || side_by_side(w.time, r.time)))
        return true;
  }
  return false;
}

bool MemoryPlanner::share(int earlier, int later, int time, bool same_values) {
  const int a = root(earlier), b = root(later);
  Buffer &first = buffers_[static_cast<std::size_t>(a)],
         &second = buffers_[static_cast<std::size_t>(b)];
  if (a == b || first.floats != second.floats || first.fixed != second.fixed) return false;
  Buffer written = second;
  for (Event& e : written.events)
    if (same_values && e.member == later && e.time == time) e.write = false;
  if (spoils(written, first) || spoils(first, written)) return false;
  first.events.insert(first.events.end(), written.events.begin(), written.events.end());
  second.events.clear();
  second.root = a;
  return true;
}

void MemoryPlanner::place() {
  for (std::size_t i = 0; i < buffers_.size(); ++i) {
    Buffer& b = buffers_[i];
    if (root(static_cast<int>(i)) != static_cast<int>(i) || b.events.empty() || b.floats == 0)
      continue;
    const auto [first, last] =
        std::minmax_element(b.events.begin(), b.events.end(),
                            [](const Event& x, const Event& y) { return x.time < y.time; });
    b.begin = first->time;
    b.end = last->time;
    const int from = timeline_.stretch_of[static_cast<std::size_t>(b.begin)];
    const int to = timeline_.stretch_of[static_cast<std::size_t>(b.end)];
    b.place = {b.fixed ? Arena::kFixed : from == to ? Arena::kThread : Arena::kBatch, 0, b.floats};
    if (b.place.arena == Arena::kThread) continue;
    // Blocks are at different actions of a stretch at the same time.
    b.begin = timeline_.stretches[static_cast<std::size_t>(from)].begin;
    b.end = timeline_.stretches[static_cast<std::size_t>(to)].end - 1;
  }
  thread_floats_ = place({Arena::kThread});
  if (blocks_) {
    batch_floats_ = place({Arena::kBatch, Arena::kFixed});
    return;
  }
  batch_floats_ = place({Arena::kBatch});
  fixed_floats_ = place({Arena::kFixed});
}

std::int64_t MemoryPlanner::extent(const Buffer& b) const {
  const bool all = blocks_ && b.place.arena == Arena::kBatch;
  return align_up(all ? checked_mul(b.floats, blocks_) : b.floats);
}

std::int64_t MemoryPlanner::place(std::initializer_list<Arena> arenas) {
  std::vector<Buffer*> order;
  for (Buffer& b : buffers_)
    if (std::find(arenas.begin(), arenas.end(), b.place.arena) != arenas.end()) order.push_back(&b);
  std::stable_sort(order.begin(), order.end(),
                   [this](const Buffer* a, const Buffer* b) { return extent(*a) > extent(*b); });
  std::int64_t total = 0;
  std::vector<Buffer*> placed;  // by offset
  for (Buffer* b : order) {
    std::int64_t& offset = b->place.offset;
    for (const Buffer* p : placed) {
      if (p->begin > b->end || b->begin > p->end) continue;
      if (offset + extent(*b) <= p->place.offset) break;
      offset = std::max(offset, p->place.offset + extent(*p));
    }
    total = std::max(total, checked_add(offset, extent(*b)));
    placed.insert(std::upper_bound(placed.begin(), placed.end(), b,
                                   [](const Buffer* x, const Buffer* y) {
                                     return x->place.offset < y->place.offset;
                                   }),
                  b);
  }
  return total;
}

Place MemoryPlanner::at(int buffer) const {
  return buffers_[static_cast<std::size_t>(root(buffer))].place;
}

}  // namespace striate
