#include "io/huffman.h"

#include <algorithm>

#include "striate/error.h"

namespace striate::io {
namespace {

using LengthCounts = std::array<unsigned, kMaxCodeLength + 1>;

// DEFLATE packs codes from their most significant bit into a stream read from the least.
unsigned reversed(unsigned code, unsigned length) {
  unsigned r = 0;
  for (unsigned i = 0; i < length; ++i) r |= ((code >> i) & 1U) << (length - 1 - i);
  return r;
}

// Returns whether the code is complete.
bool check_prefix_code(const LengthCounts& counts, unsigned longest, bool may_be_incomplete) {
  int unused = 1;  // codes of the current length that no shorter code begins
  for (unsigned length = 1; length <= kMaxCodeLength; ++length) {
    unused = unused * 2 - static_cast<int>(counts[length]);
    if (unused < 0) throw FormatError("DEFLATE: more Huffman codes than their lengths allow");
  }
  if (unused > 0 && (!may_be_incomplete || longest > 1))
    throw FormatError("DEFLATE: incomplete Huffman code");
  return unused == 0;
}

}  // namespace

void build_huffman(const std::uint8_t* lengths, std::size_t count, const std::uint32_t* symbols,
                   unsigned primary_bits, bool may_be_incomplete, std::uint32_t* entries) {
  LengthCounts counts{};
  unsigned longest = 0;
  for (std::size_t i = 0; i < count; ++i) {
    if (lengths[i] == 0) continue;
    ++counts[lengths[i]];
    longest = std::max(longest, unsigned{lengths[i]});
  }
  const unsigned primary_size = 1U << primary_bits;
  if (!check_prefix_code(counts, longest, may_be_incomplete))
    std::fill_n(entries, primary_size, kEntryInvalid | 1U);

  std::array<unsigned, kMaxCodeLength + 2> next_code{};
  for (unsigned length = 1; length <= longest; ++length)
    next_code[length + 1] = (next_code[length] + counts[length]) << 1;

  // All subtables have the width of the longest code: simpler than fitting each, and in bounds.
  const unsigned width = longest > primary_bits ? longest - primary_bits : 0;
  if (width > 0) std::fill_n(entries, primary_size, 0U);
  unsigned next_subtable = primary_size;
  for (std::size_t i = 0; i < count; ++i) {
    const unsigned length = lengths[i];
    if (length == 0) continue;
    const unsigned code = reversed(next_code[length]++, length);
    if (length <= primary_bits) {
      for (unsigned slot = code; slot < primary_size; slot += 1U << length)
        entries[slot] = symbols[i] | length;
      continue;
    }
    std::uint32_t& link = entries[code & (primary_size - 1)];
    if (link == 0) {
      link = (next_subtable << 16) | kEntryLink | (width << 8) | primary_bits;
      next_subtable += 1U << width;
    }
    const unsigned rest = length - primary_bits;
    for (unsigned slot = code >> primary_bits; slot < (1U << width); slot += 1U << rest)
      entries[entry_value(link) + slot] = symbols[i] | rest;
  }
}

}  // namespace striate::io
