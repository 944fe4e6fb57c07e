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
#include "core/float_mode.h"
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

// How long a wait spins before it offers its core to others. A hand-over within the spin costs
// under 1 us, a sleep and a wake 5-50 us, and a training step has a handful of them in ~300 us. Not
// longer, because on a busy machine the awaited thread may be queued on this very core. A team with
// more threads than cores never spins: it would be sure to keep a runnable member off a core.
microseconds spin_for(int team) {
  static const int cores = affinity_count();
  return microseconds(team <= cores ? 10 : 0);
}

// A count that goes up, and a wait for it to move: spin, then yield, then sleep.
class Gate {
 public:
  void advance() {
    // Both sides are sequentially consistent: either this load sees the sleeper, or the sleeper's
    // check (after its own increment) sees the new position. Neither can be missed.
    position_.fetch_add(1);
    if (sleepers_.load() == 0) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
    }
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
    const auto yield_until = start + microseconds(100);
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
  explicit Shared(int team) : size(team), spin(spin_for(team)) {}

  std::atomic<int> size;
  const microseconds spin;
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
  void rethrow_first() const {
    if (first_exception) std::rethrow_exception(first_exception);
  }
};

struct TeamAccess {
  using Shared = Team::Shared;

  static void run_alone(FunctionRef<void(Team&)> body) {
    Shared shared(1);
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
  if (shared_.failed.load(std::memory_order_relaxed)) throw RegionEnded{};
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

using Body = FunctionRef<void(Team&)>;

// Each back end: run_team() runs `body` on a team and returns true, or returns false with nothing
// run, when it has no thread to offer.
#if defined(STRIATE_THREADS_OPENMP)

constexpr const char* kBackend = "openmp";
constexpr bool kHasThreads = true;

bool run_team(int threads, Body body) {
  TeamAccess::Shared shared(threads);
#pragma omp parallel num_threads(threads)
  {
    // OpenMP may grant fewer threads than asked for; every member stores the same answer.
    shared.size.store(omp_get_num_threads(), std::memory_order_relaxed);
    TeamAccess::run_member(shared, omp_get_thread_num(), body);
  }
  shared.rethrow_first();
  return true;
}

#elif defined(STRIATE_THREADS_STD)

constexpr const char* kBackend = "std";
constexpr bool kHasThreads = true;

// Threads that outlive their region, since starting one costs about as much as a small step.
class Pool {
 public:
  // Never destroyed, so that a region in some static's destructor still finds it; its threads are
  // joined at exit, because a library must not be unloaded under a running thread.
  static Pool& instance() {
    static Pool* pool = new Pool;
    static const StopAtExit stop{pool};
    return *pool;
  }

  bool run(int threads, Body body) {
    // One region at a time. A second caller runs alone at once rather than waiting, which would
    // deadlock if the first one's tasks waited for it.
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    const Occupied occupied{busy_};
    const int helpers = grow(threads - 1);
    if (helpers == 0) return false;
    TeamAccess::Shared shared(helpers + 1);
    shared_ = &shared;
    body_ = &body;
    running_.store(helpers, std::memory_order_relaxed);
    for (int i = 0; i < helpers; ++i) workers_[i]->wake.advance();
    TeamAccess::run_member(shared, 0, body);
    finished_.wait_past(regions_, shared.spin);
    ++regions_;
    shared.rethrow_first();
    return true;
  }

 private:
  struct Worker {
    Gate wake;
    std::thread thread;
  };
  struct Occupied {
    std::atomic<bool>& busy;
    ~Occupied() { busy.store(false, std::memory_order_release); }
  };
  struct StopAtExit {
    Pool* pool;
    // In a forked child there is nobody to join, and a task that calls exit() cannot join itself.
    ~StopAtExit() {
      if (!forked.load() && !inside_region) pool->stop();
    }
  };

  // Returns how many of `wanted` workers there are: fewer if the system refuses threads.
  int grow(int wanted) {
    while (static_cast<int>(workers_.size()) < wanted) {
      const int rank = static_cast<int>(workers_.size()) + 1;
      auto worker = std::make_unique<Worker>();
      Gate& wake = worker->wake;
      workers_.push_back(std::move(worker));
      try {
        workers_.back()->thread = std::thread([this, &wake, rank] { work(wake, rank); });
      } catch (const std::system_error&) {
        workers_.pop_back();
        return rank - 1;
      }
    }
    return wanted;
  }

  void work(Gate& wake, int rank) {
    microseconds spin{0};
    for (std::int64_t seen = 0;; ++seen) {
      wake.wait_past(seen, spin);
      if (stopping_) return;
      spin = shared_->spin;
      TeamAccess::run_member(*shared_, rank, *body_);
      // The last touch of the caller's stack is above; from here on only the pool is used.
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) finished_.advance();
    }
  }

  // Keeps `busy_`, so that later regions run alone. Gives up if another thread is in a region.
  void stop() {
    if (busy_.exchange(true, std::memory_order_acquire)) return;
    stopping_ = true;
    for (const auto& worker : workers_) {
      worker->wake.advance();
      worker->thread.join();
    }
  }

  std::atomic<bool> busy_{false};
  // Below: written by the holder of busy_, handed to the workers by their gates.
  std::vector<std::unique_ptr<Worker> > workers_;
  TeamAccess::Shared* shared_ = nullptr;
  const Body* body_ = nullptr;
  bool stopping_ = false;
  std::int64_t regions_ = 0;
  std::atomic<int> running_{0};
  Gate finished_;
};

bool run_team(int threads, Body body) { return Pool::instance().run(threads, body); }

#else

constexpr const char* kBackend = "serial";
constexpr bool kHasThreads = false;

bool run_team(int, Body) { return false; }

#endif

}  // namespace

void parallel_region(int threads, FunctionRef<void(Team&)> body) {
  if (kHasThreads && threads > 1 && !inside_region) {
    if (forked.load(std::memory_order_relaxed)) {
      warn_forked();
    } else {
      watch_forks();
      if (run_team(threads, body)) return;
    }
  }
  TeamAccess::run_alone(body);
}

void parallel_for(int threads, std::int64_t count, FunctionRef<void(std::int64_t)> task) {
  if (count < threads) threads = static_cast<int>(count < 1 ? 1 : count);
  parallel_region(threads, [&](Team& team) { team.for_each(count, task); });
}

// Here and not in threads.cpp: this is the one file that is compiled with the back end's macro.
const char* parallel_backend() { return kBackend; }

}  // namespace striate
