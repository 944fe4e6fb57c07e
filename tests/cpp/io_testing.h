#pragma once
// What the tests of file readers and writers share: a folder of their own, whole-file access, the
// values that break size arithmetic, and a process that has little memory.
#include <sys/resource.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "striate/error.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STRIATE_TEST_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STRIATE_TEST_SANITIZED 1
#endif

namespace striate::testing {

using Bytes = std::vector<std::uint8_t>;

inline const std::vector<std::uint64_t>& boundary_values() {
  static const std::vector<std::uint64_t> kValues{0,           1,           2,
                                                  7,           8,           127,
                                                  128,         255,         0x7FFFFFFFU,
                                                  0x80000000U, 0xFFFFFFFFU, 0x100000000U,
                                                  1ULL << 40U, 1ULL << 61U, (1ULL << 63U) - 1,
                                                  1ULL << 63U, ~0ULL - 7,   ~0ULL};
  return kValues;
}

class TempDir {
 public:
  TempDir() {
    std::string name = (std::filesystem::temp_directory_path() / "striate_test_XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  std::string file(const std::string& name) const { return (path_ / name).string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

inline void write_bytes(const std::string& path, const Bytes& bytes) {
  std::ofstream f(path, std::ios::binary | std::ios::trunc);
  f.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

inline Bytes read_bytes(const std::string& path) {
  std::ifstream f(path, std::ios::binary);
  return Bytes(std::istreambuf_iterator<char>(f), std::istreambuf_iterator<char>());
}

// Takes this process's right to another 64 MiB of address space. Sanitizers reserve terabytes, so
// there the limit is left alone: they refuse huge requests themselves.
inline void limit_memory() {
#ifndef STRIATE_TEST_SANITIZED
  std::size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  const rlim_t limit = pages * 4096 + (std::size_t{64} << 20);
  const rlimit r{limit, limit};
  ::setrlimit(RLIMIT_AS, &r);
#endif
}

// For EXPECT_EXIT: runs `read` with little memory and exits with 0 if it throws FormatError.
template <typename Read>
[[noreturn]] void exit_on_format_error(Read read) {
  limit_memory();
  try {
    read();
  } catch (const FormatError&) {
    std::_Exit(0);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "expected FormatError, got: %s\n", e.what());
  }
  std::_Exit(1);
}

}  // namespace striate::testing
