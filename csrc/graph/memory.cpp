#include "graph/memory.h"

#include <algorithm>

#include "core/storage.h"

namespace striate {

int ArenaLayout::add(std::int64_t floats, int begin, int end) {
  const int id = static_cast<int>(buffers_.size());
  buffers_.push_back({align_up(floats), begin, end, id, 0});
  return id;
}

int ArenaLayout::root(int b) const {
  while (buffers_[static_cast<std::size_t>(b)].same_as != b)
    b = buffers_[static_cast<std::size_t>(b)].same_as;
  return b;
}

void ArenaLayout::share(int first, int second) {
  Buffer& a = buffers_[static_cast<std::size_t>(root(first))];
  Buffer& b = buffers_[static_cast<std::size_t>(root(second))];
  a.floats = std::max(a.floats, b.floats);
  a.begin = std::min(a.begin, b.begin);
  a.end = std::max(a.end, b.end);
  b.same_as = root(first);
}

void ArenaLayout::extend(int buffer, int time) {
  Buffer& b = buffers_[static_cast<std::size_t>(root(buffer))];
  b.begin = std::min(b.begin, time);
  b.end = std::max(b.end, time);
}

std::int64_t ArenaLayout::place() {
  std::vector<int> order;
  for (std::size_t i = 0; i < buffers_.size(); ++i)
    if (root(static_cast<int>(i)) == static_cast<int>(i)) order.push_back(static_cast<int>(i));
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return buffers_[static_cast<std::size_t>(a)].floats >
           buffers_[static_cast<std::size_t>(b)].floats;
  });
  std::int64_t total = 0;
  std::vector<Buffer*> placed;
  for (int id : order) {
    Buffer& b = buffers_[static_cast<std::size_t>(id)];
    std::vector<Buffer*> alive;
    for (Buffer* p : placed)
      if (p->begin <= b.end && b.begin <= p->end) alive.push_back(p);
    std::sort(alive.begin(), alive.end(),
              [](const Buffer* x, const Buffer* y) { return x->offset < y->offset; });
    b.offset = 0;
    for (const Buffer* p : alive) {
      if (b.offset + b.floats <= p->offset) break;
      b.offset = std::max(b.offset, p->offset + p->floats);
    }
    total = std::max(total, checked_add(b.offset, b.floats));
    placed.push_back(&b);
  }
  return total;
}

std::int64_t ArenaLayout::offset(int buffer) const {
  return buffers_[static_cast<std::size_t>(root(buffer))].offset;
}

}  // namespace striate
