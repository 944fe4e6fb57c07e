#pragma once
// What the operating system lets this process use: the affinity mask and the cgroup CPU quota. A
// container with a quota of 2 on a 64-core host sees 64 cores; starting 64 threads there makes
// every one of them wait for the quota. Apart from threads.cpp, only tests call the parsers.
#include <optional>
#include <string>

#include "striate/threads.h"

namespace striate {

constexpr int kMaxThreads = 4096;

// CPUs in the affinity mask; at least 1.
int affinity_count();

// Text of cgroup v2's cpu.max ("150000 100000" is 1.5, "max 100000" none), in CPUs.
std::optional<double> parse_cpu_max(const std::string& text);
// Text of cgroup v1's cpu.cfs_quota_us (-1: none) and cpu.cfs_period_us, in CPUs.
std::optional<double> parse_cfs_quota(const std::string& quota, const std::string& period);

// The smallest quota on the way from this process's cgroup to the root, v1 and v2. `root` is put
// before every path, so that a test can build a tree of its own. Anything unreadable is no quota.
std::optional<double> cgroup_quota(const std::string& root = "");

// The choice itself; the variables are null when unset.
ThreadChoice choose_threads(int affinity, std::optional<double> quota, const char* striate_variable,
                            const char* omp_variable);

}  // namespace striate
