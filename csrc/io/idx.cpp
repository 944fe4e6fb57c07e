#include "striate/idx.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include "core/checked.h"
#include "io/atomic_file.h"
#include "io/byte_order.h"
#include "io/gzip.h"
#include "io/inflate.h"
#include "io/input_file.h"
#include "io/sizes.h"
#include "striate/error.h"

namespace striate {
namespace {

using io::is_gzip;

constexpr std::size_t kMaxRank = 8;
constexpr std::size_t kMaxHeader = 4 + 4 * kMaxRank;
constexpr bool kHostIsBigEndian = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;

struct Header {
  IdxArray array;  // without its bytes
  std::size_t header_size = 0;
  std::size_t payload_size = 0;
};

bool is_idx_type(unsigned code) { return (code >= 0x08 && code <= 0x0E) && code != 0x0A; }

// `head` is the start of the file, up to kMaxHeader bytes of it.
Header parse_header(const std::uint8_t* head, std::size_t size, const std::string& name) {
  if (size < 4) throw FormatError(name + ": too short for an IDX file");
  if (head[0] != 0 || head[1] != 0 || !is_idx_type(head[2]))
    throw FormatError(name +
                      ": not an IDX file: it should start with 0, 0, a type code and a rank");
  const std::size_t rank = head[3];
  if (rank < 1 || rank > kMaxRank)
    throw FormatError(name + ": IDX rank must be 1 to 8, got " + std::to_string(rank));
  Header h;
  h.array.type = static_cast<IdxType>(head[2]);
  h.header_size = 4 + 4 * rank;
  if (size < h.header_size) throw FormatError(name + ": the file ends inside its IDX header");
  for (std::size_t axis = 0; axis < rank; ++axis)
    h.array.shape.push_back(io::load_be32(head + 4 + 4 * axis));
  const auto payload = io::checked_bits(h.array.shape, 8 * idx_item_size(h.array.type));
  if (!payload) throw FormatError(name + ": IDX extents whose product overflows");
  h.payload_size = narrow<std::size_t>(*payload / 8);
  return h;
}

void check_payload(const Header& h, std::size_t actual, const std::string& name) {
  if (actual == h.payload_size) return;
  throw FormatError(name + ": the IDX header claims " + std::to_string(h.payload_size) +
                    " bytes of elements, the file has " + std::to_string(actual));
}

// Between the file's big-endian elements and the machine's; its own inverse.
void swap_from_big_endian(std::uint8_t* bytes, std::size_t size, IdxType type) {
  const auto item = static_cast<std::size_t>(idx_item_size(type));
  if (item == 1 || kHostIsBigEndian) return;
  for (std::size_t i = 0; i < size; i += item) std::reverse(bytes + i, bytes + i + item);
}

IdxArray parse_gzip(const std::uint8_t* data, std::size_t size, const std::string& name) {
  // Twice from the start: once for the header alone, then, knowing how much to expect, for all.
  std::array<std::uint8_t, kMaxHeader> head{};
  const io::GunzipResult start = io::gunzip(data, size, head.data(), head.size(), name);
  Header h = parse_header(head.data(), start.produced, name);
  const std::size_t total = h.header_size + h.payload_size;
  if (total / io::kMaxInflateRatio > size)
    throw FormatError(name + ": the IDX header claims " + std::to_string(total) +
                      " bytes, more than " + std::to_string(size) + " bytes of gzip can hold");
  std::vector<std::uint8_t>& bytes = h.array.bytes;
  bytes.resize(total);
  const io::GunzipResult all = io::gunzip(data, size, bytes.data(), total, name);
  if (!all.complete) throw FormatError(name + ": more bytes than the IDX header claims");
  check_payload(h, all.produced - h.header_size, name);
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(h.header_size));
  swap_from_big_endian(bytes.data(), bytes.size(), h.array.type);
  return std::move(h.array);
}

}  // namespace

std::int64_t idx_item_size(IdxType type) {
  switch (type) {
    case IdxType::kUint8:
    case IdxType::kInt8:
      return 1;
    case IdxType::kInt16:
      return 2;
    case IdxType::kInt32:
    case IdxType::kFloat32:
      return 4;
    case IdxType::kFloat64:
      return 8;
  }
  throw ValueError("unknown IDX type code " + std::to_string(static_cast<unsigned>(type)));
}

IdxArray parse_idx(const std::uint8_t* data, std::size_t size, const std::string& name) {
  if (is_gzip(data, size)) return parse_gzip(data, size, name);
  Header h = parse_header(data, size, name);
  check_payload(h, size - h.header_size, name);
  h.array.bytes.assign(data + h.header_size, data + size);
  swap_from_big_endian(h.array.bytes.data(), h.array.bytes.size(), h.array.type);
  return std::move(h.array);
}

IdxArray read_idx(const std::string& path) {
  io::InputFile file(path);
  std::array<std::uint8_t, kMaxHeader> head{};
  const std::size_t head_size = std::min(file.size(), head.size());
  file.read(head.data(), head_size);
  if (is_gzip(head.data(), head_size)) {
    std::vector<std::uint8_t> bytes(file.size());
    std::memcpy(bytes.data(), head.data(), head_size);
    file.read(bytes.data() + head_size, bytes.size() - head_size);
    return parse_gzip(bytes.data(), bytes.size(), path);
  }
  Header h = parse_header(head.data(), head_size, path);
  check_payload(h, file.size() - h.header_size, path);
  std::vector<std::uint8_t>& bytes = h.array.bytes;
  bytes.resize(h.payload_size);
  const std::size_t have = head_size - h.header_size;  // elements read along with the header
  if (have > 0) std::memcpy(bytes.data(), head.data() + h.header_size, have);
  file.read(bytes.data() + have, bytes.size() - have);
  swap_from_big_endian(bytes.data(), bytes.size(), h.array.type);
  return std::move(h.array);
}

void write_idx(const std::string& path, const IdxArray& array) {
  const auto code = static_cast<std::uint8_t>(array.type);
  if (!is_idx_type(code))
    throw ValueError(path + ": unknown IDX type code " + std::to_string(code));
  if (array.shape.empty() || array.shape.size() > kMaxRank)
    throw ValueError(path + ": IDX rank must be 1 to 8, got " + std::to_string(array.shape.size()));
  std::array<std::uint8_t, kMaxHeader> head{};
  head[2] = code;
  head[3] = static_cast<std::uint8_t>(array.shape.size());
  std::size_t head_size = 4;
  for (const std::int64_t extent : array.shape) {
    if (extent < 0 || extent > std::numeric_limits<std::uint32_t>::max())
      throw ValueError(path + ": IDX extents must be 0 to 2^32 - 1, got " + std::to_string(extent));
    io::store_be32(head.data() + head_size, static_cast<std::uint32_t>(extent));
    head_size += 4;
  }
  const auto bits = io::checked_bits(array.shape, 8 * idx_item_size(array.type));
  if (!bits || narrow<std::size_t>(*bits / 8) != array.bytes.size())
    throw ValueError(path + ": the IDX array's shape needs other than its " +
                     std::to_string(array.bytes.size()) + " bytes");

  io::AtomicFile file(path);
  file.write(head.data(), head_size);
  std::vector<std::uint8_t> block;  // swapped a block at a time, to spare a copy of the array
  constexpr std::size_t kBlock = std::size_t{1} << 16;
  for (std::size_t at = 0; at < array.bytes.size(); at += kBlock) {
    const std::size_t n = std::min(kBlock, array.bytes.size() - at);
    const auto first = array.bytes.begin() + static_cast<std::ptrdiff_t>(at);
    block.assign(first, first + static_cast<std::ptrdiff_t>(n));
    swap_from_big_endian(block.data(), n, array.type);
    file.write(block.data(), n);
  }
  file.commit();
}

}  // namespace striate
