#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "core/cpu_limits.h"
#include "striate/error.h"
#include "striate/threads.h"

namespace striate {
namespace {

TEST(CpuMax, Parses) {
  EXPECT_EQ(parse_cpu_max("150000 100000\n"), 1.5);
  EXPECT_EQ(parse_cpu_max("400000 100000"), 4.0);
  EXPECT_EQ(parse_cpu_max("max 100000\n"), std::nullopt);
  for (const char* bad : {"", "\n", "100000", "x y", "0 100000", "100000 0", "-1 100000",
                          "99999999999999999999 100000"})
    EXPECT_EQ(parse_cpu_max(bad), std::nullopt) << bad;
}

TEST(CfsQuota, Parses) {
  EXPECT_EQ(parse_cfs_quota("250000\n", "100000\n"), 2.5);
  EXPECT_EQ(parse_cfs_quota("-1\n", "100000\n"), std::nullopt);
  EXPECT_EQ(parse_cfs_quota("", ""), std::nullopt);
}

// A folder that stands for "/", with the files that a kernel would show.
class CgroupTree : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "striate_cgroup_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    const std::filesystem::path file = root_ + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::optional<double> quota() const { return cgroup_quota(root_); }

  std::string root_;
};

constexpr const char* kV2Mount =
    "22 1 8:1 / / rw,relatime - ext4 /dev/vda1 rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

TEST_F(CgroupTree, NothingThereIsNoQuota) { EXPECT_EQ(quota(), std::nullopt); }

TEST_F(CgroupTree, V2TakesTheLeastOnTheWayUp) {
  write("/proc/self/cgroup", "0::/user.slice/job.scope\n");
  write("/proc/self/mountinfo", kV2Mount);
  EXPECT_EQ(quota(), std::nullopt);
  write("/sys/fs/cgroup/user.slice/job.scope/cpu.max", "max 100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("/sys/fs/cgroup/user.slice/cpu.max", "300000 100000\n");
  EXPECT_EQ(quota(), 3.0);
  write("/sys/fs/cgroup/user.slice/job.scope/cpu.max", "50000 20000\n");
  EXPECT_EQ(quota(), 2.5);
  write("/sys/fs/cgroup/user.slice/other/cpu.max", "1000 100000\n");
  EXPECT_EQ(quota(), 2.5);
}

TEST_F(CgroupTree, V2InsideANamespace) {
  write("/proc/self/mountinfo", kV2Mount);
  write("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  for (const char* path : {"0::/\n", "0::/../../elsewhere\n", "0::/gone\n"}) {
    write("/proc/self/cgroup", path);
    EXPECT_EQ(quota(), 2.0) << path;
  }
}

TEST_F(CgroupTree, V1OfAContainerWhoseMountShowsOnlyItsOwnGroup) {
  write("/proc/self/cgroup", "7:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc/worker\n");
  write("/proc/self/mountinfo",
        "33 32 0:29 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
        "34 32 0:30 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 1.5);
  write("/sys/fs/cgroup/cpu,cpuacct/worker/cpu.cfs_quota_us", "50000\n");
  write("/sys/fs/cgroup/cpu,cpuacct/worker/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), 0.5);
  write("/proc/self/cgroup", "4:cpu,cpuacct:/docker/abcdef\n");
  EXPECT_EQ(quota(), 1.5) << "a sibling's name that begins alike is not below the mount";
}

TEST_F(CgroupTree, HybridHasBothAndEscapedPaths) {
  write("/proc/self/cgroup", "1:cpu:/\n0::/\n");
  write("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/my\\040cpu rw - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  write("/sys/fs/my cpu/cpu.cfs_quota_us", "-1\n");
  write("/sys/fs/my cpu/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota(), std::nullopt);
  write("/sys/fs/my cpu/cpu.cfs_quota_us", "700000\n");
  EXPECT_EQ(quota(), 7.0);
  write("/sys/fs/cgroup/unified/cpu.max", "600000 100000\n");
  EXPECT_EQ(quota(), 6.0);
}

TEST_F(CgroupTree, GarbageIsNoQuota) {
  write("/proc/self/cgroup", "\n:\n::\nx\n0::\n4:cpu:nowhere\n");
  write("/proc/self/mountinfo", "\n - \n - cgroup2\n1 2 3 - cgroup x cpu\n");
  write("/cpu.max", "bogus");
  EXPECT_EQ(quota(), std::nullopt);
}

TEST(ChooseThreads, TakesTheLeast) {
  EXPECT_EQ(choose_threads(8, std::nullopt, nullptr, nullptr).threads, 8);
  EXPECT_EQ(choose_threads(8, 2.5, nullptr, nullptr).threads, 3);
  EXPECT_EQ(choose_threads(8, 0.1, nullptr, nullptr).threads, 1);
  EXPECT_EQ(choose_threads(8, 1e12, nullptr, nullptr).threads, 8);
  EXPECT_EQ(choose_threads(8, std::nullopt, "4", "2").threads, 4);
  EXPECT_EQ(choose_threads(8, std::nullopt, nullptr, "2").threads, 2);
  EXPECT_EQ(choose_threads(8, std::nullopt, nullptr, " 3 , 2").threads, 3);
  EXPECT_EQ(choose_threads(2, std::nullopt, "16", nullptr).threads, 2);
  EXPECT_EQ(choose_threads(2, std::nullopt, "99999999999999999999", nullptr).threads, 2);
  EXPECT_EQ(choose_threads(8, 2.0, "4", nullptr).threads, 2);
  EXPECT_EQ(choose_threads(100000, std::nullopt, nullptr, nullptr).threads, kMaxThreads);
}

TEST(ChooseThreads, AMalformedVariableIsIgnoredAndNamed) {
  for (const char* bad : {"abc", "0", "-1", "2x", "2,1", " ", "1.5", "0x2", "1 2"}) {
    const ThreadChoice choice = choose_threads(8, std::nullopt, bad, "3");
    EXPECT_EQ(choice.threads, 3) << bad;
    EXPECT_NE(choice.reason.find("STRIATE_NUM_THREADS=\"" + std::string(bad) + "\" ignored"),
              std::string::npos)
        << choice.reason;
  }
  for (const char* bad : {"x", ",", ",2", "0,2"})
    EXPECT_EQ(choose_threads(8, std::nullopt, nullptr, bad).threads, 8) << bad;
}

TEST(ChooseThreads, SaysWhy) {
  EXPECT_EQ(choose_threads(2, std::nullopt, nullptr, nullptr).reason,
            "2: affinity mask 2, cgroup quota none, OMP_NUM_THREADS unset");
  EXPECT_EQ(choose_threads(8, 1.5, "4", nullptr).reason,
            "2: affinity mask 8, cgroup quota 1.5, STRIATE_NUM_THREADS=4");
}

TEST(NumThreads, OverrideAndItsLimits) {
  const int standard = num_threads();
  EXPECT_GE(standard, 1);
  EXPECT_LE(standard, affinity_count());
  EXPECT_EQ(standard, default_threads().threads);
  set_num_threads(7);
  EXPECT_EQ(num_threads(), 7);
  EXPECT_THROW(set_num_threads(-1), ValueError);
  EXPECT_THROW(set_num_threads(4097), ValueError);
  EXPECT_EQ(num_threads(), 7) << "a refused call changes nothing";
  set_num_threads(4096);
  EXPECT_EQ(num_threads(), 4096);
  set_num_threads(0);
  EXPECT_EQ(num_threads(), standard);
}

TEST(ParallelBackend, IsOneOfThree) {
  const std::string name = parallel_backend();
  EXPECT_TRUE(name == "openmp" || name == "std" || name == "serial") << name;
}

}  // namespace
}  // namespace striate
