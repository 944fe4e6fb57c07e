#pragma once
// Lays buffers out in arenas by lifetime: two buffers share memory when their lives do not overlap.
// Times are actions of the timeline.
#include <cstdint>
#include <vector>

#include "graph/timeline.h"

namespace striate {

// Where a buffer lives. What lives within one stretch of blocks is the thread's own, a block at a
// time; what crosses stretches is there for every block of the batch.
enum class Arena { kNone, kThread, kBatch, kFixed };

// In kBatch the blocks follow each other without a gap, so that what runs over the whole batch
// finds all samples in a row; a buffer begins on a cache line, its later blocks need not.
struct Place {
  Arena arena = Arena::kNone;
  std::int64_t offset = 0;  // floats; in kBatch times the number of blocks
  std::int64_t floats = 0;  // of one block in kThread and kBatch
};

class MemoryPlanner {
 public:
  explicit MemoryPlanner(const Timeline& timeline) : timeline_(timeline) {}

  // fixed: one for the whole batch, whatever its size.
  int add(std::int64_t floats, bool fixed = false);
  void write(int buffer, int time);
  void read(int buffer, int time);
  // Lets `later`, first written at `time`, live in `earlier`'s memory, unless they differ in size
  // or one would overwrite what the other's readers still want. `same_values`: what is "written" at
  // `time` is what is there already. Returns whether it does.
  bool share(int earlier, int later, int time, bool same_values = false);

  // Places everything, largest first, each at the lowest offset that is free for all its life.
  void place();
  Place at(int buffer) const;
  std::int64_t thread_floats() const { return thread_floats_; }
  std::int64_t batch_floats() const { return batch_floats_; }  // times the number of blocks
  std::int64_t fixed_floats() const { return fixed_floats_; }

 private:
  struct Event {
    int time, member;
    bool write;
  };
  struct Buffer {
    std::int64_t floats;
    bool fixed;
    int root;
    std::vector<Event> events;  // of the root: of all that share
    Place place;
    int begin, end;
  };
  int root(int buffer) const;
  static bool spoils(const Buffer& writer, const Buffer& reader);
  std::int64_t place(Arena arena);

  const Timeline& timeline_;
  std::vector<Buffer> buffers_;
  std::int64_t thread_floats_ = 0, batch_floats_ = 0, fixed_floats_ = 0;
};

}  // namespace striate
