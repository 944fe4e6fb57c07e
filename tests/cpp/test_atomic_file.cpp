// Saving must survive whatever goes wrong on the way: every system call of every writer is made to
// fail in turn, and the old file has to be whole, with nothing left beside it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <functional>

#include "io/atomic_file.h"
#include "io_testing.h"
#include "striate/idx.h"
#include "striate/safetensors.h"

namespace striate {
namespace {

using io::AtomicFile;
using testing::Bytes;
using testing::TempDir;

// Which call fails, and how. Plain function pointers carry no state, hence a global.
struct Fault {
  int at = -1;             // index of the call that fails; -1: none
  int code = 0;            // its errno
  bool from_then = false;  // all later calls fail too
  bool short_writes = false;
  int calls = 0;
  bool renamed = false;
};
Fault fault;

bool fails() {
  const int call = fault.calls++;
  const bool hit = fault.at >= 0 && (fault.from_then ? call >= fault.at : call == fault.at);
  if (hit) errno = fault.code;
  return hit;
}

const io::FileCalls kFaultyCalls{
    [](const char* path, int flags, mode_t mode) {
      return fails() ? -1 : io::system_file_calls().open(path, flags, mode);
    },
    [](int fd, const void* data, std::size_t size) -> ssize_t {
      if (fails()) return -1;
      const std::size_t n = fault.short_writes ? std::min<std::size_t>(size, 3) : size;
      return io::system_file_calls().write(fd, data, n);
    },
    [](int fd) { return fails() ? -1 : io::system_file_calls().fsync(fd); },
    [](int fd, mode_t mode) { return fails() ? -1 : io::system_file_calls().fchmod(fd, mode); },
    [](int fd) {
      const bool failed = fails();  // a failed close has closed all the same
      const int code = errno;
      const int r = io::system_file_calls().close(fd);
      errno = code;
      return failed ? -1 : r;
    },
    [](const char* from, const char* to) {
      if (fails()) return -1;
      const int r = io::system_file_calls().rename(from, to);
      fault.renamed |= r == 0;
      return r;
    },
};

class FaultyCalls {
 public:
  explicit FaultyCalls(const Fault& f) {
    fault = f;
    io::set_file_calls(kFaultyCalls);
  }
  ~FaultyCalls() { io::set_file_calls(io::system_file_calls()); }
  FaultyCalls(const FaultyCalls&) = delete;
  FaultyCalls& operator=(const FaultyCalls&) = delete;
};

std::size_t open_descriptors() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}

void write_text(const std::string& path, const std::string& text) {
  AtomicFile f(path);
  for (const char c : text) f.write(&c, 1);
  f.commit();
}

std::string read_text(const std::string& path) {
  const Bytes b = testing::read_bytes(path);
  return std::string(b.begin(), b.end());
}

// Fails the n-th call for every n, until a save meets no fault.
void fail_every_call(const std::function<void(const std::string&)>& save, int code,
                     bool from_then) {
  const TempDir dir;
  const std::string path = dir.file("model");
  save(path);
  const Bytes new_bytes = testing::read_bytes(path);
  const Bytes old_bytes{'o', 'l', 'd'};
  const std::size_t descriptors = open_descriptors();
  for (int n = 0;; ++n) {
    ASSERT_LT(n, 1000);
    testing::write_bytes(path, old_bytes);
    bool thrown = false;
    Fault f;
    f.at = n;
    f.code = code;
    f.from_then = from_then;
    const FaultyCalls faulty(f);
    try {
      save(path);
    } catch (const IoError& e) {
      thrown = true;
      EXPECT_EQ(e.code(), code);
      EXPECT_NE(std::string(e.what()).find(path), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(std::strerror(code)), std::string::npos) << e.what();
    }
    // Whole in any case; new only if the rename happened, and then only the directory's sync or
    // the close of its descriptor, which nothing depends on, can have failed.
    EXPECT_EQ(testing::read_bytes(path), fault.renamed ? new_bytes : old_bytes) << n;
    EXPECT_TRUE(thrown || fault.renamed) << n;
    EXPECT_EQ(dir.entries(), 1U) << n;
    EXPECT_EQ(open_descriptors(), descriptors) << n;
    if (n >= fault.calls) {
      EXPECT_FALSE(thrown);
      EXPECT_GE(n, 9);  // open, fchmod, write, fsync, close, open, rename, fsync, close
      return;
    }
  }
}

const std::vector<float> kValues(1000, 1.5F);

const std::vector<std::function<void(const std::string&)>>& writers() {
  static const std::vector<std::function<void(const std::string&)>> kWriters{
      [](const std::string& path) { write_text(path, "a new file"); },
      [](const std::string& path) {
        write_idx(path, IdxArray{{300, 300}, IdxType::kUint8, Bytes(90000, 7)});
      },
      [](const std::string& path) {
        write_safetensors(
            path, {{"config", "{}"}},
            {{"w", "F32", {10, 100}, kValues.data()}, {"b", "F32", {}, kValues.data()}});
      }};
  return kWriters;
}

TEST(AtomicFile, EveryCallFailsOnce) {
  for (const auto& save : writers())
    for (const int code : {ENOSPC, EIO, EDQUOT}) fail_every_call(save, code, false);
}

TEST(AtomicFile, EveryCallFailsFromThenOn) {
  for (const auto& save : writers())
    for (const int code : {ENOSPC, EIO}) fail_every_call(save, code, true);
}

// Without the first sync a crash could leave an empty file under the final name; without the
// second, the old one. No failure shows that they are missing, so the order of calls is checked
// itself.
TEST(AtomicFile, SyncsTheDataBeforeAndTheFolderAfterTheRename) {
  static std::string log;
  static const io::FileCalls kLoggedCalls{
      [](const char* path, int flags, mode_t mode) {
        log += (flags & O_DIRECTORY) != 0 ? "folder " : "open ";
        return io::system_file_calls().open(path, flags, mode);
      },
      [](int fd, const void* data, std::size_t size) {
        log += "write ";
        return io::system_file_calls().write(fd, data, size);
      },
      [](int fd) {
        log += "sync ";
        return io::system_file_calls().fsync(fd);
      },
      [](int fd, mode_t mode) {
        log += "chmod ";
        return io::system_file_calls().fchmod(fd, mode);
      },
      [](int fd) {
        log += "close ";
        return io::system_file_calls().close(fd);
      },
      [](const char* from, const char* to) {
        log += "rename ";
        return io::system_file_calls().rename(from, to);
      },
  };
  const TempDir dir;
  write_text(dir.file("a"), "x");
  io::set_file_calls(kLoggedCalls);
  write_text(dir.file("a"), "y");
  io::set_file_calls(io::system_file_calls());
  EXPECT_EQ(log, "open chmod write sync close folder rename sync close ");
}

TEST(AtomicFile, InterruptedCallsAndShortWritesAreNoErrors) {
  const TempDir dir;
  const std::string path = dir.file("a");
  // open, four writes, fsync, close, open, fsync, close; the 8th, rename, is never interrupted.
  for (const int n : {0, 1, 2, 3, 4, 5, 6, 7, 9, 10}) {
    Fault f;
    f.at = n;
    f.code = EINTR;
    f.short_writes = true;
    const FaultyCalls faulty(f);
    AtomicFile file(path);
    file.write("hello, world", 12);
    file.commit();
    EXPECT_EQ(read_text(path), "hello, world");
    std::filesystem::remove(path);
  }
}

TEST(AtomicFile, ReplacesOnlyOnCommit) {
  const TempDir dir;
  const std::string path = dir.file("a");
  write_text(path, "old");
  {
    AtomicFile f(path);
    f.write("new", 3);
    EXPECT_EQ(read_text(path), "old");
    EXPECT_EQ(dir.entries(), 2U);
  }
  EXPECT_EQ(read_text(path), "old");
  EXPECT_EQ(dir.entries(), 1U);
  write_text(path, "");
  EXPECT_EQ(read_text(path), "");
}

TEST(AtomicFile, ReadersOfTheOldFileKeepIt) {
  const TempDir dir;
  write_text(dir.file("a"), "old");
  std::ifstream reader(dir.file("a"));
  write_text(dir.file("a"), "new");
  std::string text;
  reader >> text;
  EXPECT_EQ(text, "old");
  EXPECT_EQ(read_text(dir.file("a")), "new");
}

TEST(AtomicFile, PermissionsAreKeptOrTheUmasks) {
  const TempDir dir;
  const std::string path = dir.file("a");
  const auto mode = [&] {
    struct stat st{};
    EXPECT_EQ(::stat(path.c_str(), &st), 0);
    return st.st_mode & 07777;
  };
  const mode_t before = ::umask(027);
  write_text(path, "1");
  EXPECT_EQ(mode(), 0640U);
  ASSERT_EQ(::chmod(path.c_str(), 0604), 0);
  write_text(path, "2");
  EXPECT_EQ(mode(), 0604U);
  ::umask(before);
}

TEST(AtomicFile, LinksAreReplacedNotFollowed) {
  const TempDir dir;
  write_text(dir.file("target"), "target");
  std::filesystem::create_symlink("target", dir.file("link"));
  write_text(dir.file("link"), "new");
  EXPECT_EQ(read_text(dir.file("target")), "target");
  EXPECT_EQ(read_text(dir.file("link")), "new");
  EXPECT_FALSE(std::filesystem::is_symlink(dir.file("link")));
}

TEST(AtomicFile, PathsThatCannotBeWritten) {
  const TempDir dir;
  std::filesystem::create_directory(dir.file("folder"));
  for (const std::string& path :
       {dir.file("folder"), dir.file("folder") + "/", dir.file("none/a"), std::string(),
        std::string("."), std::string("/dev/null"), dir.file("a") + std::string("\0b", 2),
        dir.file(std::string(300, 'x'))})
    EXPECT_THROW(write_text(path, "x"), IoError) << path;
  EXPECT_EQ(dir.entries(), 1U);
}

TEST(AtomicFile, NamesAsLongAsTheyMayBe) {
  const TempDir dir;
  const std::string path = dir.file(std::string(255, 'x'));
  write_text(path, "long");
  EXPECT_EQ(read_text(path), "long");
  EXPECT_EQ(dir.entries(), 1U);
}

TEST(AtomicFile, RelativeNamesGoIntoTheWorkingFolder) {
  const TempDir dir;
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(dir.file(""));
  write_text("plain", "x");
  std::filesystem::current_path(before);
  EXPECT_EQ(read_text(dir.file("plain")), "x");
}

// A process killed while it saves: whatever instant it is, the file is one of the two, whole.
TEST(AtomicFile, KilledWhileSaving) {
  const TempDir dir;
  const std::string path = dir.file("a");
  const std::string texts[] = {std::string(200000, 'a'), std::string(150000, 'b')};
  write_text(path, texts[0]);
  for (int i = 0; i < 20; ++i) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      for (int n = 0;; ++n) {
        AtomicFile f(path);
        const std::string& text = texts[n % 2];
        for (std::size_t at = 0; at < text.size(); at += 10000) f.write(text.data() + at, 10000);
        f.commit();
      }
    }
    ::usleep(static_cast<useconds_t>(500 + 700 * i));
    ::kill(child, SIGKILL);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    const std::string text = read_text(path);
    EXPECT_TRUE(text == texts[0] || text == texts[1]) << text.size();
  }
}

}  // namespace
}  // namespace striate
