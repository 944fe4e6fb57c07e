#pragma once
// Reading regular files whose size is known before anything is allocated for them.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace striate::io {

class InputFile {
 public:
  // Throws IoError if `path` cannot be opened or is not a regular file: a pipe or a device has no
  // size to hold a header's claims against, and could block for ever.
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  std::size_t size() const { return size_; }  // when it was opened
  // Reads exactly `n` bytes; FormatError if the file ends first.
  void read(std::uint8_t* out, std::size_t n);

 private:
  std::string path_;
  int fd_;
  std::size_t size_ = 0;
};

std::vector<std::uint8_t> read_file(const std::string& path);

}  // namespace striate::io
