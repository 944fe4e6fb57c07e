#pragma once
// Lays buffers out in one arena by lifetime: two buffers share memory when their lives do not
// overlap. Times are positions in the block's program.
#include <cstdint>
#include <vector>

namespace striate {

class ArenaLayout {
 public:
  // A buffer of `floats`, written first at `begin` and read last at `end` (inclusive).
  int add(std::int64_t floats, int begin, int end);
  // `second` lives in `first`'s memory; both lives are one.
  void share(int first, int second);
  void extend(int buffer, int time);
  // Places everything, largest first, each at the lowest offset that is free for all its life.
  // Returns the arena's floats.
  std::int64_t place();
  std::int64_t offset(int buffer) const;

 private:
  struct Buffer {
    std::int64_t floats;
    int begin, end, same_as;
    std::int64_t offset;
  };
  int root(int buffer) const;
  std::vector<Buffer> buffers_;
};

}  // namespace striate
