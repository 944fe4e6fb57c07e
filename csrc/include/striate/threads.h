#pragma once
// How many threads a call may use, and why that many.
#include <string>

namespace striate {

struct ThreadChoice {
  int threads;         // >= 1
  std::string reason;  // "2: affinity mask 2, cgroup quota none, OMP_NUM_THREADS unset"
};

// The least of STRIATE_NUM_THREADS (else OMP_NUM_THREADS), the affinity mask and the cgroup v1/v2
// CPU quota (rounded up). Read once, at the first call. A malformed variable is ignored, with the
// reason saying so.
const ThreadChoice& default_threads();

// Overrides the default for this process (0 returns to it). Thread-safe. Throws ValueError if
// negative or over 4096. It changes only how the work is spread, never a bit of the result.
void set_num_threads(int threads);
int num_threads();

// "openmp", "std" or "serial".
const char* parallel_backend();

}  // namespace striate
