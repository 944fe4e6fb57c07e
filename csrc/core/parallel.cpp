// The three back ends of parallel.h. Each only provides "run this on n threads at once"; loops,
// barriers, exceptions, denormals and fork are common to them and written once, below.
#include "core/parallel.h"

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <mutex>
#include <thread>

#include "core/cpu_limits.h"
#include "striate/threads.h"

#if defined(STRIATE_THREADS_OPENMP)
#include <omp.h>
#elif defined(STRIATE_THREADS_STD)
#include <memory>
#include <system_error>
#include <vector>
#endif
#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace striate {
namespace {

using std::chrono::microseconds;
using std::chrono::steady_clock;

// Puts the thread's floating-point mode at round-to-nearest, no traps, denormals flushed (inputs
// and results). The whole mode and not the two flush bits alone, so that a caller's rounding
// direction cannot reach rank 0's share of the work and miss the others'.
class FloatMode {
 public:
#if defined(__SSE2__)
  FloatMode() : saved_(_mm_getcsr()) { _mm_setcsr(kMasked | kFlushToZero | kDenormalsAreZero); }
  ~FloatMode() { _mm_setcsr(saved_); }

 private:
  static constexpr unsigned kMasked = 0x1f80, kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  unsigned saved_;
#elif defined(__aarch64__)
  FloatMode() {
    asm volatile("mrs %0, fpcr" : "=r"(saved_));
    asm volatile("msr fpcr, %0" ::"r"(kFlushToZero) : "memory");
  }
  ~FloatMode() { asm volatile("msr fpcr, %0" ::"r"(saved_) : "memory"); }

 private:
  static constexpr std::uint64_t kFlushToZero = std::uint64_t{1} << 24;
  std::uint64_t saved_;
#else
  FloatMode() {}
  ~FloatMode() {}
#endif
  FloatMode(const FloatMode&) = delete;
  FloatMode& operator=(const FloatMode&) = delete;
};

thread_local bool inside_region = false;

// What a thread is while it runs a body: inside a region, in our floating-point mode. Entered by
// each thread for itself and after the team exists, because a new thread inherits its creator's
// mode: OpenMP's threads are shared with the program's own regions and must not be born flushing.
class Membership {
 public:
  Membership() : outer_(inside_region) { inside_region = true; }
  ~Membership() { inside_region = outer_; }
  Membership(const Membership&) = delete;
  Membership& operator=(const Membership&) = delete;

 private:
  bool outer_;
  FloatMode mode_;
};

void relax() {
#if defined(__SSE2__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// How long a wait spins before it gives its core away. A hand-over within the spin costs under
// 1 us, a sleep and a wake 5-50 us, and a training step has a handful of them in ~300 us. A team
// with more threads than cores never spins: it would keep a runnable member off the core.
microseconds spin_for(int team) {
  static const int cores = affinity_count();
  return microseconds(team <= cores ? 50 : 0);
}

// A count that goes up, and a wait for it to move: spin, then yield, then sleep.
class Gate {
 public:
  void advance() {
    // Both sides are sequentially consistent: either this load sees the sleeper, or the sleeper's
    // check (after its own increment) sees the new position. Neither can be missed.
    position_.fetch_add(1);
    if (sleepers_.load() == 0) return;
    { std::lock_guard<std::mutex> lock(mutex_); }
    moved_.notify_all();
  }

  void wait_past(std::int64_t seen, microseconds spin) {
    if (position_.load(std::memory_order_acquire) != seen) return;
    const auto start = steady_clock::now();
    while (steady_clock::now() - start < spin) {
      for (int i = 0; i < 16; ++i) {
        relax();
        if (position_.load(std::memory_order_acquire) != seen) return;
      }
    }
    const auto yield_until = start + spin + microseconds(50);
    while (steady_clock::now() < yield_until) {
      std::this_thread::yield();
      if (position_.load(std::memory_order_acquire) != seen) return;
    }
    std::unique_lock<std::mutex> lock(mutex_);
    sleepers_.fetch_add(1);
    moved_.wait(lock, [&] { return position_.load() != seen; });
    sleepers_.fetch_sub(1);
  }

 private:
  alignas(64) std::atomic<std::int64_t> position_{0};
  std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable moved_;
};

// Unwinds a body whose region has failed on another thread. Not a std::exception, so that a
// body's own catch of those lets it pass.
struct RegionEnded {};

// Set in the child of a fork that happened after the first team: none of the team's threads
// exists there, and libgomp, like any pool, would wait for them for ever.
std::atomic<bool> team_used{false};
std::atomic<bool> forked{false};

void note_fork() {
  if (team_used.load()) forked.store(true);
}

void watch_forks() {
  static std::once_flag once;
  std::call_once(once, [] { pthread_atfork(nullptr, nullptr, note_fork); });
  // Stored on every region only if needed: a shared line written by concurrent callers is slow.
  if (!team_used.load(std::memory_order_relaxed)) team_used.store(true);
}

void warn_forked() {
  static std::atomic<bool> warned{false};
  if (warned.exchange(true)) return;
  std::fputs(
      "striate: this process was forked after threads were started; running single-threaded. "
      "Start worker processes with \"spawn\" to use threads in them.\n",
      stderr);
}

}  // namespace

// What the threads of one region share. It lives on the caller's stack for the region's length.
struct Team::Shared {
  std::atomic<int> size{1};
  microseconds spin{0};
  alignas(64) std::atomic<std::int64_t> next{0};  // the first task not yet handed out
  alignas(64) std::atomic<int> arrived{0};
  Gate gate;  // moves when everyone has arrived, or when the region has failed
  std::atomic<bool> claimed{false};
  std::atomic<bool> failed{false};
  std::exception_ptr first_exception;

  // Once `failed` is set no barrier holds anyone, so a thread may leave without arriving.
  void fail(std::exception_ptr exception) {
    if (claimed.exchange(true)) return;
    first_exception = std::move(exception);
    failed.store(true);
    gate.advance();
  }
};

struct TeamAccess {
  using Shared = Team::Shared;

  static void run_alone(FunctionRef<void(Team&)> body) {
    Shared shared;
    Membership membership;
    Team team(shared, 0);
    body(team);
  }

  static void run_member(Shared& shared, int rank, FunctionRef<void(Team&)> body) noexcept {
    try {
      Membership membership;
      Team team(shared, rank);
      body(team);
    } catch (const RegionEnded&) {
    } catch (...) {
      shared.fail(std::current_exception());
    }
  }
};

int Team::size() const { return shared_.size.load(std::memory_order_relaxed); }
int Team::rank() const { return rank_; }

void Team::for_each(std::int64_t count, FunctionRef<void(std::int64_t)> task) {
  const int team = size();
  if (team == 1) {
    for (std::int64_t i = 0; i < count; ++i) task(i);
    return;
  }
  // 32 chunks a thread: tasks that are blocks of samples go out one by one, long loops of small
  // tasks pay one contended fetch_add a chunk, and the last chunk is late by 3 % at most.
  const std::int64_t chunk = count / (std::int64_t{32} * team) + 1;
  for (;;) {
    if (shared_.failed.load(std::memory_order_relaxed)) throw RegionEnded{};
    const std::int64_t begin = shared_.next.fetch_add(chunk, std::memory_order_relaxed);
    if (begin >= count) break;
    const std::int64_t end = count - begin < chunk ? count : begin + chunk;
    for (std::int64_t i = begin; i < end; ++i) task(i);
  }
  barrier();
}

void Team::barrier() {
  const int team = size();
  if (team == 1) return;
  if (shared_.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == team) {
    // All are here and none has left: the one moment when nobody reads `next`.
    shared_.next.store(0, std::memory_order_relaxed);
    shared_.arrived.store(0, std::memory_order_relaxed);
    shared_.gate.advance();
  } else {
    shared_.gate.wait_past(generation_, shared_.spin);
  }
  ++generation_;
  if (shared_.failed.load(std::memory_order_relaxed)) throw RegionEnded{};
}

namespace {

#if defined(STRIATE_THREADS_OPENMP)

bool run_team(Team::Shared& shared, int threads, FunctionRef<void(Team&)> body);

#elif defined(STRIATE_THREADS_STD)

#endif

}  // namespace
}  // namespace striate
