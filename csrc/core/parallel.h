#pragma once
// Parallel regions. This pair of files is the only place that knows OpenMP or std::thread; the back
// end is chosen at configure time (STRIATE_THREADS=openmp|std|serial) behind the same calls.
//
// Nothing here may enter arithmetic: which thread runs a task, and in what order, is unspecified,
// so tasks write disjoint outputs and sums across tasks are taken afterwards in a fixed order.
// Denormals are flushed inside a region on every thread, the caller included, and the previous
// mode is restored after it, so that bits depend on neither the thread nor the caller's MXCSR.
#include <atomic>
#include <cstdint>
#include <type_traits>
#include <utility>

namespace striate {

// A non-owning reference to a callable; a std::function would allocate once a step.
template <typename Signature>
class FunctionRef;
template <typename R, typename... Args>
class FunctionRef<R(Args...)> {
 public:
  template <typename F, typename = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& f)  // NOLINT: implicit by design
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, Args... args) {
          return (*static_cast<std::remove_reference_t<F>*>(o))(std::forward<Args>(args)...);
        }) {}
  R operator()(Args... args) const { return call_(object_, std::forward<Args>(args)...); }

 private:
  void* object_;
  R (*call_)(void*, Args...);
};

class Team;

// Runs `body` on `threads` threads at once, the caller being one of them. An exception thrown by a
// task ends the region early on every thread and is rethrown here (the first one thrown). A nested
// region, threads <= 1, the serial back end and a forked child run `body` once, on the caller; so
// does, with the std back end, a caller that finds another thread's region running. A system that
// refuses threads makes the team smaller: ask size(), not the argument.
void parallel_region(int threads, FunctionRef<void(Team&)> body);

// One thread's view of its region. for_each and barrier are collective: every thread of the team
// calls them in the same sequence.
class Team {
 public:
  int size() const;
  int rank() const;  // 0 is the caller; picks a workspace, never enters arithmetic
  // Calls task(i) once for each i in [0, count), spread over the team, and meets at its end.
  void for_each(std::int64_t count, FunctionRef<void(std::int64_t)> task);
  void barrier();

 private:
  friend struct TeamAccess;
  struct Shared;
  Team(Shared& shared, int rank) : shared_(shared), rank_(rank) {}
  Shared& shared_;
  int rank_;
  std::int64_t generation_ = 0;
};

// The common case: one region, one loop.
void parallel_for(int threads, std::int64_t count, FunctionRef<void(std::int64_t)> task);

}  // namespace striate
