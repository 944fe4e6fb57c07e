#include "striate/threads.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/cpu_limits.h"
#include "striate/error.h"

namespace striate {
namespace {

// A positive integer, at most kMaxThreads; 0 if the text is anything else. OpenMP allows a list
// with a number for each level of nesting, of which we have one.
int parse_count(const std::string& text, bool list_allowed) {
  const std::size_t end = list_allowed ? std::min(text.find(','), text.size()) : text.size();
  const std::size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos || first >= end) return 0;
  const std::size_t last = text.find_last_not_of(" \t", end - 1);
  int count = 0;
  for (std::size_t i = first; i <= last; ++i) {
    if (text[i] < '0' || text[i] > '9') return 0;
    count = std::min(10 * count + (text[i] - '0'), kMaxThreads);
  }
  return count;
}

// Appends what became of the variable to `reason`, and returns its number or 0.
int consider(const char* name, const char* value, bool list_allowed, std::string& reason) {
  reason += std::string(", ") + name;
  if (!value || !*value) {
    reason += " unset";
    return 0;
  }
  const int count = parse_count(value, list_allowed);
  if (count == 0)
    reason += std::string("=\"") + value + "\" ignored (not a positive integer)";
  else
    reason += std::string("=") + value;
  return count;
}

std::atomic<int> chosen_by_caller{0};

}  // namespace

ThreadChoice choose_threads(int affinity, std::optional<double> quota, const char* striate_variable,
                            const char* omp_variable) {
  std::string reason = "affinity mask " + std::to_string(affinity) + ", cgroup quota ";
  int threads = std::clamp(affinity, 1, kMaxThreads);
  if (quota) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3g", *quota);
    reason += text;
    // Rounded up: a quota of 1.5 is better used by two threads that are throttled a little.
    const double whole = std::ceil(*quota);
    if (whole < threads) threads = std::max(1, static_cast<int>(whole));
  } else {
    reason += "none";
  }
  int asked = 0;
  if (striate_variable && *striate_variable)
    asked = consider("STRIATE_NUM_THREADS", striate_variable, false, reason);
  if (asked == 0) asked = consider("OMP_NUM_THREADS", omp_variable, true, reason);
  if (asked != 0) threads = std::min(threads, asked);
  return {threads, std::to_string(threads) + ": " + reason};
}

const ThreadChoice& default_threads() {
  static const ThreadChoice choice =
      choose_threads(affinity_count(), cgroup_quota(), std::getenv("STRIATE_NUM_THREADS"),
                     std::getenv("OMP_NUM_THREADS"));
  return choice;
}

void set_num_threads(int threads) {
  if (threads < 0 || threads > kMaxThreads)
    throw ValueError("set_num_threads: threads must be 0 (the default) to " +
                     std::to_string(kMaxThreads) + ", got " + std::to_string(threads));
  chosen_by_caller.store(threads, std::memory_order_relaxed);
}

int num_threads() {
  const int chosen = chosen_by_caller.load(std::memory_order_relaxed);
  return chosen != 0 ? chosen : default_threads().threads;
}

}  // namespace striate
