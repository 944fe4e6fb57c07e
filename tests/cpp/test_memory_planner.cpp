// Where the plan puts its buffers: lifetimes, arenas, what may share memory and what may not; and
// random timelines run on the memory that was planned, where no value may be overwritten before its
// last reading, whichever thread is at which block.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "graph/memory.h"
#include "step_bench.h"

namespace striate::testing {
namespace {

using Kind = Stretch::Kind;

struct StretchOf {
  Kind kind;
  int actions, beside = 0;  // of them, the first so many run beside the blocks
};

Timeline timeline_of(const std::vector<StretchOf>& stretches) {
  Timeline t;
  for (const auto& [kind, actions, beside] : stretches) {
    const int begin = static_cast<int>(t.actions.size()), end = begin + actions;
    for (int i = 0; i < actions; ++i) {
      t.actions.push_back({ActionKind::kForward, i});
      t.stretch_of.push_back(static_cast<int>(t.stretches.size()));
    }
    t.stretches.push_back({kind, begin, begin + beside, end});
  }
  return t;
}

bool overlap(const Place& a, const Place& b) {
  return a.arena == b.arena && a.offset < b.offset + b.floats && b.offset < a.offset + a.floats;
}

// A value written at `from` and last read at `to`.
int add_value(MemoryPlanner* m, std::int64_t floats, int from, int to) {
  const int id = m->add(floats);
  m->write(id, from);
  m->read(id, to);
  return id;
}

TEST(MemoryPlanner, DisjointLivesShareMemory) {
  const Timeline t = timeline_of({{Kind::kBlocks, 6}});
  MemoryPlanner m(t);
  const int a = add_value(&m, 100, 0, 1), b = add_value(&m, 50, 1, 2), c = add_value(&m, 90, 2, 3);
  m.place();
  EXPECT_TRUE(overlap(m.at(a), m.at(c)));
  EXPECT_FALSE(overlap(m.at(a), m.at(b)));  // both are there at action 1
  EXPECT_FALSE(overlap(m.at(b), m.at(c)));
  EXPECT_EQ(m.at(a).arena, Arena::kThread);
  EXPECT_EQ(m.thread_floats(), 112 + 64);  // on cache lines
  EXPECT_EQ(m.at(b).offset % 16, 0);
}

TEST(MemoryPlanner, ArenasFollowStretches) {
  const Timeline t = timeline_of({{Kind::kBlocks, 2}, {Kind::kOnce, 1}, {Kind::kBlocks, 2}});
  MemoryPlanner m(t);
  const int inside = add_value(&m, 10, 0, 1), across = add_value(&m, 10, 1, 3);
  const int common = m.add(10, true), nothing = m.add(10), empty = m.add(0);
  m.write(common, 2);
  m.read(common, 4);
  m.write(empty, 0);
  m.place();
  EXPECT_EQ(m.at(inside).arena, Arena::kThread);
  EXPECT_EQ(m.at(across).arena, Arena::kBatch);
  EXPECT_EQ(m.at(common).arena, Arena::kFixed);
  EXPECT_EQ(m.at(nothing).arena, Arena::kNone);
  EXPECT_EQ(m.at(empty).arena, Arena::kNone);
}

// One block may be at its last action of a stretch while another is at its first.
TEST(MemoryPlanner, BlocksOfAStretchAreAtAllOfItsActions) {
  const Timeline t =
      timeline_of({{Kind::kBlocks, 3}, {Kind::kOnce, 1}, {Kind::kBlocks, 3}, {Kind::kOnce, 1}});
  MemoryPlanner m(t);
  const int a = add_value(&m, 10, 0, 4);  // dies early in the third stretch
  const int b = add_value(&m, 10, 6, 7);  // is born late in it
  const int c = m.add(10, true), d = m.add(10, true);
  m.write(c, 3);
  m.read(c, 4);
  m.write(d, 7);
  m.place();
  EXPECT_FALSE(overlap(m.at(a), m.at(b)));
  EXPECT_TRUE(overlap(m.at(c), m.at(d)));
}

// Samples of a batch lie in a row, whatever a block's size.
TEST(MemoryPlanner, BlocksFollowWithoutAGap) {
  const Timeline t = timeline_of({{Kind::kBlocks, 1}, {Kind::kTasks, 1}});
  MemoryPlanner m(t);
  const int a = add_value(&m, 10, 0, 1), b = add_value(&m, 17, 0, 1);
  m.place();
  EXPECT_EQ(m.at(a).floats, 10);
  EXPECT_EQ(m.at(b).floats, 17);
  EXPECT_EQ(m.at(a).offset % 16, 0);
  EXPECT_EQ(m.batch_floats(), 16 + 32);
}

// With the number of blocks known, what is there once lies where the blocks' values have died.
TEST(MemoryPlanner, OneArenaWhereBlocksAreKnown) {
  const Timeline t = timeline_of({{Kind::kBlocks, 1}, {Kind::kTasks, 1}, {Kind::kTasks, 1}});
  MemoryPlanner m(t, 3);
  const int value = add_value(&m, 10, 0, 1), once = m.add(20, true), early = m.add(5, true);
  m.write(once, 2);
  m.write(early, 1);
  m.place();
  EXPECT_EQ(m.at(value).arena, Arena::kBatch);
  EXPECT_EQ(m.at(once).arena, Arena::kFixed);
  EXPECT_EQ(m.at(once).offset, m.at(value).offset);
  EXPECT_EQ(m.at(early).offset, 32) << "behind three blocks of 10 floats";
  EXPECT_EQ(m.batch_floats(), 32 + 16);
  EXPECT_EQ(m.fixed_floats(), 0);
}

TEST(MemoryPlanner, InPlaceAfterTheLastReading) {
  const Timeline t = timeline_of({{Kind::kBlocks, 6}});
  MemoryPlanner m(t);
  const int x = add_value(&m, 32, 0, 1), y = add_value(&m, 32, 1, 3);
  EXPECT_TRUE(m.share(x, y, 1));
  const int z = add_value(&m, 32, 3, 4);  // a chain
  EXPECT_TRUE(m.share(y, z, 3));
  EXPECT_FALSE(m.share(x, z, 3)) << "they share already";
  m.place();
  EXPECT_EQ(m.at(x).offset, m.at(z).offset);
  EXPECT_EQ(m.thread_floats(), 32);
}

TEST(MemoryPlanner, NotInPlaceBeforeTheLastReading) {
  const Timeline t = timeline_of({{Kind::kBlocks, 6}});
  MemoryPlanner m(t);
  const int x = add_value(&m, 32, 0, 5);  // backward reads it
  const int y = add_value(&m, 32, 1, 2);
  EXPECT_FALSE(m.share(x, y, 1));
  const int early = add_value(&m, 32, 0, 1), late = add_value(&m, 32, 3, 4);
  m.read(early, 3);
  EXPECT_TRUE(m.share(early, late, 3)) << "the last of several readers";
  m.place();
  EXPECT_FALSE(overlap(m.at(x), m.at(y)));
}

// y, made at 2 of x, would lie in its memory; the stretch's action in front reads x, too.
bool shares_with_a_reader_in_front(const StretchOf& stretch) {
  const Timeline t = timeline_of({{Kind::kBlocks, 1}, stretch, {Kind::kBlocks, 1}});
  MemoryPlanner m(t);
  const int x = m.add(80), y = m.add(80);
  m.write(x, 0);
  m.read(x, 1);
  m.read(x, 2);
  m.write(y, 2);
  m.read(y, stretch.actions + 1);
  return m.share(x, y, 2);
}

// Tasks of one stretch run side by side: the later of two readers may not write over the value.
TEST(MemoryPlanner, NotInPlaceBesideAnotherTask) {
  EXPECT_TRUE(shares_with_a_reader_in_front({Kind::kBlocks, 2}));
  EXPECT_FALSE(shares_with_a_reader_in_front({Kind::kTasks, 2}));
}

// What a task reads may not be written over by the blocks beside it, however early it comes.
TEST(MemoryPlanner, BlocksDoNotWriteOverWhatATaskBesideThemReads) {
  EXPECT_TRUE(shares_with_a_reader_in_front({Kind::kBlocks, 3, 0}));
  EXPECT_FALSE(shares_with_a_reader_in_front({Kind::kBlocks, 3, 1}));
}

TEST(MemoryPlanner, OnlyEqualsShare) {
  const Timeline t = timeline_of({{Kind::kBlocks, 4}});
  MemoryPlanner m(t);
  const int x = add_value(&m, 3, 0, 1), y = add_value(&m, 12, 1, 2);  // both 16 when rounded
  EXPECT_FALSE(m.share(x, y, 1)) << "a broadcast input is smaller than the output";
  const int f = m.add(12, true);
  m.write(f, 2);
  EXPECT_FALSE(m.share(y, f, 2));
}

// y = relu(a + b), backward: dy passes to a and b as it is; where relu's backward in front of a
// works in place, b's share would be gone.
TEST(MemoryPlanner, ResidualAdd) {
  const Timeline t = timeline_of({{Kind::kBlocks, 6}});
  for (const int read_b : {2, 3}) {
    MemoryPlanner m(t);
    const int dy = add_value(&m, 64, 0, 1);
    const int da = add_value(&m, 64, 1, 2), db = add_value(&m, 64, 1, read_b);
    EXPECT_TRUE(m.share(dy, da, 1, true));
    EXPECT_TRUE(m.share(dy, db, 1, true));
    const int dx = add_value(&m, 64, 2, 4);  // of relu, at 2, from da
    EXPECT_EQ(m.share(da, dx, 2), read_b <= 2);
  }
}

// Of two gradients in dy's memory neither may be added to while the other is wanted.
TEST(MemoryPlanner, SharedGradientsAreNotAddedTo) {
  const Timeline t = timeline_of({{Kind::kBlocks, 6}});
  MemoryPlanner m(t);
  const int dy = add_value(&m, 64, 0, 1);
  const int da = add_value(&m, 64, 1, 3), db = add_value(&m, 64, 1, 4);
  m.write(db, 2);  // another reader's share of b's gradient is added at 2
  EXPECT_TRUE(m.share(dy, da, 1, true));
  EXPECT_FALSE(m.share(dy, db, 1, true)) << "da is read at 3";
}

// x + x: dx is dy twice over. Adding dy's memory to itself is what it should be; three times would
// read what the first addition left.
TEST(MemoryPlanner, AValueAddedToItself) {
  const Timeline t = timeline_of({{Kind::kBlocks, 6}});
  MemoryPlanner m(t);
  const int dy = add_value(&m, 64, 0, 1), dx = add_value(&m, 64, 1, 4);
  const int second = add_value(&m, 64, 1, 2), third = add_value(&m, 64, 1, 3);
  m.write(dx, 2);
  m.write(dx, 3);
  EXPECT_TRUE(m.share(dy, dx, 1, true));
  EXPECT_TRUE(m.share(dy, second, 1, true));
  EXPECT_FALSE(m.share(dy, third, 1, true));
}

// ---- random timelines

struct Write {
  int buffer, from;  // from: the buffer whose values it copies; -1: new values
  bool adds;         // to what is there
};

struct ActionPlan {
  std::vector<int> reads;
  std::vector<Write> writes;
};

struct RandomProgram {
  Timeline timeline;
  std::vector<ActionPlan> actions;
  std::vector<std::int64_t> floats;  // by buffer
  std::vector<bool> fixed;
};

RandomProgram random_program(CaseRandom& r) {
  RandomProgram p;
  std::vector<StretchOf> stretches;
  for (std::int64_t i = 0, n = r.between(1, 5); i < n; ++i) {
    const bool blocks = r.between(0, 2) > 0;
    const int beside = blocks && i > 0 ? static_cast<int>(r.between(0, 2)) : 0;
    stretches.push_back({blocks            ? Kind::kBlocks
                         : r.between(0, 1) ? Kind::kOnce
                                           : Kind::kTasks,
                         beside + (blocks ? static_cast<int>(r.between(1, 12)) : 1), beside});
  }
  p.timeline = timeline_of(stretches);
  const std::int64_t sizes[] = {1, 7, 16, 21};
  const auto pick = [&](std::size_t n) {
    return static_cast<int>(r.between(0, static_cast<std::int64_t>(n) - 1));
  };
  std::size_t finished = 0;         // buffers of stretches before this one
  std::vector<char> besides_value;  // by buffer: a task beside the blocks of this stretch makes it
  for (std::size_t time = 0; time < p.timeline.actions.size(); ++time) {
    ActionPlan a;
    const Stretch& here =
        p.timeline.stretches[static_cast<std::size_t>(p.timeline.stretch_of[time])];
    const bool beside = static_cast<int>(time) < here.end_tasks;
    if (static_cast<int>(time) == here.begin) {
      finished = p.floats.size();
      besides_value.assign(finished, false);
    }
    const std::size_t known = beside ? finished : p.floats.size();
    // Mostly what was made lately.
    for (std::int64_t i = 0, n = known ? r.between(1, 3) : 0; i < n; ++i)
      a.reads.push_back(r.between(0, 2)
                            ? static_cast<int>(known) - 1 - pick(std::min<std::size_t>(known, 4))
                            : pick(known));
    // Blocks and tasks beside them know nothing of each other.
    a.reads.erase(std::remove_if(a.reads.begin(), a.reads.end(),
                                 [&](int b) { return besides_value[static_cast<std::size_t>(b)]; }),
                  a.reads.end());
    const bool may_fix = here.kind != Kind::kBlocks || beside;
    const bool copies = !a.reads.empty() && r.between(0, 2) == 0;
    for (std::int64_t i = 0, n = r.between(1, copies ? 3 : 2); i < n; ++i) {
      const bool fix = may_fix && r.between(0, 1);
      // A block has no part of a fixed buffer to copy from.
      const bool copy = copies && !fix && !p.fixed[static_cast<std::size_t>(a.reads[0])];
      p.fixed.push_back(fix);
      p.floats.push_back(!a.reads.empty() && r.between(0, 3)
                             ? p.floats[static_cast<std::size_t>(a.reads[0])]
                             : sizes[pick(4)]);
      const int id = static_cast<int>(p.floats.size()) - 1;
      const bool fits = copy && p.floats.back() == p.floats[static_cast<std::size_t>(a.reads[0])];
      a.writes.push_back({id, fits ? a.reads[0] : -1, false});
    }
    if (known && !beside && here.end_tasks == here.begin && r.between(0, 3) == 0) {
      const int to = pick(known);
      if (!p.fixed[static_cast<std::size_t>(to)]) a.writes.push_back({to, -1, true});
    }
    besides_value.resize(p.floats.size(), beside);
    p.actions.push_back(std::move(a));
  }
  return p;
}

// Runs the program on the memory that was planned for it. Each float of a buffer holds its values'
// name; every reading must find the name that was written last.
class Simulation {
 public:
  static constexpr int kBlocks = 4;

  // known: the planner knew the number of blocks.
  Simulation(const RandomProgram& p, const MemoryPlanner& m, CaseRandom& r, bool known)
      : p_(p),
        m_(m),
        r_(r),
        known_(known),
        batch_(cells(m.batch_floats() * (known ? 1 : kBlocks))),
        fixed_(cells(m.fixed_floats())) {
    for (int i = 0; i <= kThreads; ++i) threads_.push_back(cells(m.thread_floats()));
    for (std::size_t t = 0; t < p.actions.size(); ++t)
      for (int b : p.actions[t].reads) last_read_[b] = static_cast<int>(t);
  }

  std::string run() {
    for (const Stretch& s : p_.timeline.stretches) {
      if (s.kind != Kind::kBlocks) {  // all blocks at once: everything is read before it is written
        for (int block = 0; block < kBlocks; ++block) read(s.begin, block, 0);
        for (int block = 0; block < kBlocks; ++block) write(s.begin, block, 0);
        continue;
      }
      std::vector<int> beside;
      for (int i = s.begin; i < s.end_tasks; ++i) beside.push_back(i);
      // Threads that are each at some action of some block.
      std::vector<std::pair<int, int>> at(kThreads, {-1, s.end});  // block, action
      int next = 0;
      for (;;) {
        std::vector<int> busy;
        for (int i = 0; i < kThreads; ++i) {
          auto& [block, action] = at[static_cast<std::size_t>(i)];
          if (action == s.end && next < kBlocks) {
            block = next++;
            action = s.end_tasks;
          }
          if (action < s.end) busy.push_back(i);
        }
        run_beside(busy.empty(), &beside);
        if (busy.empty()) break;
        const int i = busy[static_cast<std::size_t>(
            r_.between(0, static_cast<std::int64_t>(busy.size()) - 1))];
        auto& [block, action] = at[static_cast<std::size_t>(i)];
        read(action, block, i);
        write(action++, block, i);
      }
    }
    return wrong_;
  }

 private:
  using Cells = std::vector<std::uint64_t>;
  static constexpr int kThreads = 2;
  static Cells cells(std::int64_t n) { return Cells(static_cast<std::size_t>(n), 0); }

  // Tasks beside the blocks read until they end, which they do at any time; on a thread of their
  // own.
  void run_beside(bool end, std::vector<int>* tasks) {
    std::vector<int> still;
    for (const int time : *tasks) {
      for (int block = 0; block < kBlocks; ++block) read(time, block, kThreads);
      if (!end && r_.between(0, 7))
        still.push_back(time);
      else
        for (int block = 0; block < kBlocks; ++block) write(time, block, kThreads);
    }
    *tasks = still;
  }

  std::uint64_t* memory(int buffer, int block, int thread) {
    const Place p = m_.at(buffer);
    if (p.arena == Arena::kThread)
      return threads_[static_cast<std::size_t>(thread)].data() + p.offset;
    if (p.arena == Arena::kBatch)
      return batch_.data() + p.offset * (known_ ? 1 : kBlocks) + block * p.floats;
    return (known_ ? batch_ : fixed_).data() + p.offset;
  }
  std::pair<int, int> key(int buffer, int block) const {
    return {buffer, p_.fixed[static_cast<std::size_t>(buffer)] ? 0 : block};
  }

  void read(int time, int block, int thread) {
    const ActionPlan& a = p_.actions[static_cast<std::size_t>(time)];
    std::vector<int> reads = a.reads;
    for (const Write& w : a.writes)
      if (w.adds && last_read_.count(w.buffer) && last_read_[w.buffer] > time)
        reads.push_back(w.buffer);
    for (int b : reads)
      for (std::int64_t i = 0; i < p_.floats[static_cast<std::size_t>(b)]; ++i)
        if (wrong_.empty() && memory(b, block, thread)[i] != names_[key(b, block)])
          wrong_ = "buffer " + std::to_string(b) + " of block " + std::to_string(block) +
                   " is spoiled at " + std::to_string(time);
  }

  void write(int time, int block, int thread) {
    for (const Write& w : p_.actions[static_cast<std::size_t>(time)].writes) {
      const auto to = key(w.buffer, block);
      names_[to] = w.from >= 0 ? names_[key(w.from, block)]
                               : (static_cast<std::uint64_t>(w.buffer + 1) << 40) +
                                     (static_cast<std::uint64_t>(time) << 20) +
                                     static_cast<std::uint64_t>(to.second);
      std::fill_n(memory(w.buffer, block, thread), p_.floats[static_cast<std::size_t>(w.buffer)],
                  names_[to]);
    }
  }

  const RandomProgram& p_;
  const MemoryPlanner& m_;
  CaseRandom& r_;
  const bool known_;
  Cells batch_, fixed_;
  std::vector<Cells> threads_;
  std::map<std::pair<int, int>, std::uint64_t> names_;
  std::map<int, int> last_read_;
  std::string wrong_;
};

TEST(MemoryPlanner, NoValueIsOverwrittenBeforeItsLastReading) {
  int shares = 0, refusals = 0;
  for (int seed = 0; seed < 4000; ++seed) {
    CaseRandom r(static_cast<std::uint64_t>(seed));
    const RandomProgram p = random_program(r);
    const bool known = seed % 2;
    MemoryPlanner m(p.timeline, known ? Simulation::kBlocks : 0);
    for (std::size_t b = 0; b < p.floats.size(); ++b) m.add(p.floats[b], p.fixed[b]);
    for (std::size_t t = 0; t < p.actions.size(); ++t) {
      for (int b : p.actions[t].reads) m.read(b, static_cast<int>(t));
      for (const Write& w : p.actions[t].writes) m.write(w.buffer, static_cast<int>(t));
    }
    for (std::size_t t = 0; t < p.actions.size(); ++t)
      for (const Write& w : p.actions[t].writes) {
        if (w.adds || p.actions[t].reads.empty() || r.between(0, 5) == 0) continue;
        const int from = w.from >= 0 ? w.from : p.actions[t].reads.back();
        const bool shared = m.share(from, w.buffer, static_cast<int>(t), w.from >= 0);
        (shared ? shares : refusals) += 1;
      }
    m.place();
    ASSERT_EQ(Simulation(p, m, r, known).run(), "") << "seed " << seed;
  }
  EXPECT_GT(shares, 4000);
  EXPECT_GT(refusals, 4000);
}

}  // namespace
}  // namespace striate::testing
