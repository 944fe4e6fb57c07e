#pragma once
// DEFLATE (RFC 1951), written here so that reading MNIST's .gz files needs no library. Decoding
// never allocates: the caller owns the output and with it the limit, so a compressed bomb cannot
// make a reader take more memory than its caller granted.
#include <cstddef>
#include <cstdint>

namespace striate::io {

// DEFLATE's longest match, 258 bytes, costs at least two bits: no stream expands further.
constexpr std::size_t kMaxInflateRatio = 1032;

struct InflateResult {
  std::size_t consumed = 0;  // whole input bytes used; meaningful once `finished`
  std::size_t produced = 0;  // output bytes written
  bool finished = false;     // false: the output filled up before the stream ended
};

// Decodes one DEFLATE stream from the start of `in`. `out` doubles as the 32 KiB window. Throws
// FormatError if the stream is broken or cut short.
InflateResult inflate(const std::uint8_t* in, std::size_t in_size, std::uint8_t* out,
                      std::size_t out_size);

}  // namespace striate::io
