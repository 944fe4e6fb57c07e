#pragma once
// gzip files (RFC 1952): any number of members, each with its CRC-32 and length checked.
#include <cstddef>
#include <cstdint>
#include <string>

namespace striate::io {

bool is_gzip(const std::uint8_t* data, std::size_t size);

struct GunzipResult {
  std::size_t produced = 0;
  bool complete = false;  // false: `out` filled up first, and nothing was checked past that point
};

// Decodes the file from its start into `out`, at most `out_size` bytes. Throws FormatError, naming
// `name`, for broken data, a wrong checksum, or bytes that belong to no member.
GunzipResult gunzip(const std::uint8_t* data, std::size_t size, std::uint8_t* out,
                    std::size_t out_size, const std::string& name);

}  // namespace striate::io
