#pragma once
// Replacing a file so that a crash, a full disk or a killed process leaves either the old file or
// the new one, whole: a temporary file beside it, fsync, rename, fsync of the directory. Without
// the first fsync a crash can leave an empty file under the final name; without the second the
// rename may be lost.
#include <sys/types.h>

#include <cstddef>
#include <string>

namespace striate::io {

// The system calls that AtomicFile makes. Tests put others in their place, to fail the n-th call.
struct FileCalls {
  int (*open)(const char* path, int flags, mode_t mode);
  ssize_t (*write)(int fd, const void* data, std::size_t size);
  int (*fsync)(int fd);
  int (*fchmod)(int fd, mode_t mode);
  int (*close)(int fd);
  int (*rename)(const char* from, const char* to);
};
const FileCalls& system_file_calls();
// For tests only. `calls` must outlive every AtomicFile made from now on.
void set_file_calls(const FileCalls& calls);

// write() any number of times, then commit(). Destroyed without a commit, it takes its temporary
// file away and the old file stays. Any failure throws IoError with the path and the reason; after
// one, only destruction is left. If `path` is a symbolic link, the link itself is replaced, never
// followed. An existing file's permission bits are kept.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, std::size_t size);
  // On return the new file is on the disk under its name. If only the last step fails, the fsync
  // of the directory, it throws with the new file already in place, whole.
  void commit();

 private:
  struct Unopened {};
  AtomicFile(std::string path, Unopened);
  void open_temporary(mode_t mode);
  [[noreturn]] void fail(const char* what, int code) const;

  const FileCalls& calls_;
  std::string path_;
  std::string temporary_;  // empty once renamed
  int fd_ = -1;
  int directory_ = -1;
};

}  // namespace striate::io
