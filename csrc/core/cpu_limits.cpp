#include "core/cpu_limits.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>

#include <cerrno>
#endif

namespace striate {
namespace {

std::optional<std::string> read_text(const std::string& path) {
  std::ifstream file(path);
  if (!file) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::optional<double> ratio(const std::string& quota, const std::string& period) {
  std::istringstream quota_text(quota), period_text(period);
  long long q = 0, p = 0;
  if (!(quota_text >> q) || !(period_text >> p) || q <= 0 || p <= 0) return std::nullopt;
  return static_cast<double>(q) / static_cast<double>(p);
}

void keep_least(std::optional<double>& least, std::optional<double> quota) {
  if (quota && (!least || *quota < *least)) least = quota;
}

bool has_item(const std::string& list, const std::string& item) {
  return ("," + list + ",").find("," + item + ",") != std::string::npos;
}

// The kernel writes space, tab, newline and backslash in mountinfo's paths as \ooo.
std::string unescape(const std::string& text) {
  const auto octal = [](char c) { return c >= '0' && c <= '7'; };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) &&
        octal(text[i + 3])) {
      out +=
          static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0');
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

struct CgroupMount {
  bool v2;
  std::string root;   // the cgroup that is mounted: "/", or a container's own
  std::string point;  // where
};

// Mounts that can carry a CPU quota: every v2, and the v1 hierarchy of the cpu controller.
std::vector<CgroupMount> cgroup_mounts(const std::string& mountinfo) {
  std::vector<CgroupMount> mounts;
  std::istringstream lines(mountinfo);
  for (std::string line; std::getline(lines, line);) {
    // id parent major:minor root point options [optional...] - type source super-options
    const std::size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash)), after(line.substr(dash + 3));
    std::string skipped, root, point, type, options;
    before >> skipped >> skipped >> skipped >> root >> point;
    after >> type >> skipped >> options;
    if (type == "cgroup2" || (type == "cgroup" && has_item(options, "cpu")))
      mounts.push_back({type == "cgroup2", unescape(root), unescape(point)});
  }
  return mounts;
}

// The process's cgroup in v2 ("0::/path") or in v1's cpu hierarchy ("4:cpu,cpuacct:/path").
std::optional<std::string> cgroup_of_process(const std::string& text, bool v2) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    if (v2 ? controllers.empty() : has_item(controllers, "cpu")) return line.substr(second + 1);
  }
  return std::nullopt;
}

std::optional<double> quota_of_folder(const std::string& folder, bool v2) {
  if (v2) {
    const auto text = read_text(folder + "/cpu.max");
    return text ? parse_cpu_max(*text) : std::nullopt;
  }
  const auto quota = read_text(folder + "/cpu.cfs_quota_us");
  const auto period = read_text(folder + "/cpu.cfs_period_us");
  return quota && period ? parse_cfs_quota(*quota, *period) : std::nullopt;
}

// The part of `path` below the mounted cgroup, "" or "/a/b". A container without a cgroup
// namespace reads the host's path, of which its own mount shows only the end.
std::string path_below(const CgroupMount& mount, const std::string& path) {
  std::string below = path;
  if (mount.root != "/") {
    const std::size_t n = mount.root.size();
    if (path.compare(0, n, mount.root) != 0 || (path.size() > n && path[n] != '/')) return "";
    below = path.substr(n);
  }
  // Outside the namespace's root the kernel writes "/../..", which must not leave the mount.
  return below == "/" || below.find("/..") != std::string::npos ? "" : below;
}

}  // namespace

int affinity_count() {
#if defined(__linux__)
  // The kernel refuses a mask shorter than its own, so the mask grows until it fits.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* mask = CPU_ALLOC(cpus);
    if (!mask) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
    const int status = sched_getaffinity(0, bytes, mask);
    const bool too_short = status != 0 && errno == EINVAL;
    const int count = status == 0 ? CPU_COUNT_S(bytes, mask) : 0;
    CPU_FREE(mask);
    if (count > 0) return count;
    if (!too_short) break;
  }
#endif
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::optional<double> parse_cpu_max(const std::string& text) {
  std::istringstream words(text);
  std::string quota, period;
  words >> quota >> period;
  return ratio(quota, period);  // "max" is no number
}

std::optional<double> parse_cfs_quota(const std::string& quota, const std::string& period) {
  return ratio(quota, period);
}

std::optional<double> cgroup_quota(const std::string& root) {
  const auto cgroup = read_text(root + "/proc/self/cgroup");
  const auto mountinfo = read_text(root + "/proc/self/mountinfo");
  std::optional<double> least;
  if (!cgroup || !mountinfo) return least;
  for (const CgroupMount& mount : cgroup_mounts(*mountinfo)) {
    const auto path = cgroup_of_process(*cgroup, mount.v2);
    if (!path) continue;
    std::string below = path_below(mount, *path);
    for (;;) {
      keep_least(least, quota_of_folder(root + mount.point + below, mount.v2));
      if (below.empty()) break;
      below.resize(below.rfind('/'));
    }
  }
  return least;
}

}  // namespace striate
