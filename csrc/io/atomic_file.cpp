#include "io/atomic_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <utility>

#include "striate/error.h"

namespace striate::io {
namespace {

constexpr std::size_t kMaxWrite = std::size_t{1} << 30;  // Linux writes at most 2 GiB - 4 KiB a call
constexpr std::size_t kMaxStem = 200;  // leaves room for ".tmp.<pid>.<random>" in a name of 255
constexpr int kNameAttempts = 16;

int sync_to_disk(int fd) {
#ifdef F_FULLFSYNC
  if (::fcntl(fd, F_FULLFSYNC) == 0) return 0;  // on macOS fsync stops at the drive's cache
#endif
  return ::fsync(fd);
}

constexpr FileCalls kSystemCalls{
    [](const char* path, int flags, mode_t mode) { return ::open(path, flags, mode); },
    ::write,
    sync_to_disk,
    ::fchmod,
    ::close,
    std::rename,
};

std::atomic<const FileCalls*> current_calls{&kSystemCalls};

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

std::string base_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? path : path.substr(slash + 1);
}

template <typename Call>
auto retry_if_interrupted(Call call) {
  auto r = call();
  while (r < 0 && errno == EINTR) r = call();
  return r;
}

}  // namespace

const FileCalls& system_file_calls() { return kSystemCalls; }

void set_file_calls(const FileCalls& calls) { current_calls = &calls; }

AtomicFile::AtomicFile(std::string path) : calls_(*current_calls.load()), path_(std::move(path)) {
  if (path_.find('\0') != std::string::npos || base_of(path_).empty())
    fail("not a file name", EINVAL);
  struct stat old {};
  const bool exists = ::lstat(path_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode) && !S_ISLNK(old.st_mode))
    fail("not a regular file", S_ISDIR(old.st_mode) ? EISDIR : EINVAL);
  const bool keep_mode = exists && S_ISREG(old.st_mode);
  // A new file takes what the umask leaves. One that replaces another stays closed to others until
  // it has the old one's bits.
  open_temporary(keep_mode ? 0600 : 0666);
  if (keep_mode && calls_.fchmod(fd_, old.st_mode & 0777) != 0) {
    const int code = errno;
    this->~AtomicFile();
    fail("cannot set permissions", code);
  }
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) calls_.close(fd_);
  if (directory_ >= 0) calls_.close(directory_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

}  // namespace striate::io
