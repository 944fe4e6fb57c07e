#pragma once
// Lays buffers out in arenas by lifetime: two buffers share memory when their lives do not overlap.
// Times are actions of the timeline.
#include <cstdint>
#include <initializer_list>
#include <vector>

#include "graph/timeline.h"

namespace striate {

// Where a buffer lives. What lives within one stretch of blocks is the thread's own, a block at a
// time; what crosses stretches is there for every block of the batch.
enum class Arena { kNone, kThread, kBatch, kFixed };

// In kBatch the blocks follow each other without a gap, so that what runs over the whole batch
// finds all samples in a row; a buffer begins on a cache line, its later blocks need not.
// Where the number of blocks is known, kBatch and kFixed are one arena and share its memory.
struct Place {
  Arena arena = Arena::kNone;
  std::int64_t offset = 0;  // floats; in kBatch of unknown blocks times their number
  std::int64_t floats = 0;  // of one block in kThread and kBatch
};

class MemoryPlanner {
 public:
  // blocks: of a batch; 0: unknown.
  explicit MemoryPlanner(const Timeline& timeline, std::int64_t blocks = 0)
      : timeline_(timeline), blocks_(blocks) {}

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
  // Of all blocks where their number is known, fixed buffers included; else to be taken times it.
  std::int64_t batch_floats() const { return batch_floats_; }
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
  bool side_by_side(int time, int other) const;  // neither waits for the other
  bool spoils(const Buffer& writer, const Buffer& reader) const;
  std::int64_t extent(const Buffer& buffer) const;  // floats of its arena
  std::int64_t place(std::initializer_list<Arena> arenas);

  const Timeline& timeline_;
  const std::int64_t blocks_;
  std::vector<Buffer> buffers_;
  std::int64_t thread_floats_ = 0, batch_floats_ = 0, fixed_floats_ = 0;
};

}  // namespace striate
