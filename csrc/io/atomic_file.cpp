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

constexpr std::size_t kMaxWrite = std::size_t{1}
                                  << 30;  // Linux writes at most 2 GiB - 4 KiB a call
constexpr std::size_t kMaxStem = 200;     // leaves room for ".tmp.<pid>.<random>" in a name of 255
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
  return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
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

AtomicFile::AtomicFile(std::string path, Unopened)
    : calls_(*current_calls.load()), path_(std::move(path)) {}

// Delegates, so that the destructor clears up if anything below throws.
AtomicFile::AtomicFile(std::string path) : AtomicFile(std::move(path), Unopened{}) {
  if (path_.find('\0') != std::string::npos || base_of(path_).empty())
    fail("not a file name", EINVAL);
  struct stat old{};
  const bool exists = ::lstat(path_.c_str(), &old) == 0;
  if (exists && !S_ISREG(old.st_mode) && !S_ISLNK(old.st_mode))
    fail("not a regular file", S_ISDIR(old.st_mode) ? EISDIR : EINVAL);
  const bool replaces = exists && S_ISREG(old.st_mode);
  // A new file takes what the umask leaves. One that replaces another stays closed to others until
  // it has the old one's bits.
  open_temporary(replaces ? 0600 : 0666);
  if (replaces && calls_.fchmod(fd_, old.st_mode & 0777) != 0)
    fail("cannot keep its permissions", errno);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) calls_.close(fd_);
  if (directory_ >= 0) calls_.close(directory_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::open_temporary(mode_t mode) {
  std::random_device random;
  for (int attempt = 0; attempt < kNameAttempts; ++attempt) {
    const std::string name = directory_of(path_) + base_of(path_).substr(0, kMaxStem) + ".tmp." +
                             std::to_string(::getpid()) + "." + std::to_string(random());
    fd_ = retry_if_interrupted([&] {
      return calls_.open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    });
    if (fd_ >= 0) {
      temporary_ = name;
      return;
    }
    if (errno != EEXIST) break;
  }
  fail("cannot create a file beside it", errno);
}

void AtomicFile::write(const void* data, std::size_t size) {
  const auto* next = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t n =
        retry_if_interrupted([&] { return calls_.write(fd_, next, std::min(size, kMaxWrite)); });
    if (n < 0) fail("cannot write", errno);
    if (n == 0) fail("cannot write", EIO);
    next += n;
    size -= static_cast<std::size_t>(n);
  }
}

void AtomicFile::commit() {
  // A failed fsync is not tried again: the kernel may have dropped the pages and report success.
  if (retry_if_interrupted([&] { return calls_.fsync(fd_); }) != 0) fail("cannot sync", errno);
  // Linux closes the descriptor even if interrupted; the data is on the disk already.
  const bool closed = calls_.close(std::exchange(fd_, -1)) == 0 || errno == EINTR;
  if (!closed) fail("cannot close", errno);

  directory_ = retry_if_interrupted([&] {
    return calls_.open(directory_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
  });
  // A directory one may write to but not list cannot be synced; everyone else would lose by
  // failing.
  if (directory_ < 0 && errno != EACCES) fail("cannot open its directory", errno);
  if (calls_.rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot rename", errno);
  temporary_.clear();
  if (directory_ < 0) return;
  const int synced = retry_if_interrupted([&] { return calls_.fsync(directory_); });
  // EINVAL: a file system that has no such thing as syncing a directory.
  if (synced != 0 && errno != EINVAL) fail("cannot sync its directory", errno);
}

void AtomicFile::fail(const char* what, int code) const {
  throw IoError(path_ + ": " + what + ": " + std::strerror(code), code);
}

}  // namespace striate::io
