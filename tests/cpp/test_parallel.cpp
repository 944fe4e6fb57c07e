#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/parallel.h"
#include "striate/threads.h"

namespace striate {
namespace {

bool has_threads() { return std::string(parallel_backend()) != "serial"; }

class ParallelTeam : public testing::TestWithParam<int> {};
// 7 is more than the cores of a small machine: waits must give their core away.
INSTANTIATE_TEST_SUITE_P(Threads, ParallelTeam, testing::Values(1, 2, 3, 4, 7, 64));

TEST_P(ParallelTeam, RunsEachTaskOnce) {
  for (std::int64_t count : {0, 1, 2, 3, 7, 64, 1000, 12345}) {
    std::vector<int> runs(static_cast<std::size_t>(count), 0);  // not atomic: once is no race
    parallel_for(GetParam(), count, [&](std::int64_t i) { ++runs[i]; });
    for (int r : runs) ASSERT_EQ(r, 1) << count;
  }
  parallel_for(GetParam(), -1, [](std::int64_t) { FAIL(); });
}

TEST_P(ParallelTeam, RanksAreDistinctAndZeroIsTheCaller) {
  const auto caller = std::this_thread::get_id();
  std::vector<int> seen(64, 0);
  int size = 0;
  parallel_region(GetParam(), [&](Team& team) {
    ASSERT_LT(team.rank(), team.size());
    ++seen[team.rank()];
    if (team.rank() == 0) {
      size = team.size();
      EXPECT_EQ(std::this_thread::get_id(), caller);
    }
  });
  EXPECT_EQ(size, has_threads() ? GetParam() : 1);
  for (int r = 0; r < 64; ++r) EXPECT_EQ(seen[r], r < size ? 1 : 0);
}

TEST_P(ParallelTeam, LoopsOfARegionSeeEachOthersResults) {
  constexpr int kCount = 100;
  std::vector<std::int64_t> a(kCount, 1), b(kCount);
  parallel_region(GetParam(), [&](Team& team) {
    for (int step = 0; step < 50; ++step) {
      team.for_each(kCount, [&](std::int64_t i) { b[i] = a[(i + 1) % kCount] + i; });
      team.for_each(1, [&](std::int64_t) { ++b[0]; });
      if (step % 7 == 0) team.barrier();
      team.for_each(kCount, [&](std::int64_t i) { a[i] = b[(i + 7) % kCount] % 1000; });
    }
  });
  std::vector<std::int64_t> expected(kCount, 1);
  for (int step = 0; step < 50; ++step) {
    for (int i = 0; i < kCount; ++i) b[i] = expected[(i + 1) % kCount] + i;
    ++b[0];
    for (int i = 0; i < kCount; ++i) expected[i] = b[(i + 7) % kCount] % 1000;
  }
  EXPECT_EQ(a, expected);
}

TEST_P(ParallelTeam, RethrowsATasksException) {
  for (int repeat = 0; repeat < 50; ++repeat) {
    const int thrower = repeat * 2;
    bool later_loop_finished = false;
    try {
      parallel_region(GetParam(), [&](Team& team) {
        team.for_each(10, [](std::int64_t) {});
        team.for_each(100, [&](std::int64_t i) {
          if (i == thrower) throw std::runtime_error("task");
        });
        team.for_each(10, [](std::int64_t) {});
        if (team.rank() == 0) later_loop_finished = true;
      });
      FAIL() << "nothing thrown";
    } catch (const std::runtime_error& e) {
      EXPECT_STREQ(e.what(), "task");
    }
    EXPECT_FALSE(later_loop_finished);
  }
  std::atomic<int> runs{0};
  parallel_for(GetParam(), 100, [&](std::int64_t) { ++runs; });
  EXPECT_EQ(runs, 100);
}

TEST_P(ParallelTeam, AnExceptionBetweenLoopsFreesTheOthers) {
  const int thrower = GetParam() - 1;
  std::atomic<int> size{0};
  const auto body = [&](Team& team) {
    size = team.size();
    team.for_each(10, [](std::int64_t) {});
    if (team.rank() == thrower) throw std::logic_error("between");
    team.barrier();
    team.barrier();
  };
  if (has_threads() || thrower == 0) {
    EXPECT_THROW(parallel_region(GetParam(), body), std::logic_error);
  } else {
    EXPECT_NO_THROW(parallel_region(GetParam(), body));
  }
}

TEST_P(ParallelTeam, EveryThreadMayThrow) {
  for (int repeat = 0; repeat < 20; ++repeat)
    EXPECT_THROW(parallel_for(GetParam(), 1000, [](std::int64_t i) { throw i; }), std::int64_t);
}

TEST_P(ParallelTeam, NestedRegionsRunOnTheirCaller) {
  std::vector<std::int64_t> sums(20, 0);
  parallel_for(GetParam(), 20, [&](std::int64_t i) {
    const auto outer = std::this_thread::get_id();
    parallel_region(4, [&](Team& team) {
      EXPECT_EQ(team.size(), 1);
      EXPECT_EQ(team.rank(), 0);
      team.for_each(10, [&](std::int64_t j) {
        EXPECT_EQ(std::this_thread::get_id(), outer);
        sums[i] += j;
      });
      team.barrier();
    });
  });
  EXPECT_EQ(std::accumulate(sums.begin(), sums.end(), std::int64_t{0}), 20 * 45);
}

TEST(Parallel, TwoCallersAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<std::int64_t> total{0};
  for (int c = 0; c < 3; ++c)
    callers.emplace_back([&] {
      for (int repeat = 0; repeat < 100; ++repeat) {
        std::vector<std::int64_t> out(50, 0);
        parallel_for(2, 50, [&](std::int64_t i) { out[i] = i; });
        total += std::accumulate(out.begin(), out.end(), std::int64_t{0});
      }
    });
  for (std::thread& c : callers) c.join();
  EXPECT_EQ(total, 3 * 100 * 49 * 25);
}

TEST(Parallel, ThreadsWakeAfterASleep) {
  for (int repeat = 0; repeat < 5; ++repeat) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    std::atomic<int> arrived{0};
    parallel_region(3, [&](Team& team) {
      // Rank 0 comes late, so that the others are past spinning and asleep in the barrier.
      if (team.rank() == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
      ++arrived;
      team.barrier();
      EXPECT_EQ(arrived, team.size());
    });
  }
}

#if defined(__SSE2__) || defined(__aarch64__)

// What the hardware does now, asked through volatile so that the compiler does not answer.
bool flushes_results() {
  volatile float least_normal = 1.17549435e-38f;
  volatile float half = least_normal * 0.5f;
  return half == 0.0f;
}
bool flushes_inputs() {
  volatile float denormal = 1e-40f;
  volatile float product = denormal * 1e20f;
  return product == 0.0f;
}
bool rounds_up() {
  volatile float one = 1.0f, little = 1e-10f;
  volatile float sum = one + little;
  return sum > 1.0f;
}

TEST_P(ParallelTeam, DenormalsAreFlushedInsideAndTheModeIsRestored) {
  ASSERT_FALSE(flushes_results());
  ASSERT_EQ(std::fesetround(FE_UPWARD), 0);
  std::vector<int> flushed(64, 0);
  bool nested_kept = false;
  parallel_region(GetParam(), [&](Team& team) {
    team.barrier();
    flushed[team.rank()] = flushes_results() && flushes_inputs() && !rounds_up();
    if (team.rank() == 0) {
      parallel_region(2, [&](Team&) { nested_kept = flushes_results(); });
      nested_kept = nested_kept && flushes_results();
    }
    if (!has_threads()) std::fill(flushed.begin() + 1, flushed.end(), 1);
  });
  const bool up = rounds_up(), results = flushes_results(), inputs = flushes_inputs();
  EXPECT_THROW(parallel_for(GetParam(), 10, [](std::int64_t i) { throw i; }), std::int64_t);
  const bool up_after_exception = rounds_up();
  std::fesetround(FE_TONEAREST);
  EXPECT_TRUE(up && up_after_exception);
  EXPECT_FALSE(results || inputs || flushes_results());
  EXPECT_TRUE(nested_kept);
  for (int r = 0; r < GetParam(); ++r) EXPECT_TRUE(flushed[r]) << "rank " << r;
}

#endif

// Runs `child` after a fork and returns (exit status, what it wrote to stderr). The child is killed
// after 20 s, so that a hang is a failure.
template <typename Child>
std::pair<int, std::string> in_fork(Child child) {
  int fds[2];
  if (pipe(fds) != 0) return {-1, "pipe"};
  std::fflush(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    alarm(20);
    dup2(fds[1], STDERR_FILENO);
    std::exit(child() ? 0 : 1);  // exit and not _exit: statics must not wait for lost threads
  }
  close(fds[1]);
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = read(fds[0], buffer, sizeof buffer)) > 0;) text.append(buffer, n);
  close(fds[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status), text};
}

int team_size(int threads) {
  int size = 0;
  parallel_region(threads, [&](Team& team) {
    if (team.rank() == 0) size = team.size();
  });
  return size;
}

TEST(ParallelFork, AChildOfAThreadedProcessRunsAloneAndSaysSoOnce) {
  parallel_for(3, 10, [](std::int64_t) {});
  const auto [status, text] = in_fork([] {
    std::int64_t sum = 0;
    for (int repeat = 0; repeat < 3; ++repeat)
      parallel_for(3, 10, [&](std::int64_t i) { sum += i; });
    return sum == 3 * 45 && team_size(3) == 1;
  });
  EXPECT_EQ(status, 0) << text;
  const std::string warning = "striate: this process was forked after threads were started";
  const std::size_t at = text.find(warning);
  EXPECT_EQ(at != std::string::npos, has_threads()) << text;
  if (at != std::string::npos) {
    EXPECT_EQ(text.find(warning, at + 1), std::string::npos);
  }
  EXPECT_EQ(team_size(2), has_threads() ? 2 : 1) << "the parent keeps its threads";
}

#if !defined(STRIATE_TESTS_EMULATED)

// A data loader that forks before any training must not lose its threads. "threadsafe" starts the
// executable anew, so that no other test's region comes before the fork.
void exit_with_a_forks_verdict() {
  const auto result = in_fork([] { return team_size(2) == (has_threads() ? 2 : 1); });
  std::_Exit(result.first != 0 || result.second.find("striate") != std::string::npos);
}

TEST(ParallelForkDeathTest, AChildForkedBeforeAnyRegionHasThreads) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(exit_with_a_forks_verdict(), testing::ExitedWithCode(0), "");
}

// Ending the program from a task must not wait for the task's own thread.
TEST(ParallelExitDeathTest, ExitInsideATask) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_EXIT(
      {
        alarm(20);
        parallel_for(2, 100, [](std::int64_t i) {
          if (i == 50) std::exit(3);
        });
      },
      testing::ExitedWithCode(3), "");
}

#endif

}  // namespace
}  // namespace striate
