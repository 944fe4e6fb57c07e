#pragma once
// Huffman decoding tables for inflate.cpp. A lookup by the next kPrimaryBits bits answers at once
// for short codes; longer ones go through one subtable. An entry is one 32-bit word:
//   bits 0-7   bits to drop: the code's length, in a subtable what is left of it
//   bits 8-11  extra bits that follow a length or distance code; of a link, its subtable's width
//   bits 12-15 what it is; none of these for a length, a distance or a code length
//   bits 16-31 the literal, the base of the length or distance, or where the subtable starts
#include <array>
#include <cstddef>
#include <cstdint>

namespace striate::io {

constexpr std::uint32_t kEntryLiteral = 1U << 12;
constexpr std::uint32_t kEntryEnd = 1U << 13;
constexpr std::uint32_t kEntryLink = 1U << 14;
constexpr std::uint32_t kEntryInvalid = 1U << 15;  // no code starts with these bits

inline std::uint32_t entry_bits(std::uint32_t e) { return e & 0xFF; }
inline std::uint32_t entry_extra(std::uint32_t e) { return (e >> 8) & 0xF; }
inline std::uint32_t entry_value(std::uint32_t e) { return e >> 16; }

constexpr unsigned kMaxCodeLength = 15;

// Room for every complete code: a subtable holds at least two symbols, so there are at most
// kSymbols / 2 of them, none wider than kMaxCodeLength - kBits.
template <unsigned kBits, std::size_t kSymbols>
struct HuffmanTable {
  static constexpr unsigned kPrimaryBits = kBits;
  std::array<std::uint32_t,
             (std::size_t{1} << kBits) + ((kSymbols / 2) << (kMaxCodeLength - kBits))>
      entries;
};
using LiteralTable = HuffmanTable<11, 288>;
using DistanceTable = HuffmanTable<9, 32>;
using CodeLengthTable = HuffmanTable<7, 19>;

// Fills `entries` for canonical code lengths (0: unused); `symbols[i]` is the entry of symbol i
// without its bits. Throws FormatError if the lengths are no prefix code. An incomplete code passes
// only where `may_be_incomplete`, and only if it is empty or a single code of one bit: that is what
// encoders write for a block with no distance or only one, and what zlib takes.
void build_huffman(const std::uint8_t* lengths, std::size_t count, const std::uint32_t* symbols,
                   unsigned primary_bits, bool may_be_incomplete, std::uint32_t* entries);

}  // namespace striate::io
