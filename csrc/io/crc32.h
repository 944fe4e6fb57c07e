#pragma once
// The CRC-32 of gzip and PNG (RFC 1952: reflected polynomial 0xEDB88320).
#include <cstddef>
#include <cstdint>

namespace striate::io {

// Continues from `crc`; the first call passes 0.
std::uint32_t crc32(std::uint32_t crc, const std::uint8_t* data, std::size_t size);

}  // namespace striate::io
