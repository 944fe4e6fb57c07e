#pragma once
// safetensors: named tensors and string metadata behind a JSON header. No code in the file, nothing
// to run. The reader is stricter than the format where that costs nobody anything:
//   * duplicate keys, unknown keys of a tensor, holes, overlaps and trailing bytes are refused;
//   * at most 100,000 tensors and as many metadata entries, names of 1024 bytes, rank 8;
//   * extents whose product passes int64 are refused even beside an extent of 0.
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace striate {

constexpr std::size_t kMaxSafetensorsHeader = 100'000'000;
constexpr std::size_t kMaxSafetensorsEntries = 100'000;  // tensors, and metadata entries
constexpr std::size_t kMaxSafetensorsName = 1024;        // bytes of UTF-8
constexpr std::size_t kMaxSafetensorsRank = 8;

// Bits an element: "F32" 32, "BF16" 16, "F4" 4. 0 for a name that is no dtype of the format.
std::int64_t safetensors_dtype_bits(const std::string& dtype);

struct TensorView {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  std::size_t begin = 0;  // in the data that follows the header
  std::size_t end = 0;
};

class SafetensorsFile {
 public:
  // Both throw FormatError for anything that breaks the rules; read() throws IoError as well.
  static SafetensorsFile read(const std::string& path);
  static SafetensorsFile parse(std::vector<std::uint8_t> bytes, const std::string& name);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const std::vector<TensorView>& tensors() const { return tensors_; }  // by offset
  const TensorView* find(const std::string& name) const;               // null if there is none

  // view.end - view.begin bytes, C order, little endian, of no promised alignment: copy them out.
  // `view` must be one of tensors(); ValueError otherwise.
  const std::uint8_t* data(const TensorView& view) const;

 private:
  SafetensorsFile() = default;

  std::vector<std::uint8_t> bytes_;  // the whole file
  std::size_t data_start_ = 0;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorView> tensors_;
};

struct TensorSource {
  std::string name;
  std::string dtype;
  std::vector<std::int64_t> shape;
  const void* data = nullptr;  // C order, little endian
};

// Writes atomically: on IoError the file that was there is still whole. Tensors are laid out by
// falling dtype size, then name, so that each is aligned to its elements, and the same contents
// make the same bytes. ValueError for anything that read() would refuse.
void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       const std::vector<TensorSource>& tensors);

}  // namespace striate
