#include "io/input_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "core/checked.h"
#include "striate/error.h"

namespace striate::io {
namespace {

constexpr std::size_t kMaxRead = std::size_t{1} << 30;  // Linux reads at most 2 GiB - 4 KiB a call

[[noreturn]] void fail(const std::string& path, const char* what, int code) {
  throw IoError(path + ": " + what + ": " + std::strerror(code), code);
}

}  // namespace

InputFile::InputFile(std::string path) : path_(std::move(path)), fd_(-1) {
  if (path_.find('\0') != std::string::npos) fail(path_, "cannot open", EINVAL);
  do {
    // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  } while (fd_ < 0 && errno == EINTR);
  if (fd_ < 0) fail(path_, "cannot open", errno);
  struct stat st{};
  int code = ::fstat(fd_, &st) == 0 ? 0 : errno;
  if (code == 0 && S_ISDIR(st.st_mode)) code = EISDIR;
  if (code == 0 && !S_ISREG(st.st_mode)) code = EINVAL;
  if (code != 0) {
    ::close(fd_);
    fail(path_, "not a regular file", code);
  }
  size_ = narrow<std::size_t>(st.st_size);
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(std::uint8_t* out, std::size_t n) {
  while (n > 0) {
    const ssize_t got = ::read(fd_, out, std::min(n, kMaxRead));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path_, "cannot read", errno);
    if (got == 0) throw FormatError(path_ + ": the file ends too early");
    out += got;
    n -= static_cast<std::size_t>(got);
  }
}

std::vector<std::uint8_t> read_file(const std::string& path) {
  InputFile file(path);
  std::vector<std::uint8_t> bytes(file.size());
  file.read(bytes.data(), bytes.size());
  return bytes;
}

}  // namespace striate::io
