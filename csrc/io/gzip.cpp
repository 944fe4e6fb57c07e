#include "io/gzip.h"

#include "io/byte_order.h"
#include "io/crc32.h"
#include "io/inflate.h"
#include "striate/error.h"

namespace striate::io {
namespace {

constexpr unsigned kHeaderCrc = 1U << 1;
constexpr unsigned kExtra = 1U << 2;
constexpr unsigned kName = 1U << 3;
constexpr unsigned kComment = 1U << 4;
constexpr unsigned kReserved = 0xE0;
constexpr std::size_t kFixedHeader = 10;
constexpr std::size_t kTrailer = 8;

// A position that can only move forward, and throws rather than pass the end.
class Cursor {
 public:
  Cursor(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  std::size_t at() const { return at_; }
  std::size_t left() const { return size_ - at_; }
  const std::uint8_t* here() const { return data_ + at_; }
  const std::uint8_t* advance(std::size_t n) {
    if (n > left()) throw FormatError("gzip: the file is cut short");
    const std::uint8_t* p = here();
    at_ += n;
    return p;
  }
  void skip_string() {
    while (*advance(1) != 0) {
    }
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
  std::size_t at_ = 0;
};

void skip_member_header(Cursor& c) {
  const std::uint8_t* start = c.here();
  const std::size_t start_at = c.at();
  const std::uint8_t* h = c.advance(kFixedHeader);
  if (h[0] != 0x1F || h[1] != 0x8B)
    throw FormatError("gzip: bytes after the last member that are not gzip");
  if (h[2] != 8) throw FormatError("gzip: unknown compression method " + std::to_string(h[2]));
  const unsigned flags = h[3];
  if ((flags & kReserved) != 0) throw FormatError("gzip: reserved flags are set");
  if ((flags & kExtra) != 0) c.advance(load_le16(c.advance(2)));
  if ((flags & kName) != 0) c.skip_string();
  if ((flags & kComment) != 0) c.skip_string();
  if ((flags & kHeaderCrc) != 0) {
    const std::uint32_t actual = crc32(0, start, c.at() - start_at) & 0xFFFF;
    if (load_le16(c.advance(2)) != actual) throw FormatError("gzip: header checksum is wrong");
  }
}

GunzipResult gunzip_members(const std::uint8_t* data, std::size_t size, std::uint8_t* out,
                            std::size_t out_size) {
  GunzipResult result;
  Cursor c(data, size);
  do {
    skip_member_header(c);
    std::uint8_t* member = out + result.produced;
    const InflateResult r = inflate(c.here(), c.left(), member, out_size - result.produced);
    result.produced += r.produced;
    if (!r.finished) return result;
    c.advance(r.consumed);
    const std::uint8_t* trailer = c.advance(kTrailer);
    if (load_le32(trailer) != crc32(0, member, r.produced))
      throw FormatError("gzip: checksum is wrong: the file is damaged");
    if (load_le32(trailer + 4) != static_cast<std::uint32_t>(r.produced))
      throw FormatError("gzip: length is wrong: the file is damaged");
  } while (c.left() > 0);
  result.complete = true;
  return result;
}

}  // namespace

bool is_gzip(const std::uint8_t* data, std::size_t size) {
  return size >= 2 && data[0] == 0x1F && data[1] == 0x8B;
}

GunzipResult gunzip(const std::uint8_t* data, std::size_t size, std::uint8_t* out,
                    std::size_t out_size, const std::string& name) {
  try {
    return gunzip_members(data, size, out, out_size);
  } catch (const FormatError& e) {
    throw FormatError(name + ": " + e.what());
  }
}

}  // namespace striate::io
