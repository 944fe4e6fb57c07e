#pragma once
// IDX, the file format of MNIST: a big-endian header (two zero bytes, a type code, the rank, one
// 32-bit extent an axis), then the elements.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace striate {

enum class IdxType : std::uint8_t {  // the codes of the file
  kUint8 = 0x08,
  kInt8 = 0x09,
  kInt16 = 0x0B,
  kInt32 = 0x0C,
  kFloat32 = 0x0D,
  kFloat64 = 0x0E,
};

std::int64_t idx_item_size(IdxType type);  // bytes an element

struct IdxArray {
  std::vector<std::int64_t> shape;  // rank 1 to 8, extents 0 to 2^32 - 1
  IdxType type = IdxType::kUint8;
  std::vector<std::uint8_t> bytes;  // C order, this machine's byte order
};

// Reads a plain file or a gzip one, whichever its first bytes say. Throws IoError if it cannot be
// read, and FormatError, before allocating for the elements, if it holds fewer (or, for gzip, could
// not expand to as many) than its header claims; also for anything after the last element.
IdxArray read_idx(const std::string& path);

// The same from memory; `name` stands for the path in messages.
IdxArray parse_idx(const std::uint8_t* data, std::size_t size, const std::string& name);

// Writes a plain file, atomically: on IoError the file that was there is still whole. ValueError if
// `array` is not one that read_idx could return.
void write_idx(const std::string& path, const IdxArray& array);

}  // namespace striate
