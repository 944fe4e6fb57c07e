#include "io/inflate.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "io/byte_order.h"
#include "io/huffman.h"
#include "striate/error.h"

namespace striate::io {
namespace {

constexpr std::size_t kLiteralSymbols = 288;  // 286 and 287 have codes but must not occur
constexpr std::size_t kDistanceSymbols = 32;  // likewise 30 and 31
constexpr std::size_t kEndOfBlock = 256;

constexpr std::uint32_t symbol_entry(unsigned base, unsigned extra) {
  return (base << 16) | (extra << 8);
}

constexpr std::array<std::uint32_t, kLiteralSymbols> literal_symbols() {
  std::array<std::uint32_t, kLiteralSymbols> s{};
  for (unsigned i = 0; i < 256; ++i) s[i] = symbol_entry(i, 0) | kEntryLiteral;
  s[kEndOfBlock] = kEntryEnd;
  unsigned base = 3;
  for (unsigned i = 257; i < 285; ++i) {
    const unsigned extra = i < 265 ? 0 : (i - 261) / 4;
    s[i] = symbol_entry(base, extra);
    base += 1U << extra;
  }
  s[285] = symbol_entry(258, 0);
  s[286] = s[287] = kEntryInvalid;
  return s;
}

constexpr std::array<std::uint32_t, kDistanceSymbols> distance_symbols() {
  std::array<std::uint32_t, kDistanceSymbols> s{};
  unsigned base = 1;
  for (unsigned i = 0; i < 30; ++i) {
    const unsigned extra = i < 4 ? 0 : i / 2 - 1;
    s[i] = symbol_entry(base, extra);
    base += 1U << extra;
  }
  s[30] = s[31] = kEntryInvalid;
  return s;
}

constexpr std::array<std::uint32_t, 19> code_length_symbols() {
  std::array<std::uint32_t, 19> s{};
  for (unsigned i = 0; i < 19; ++i) s[i] = symbol_entry(i, 0);
  return s;
}

constexpr auto kLiteralEntries = literal_symbols();
constexpr auto kDistanceEntries = distance_symbols();
constexpr auto kCodeLengthEntries = code_length_symbols();

struct BlockTables {
  LiteralTable literals;
  DistanceTable distances;
};

BlockTables make_fixed_tables() {
  std::array<std::uint8_t, kLiteralSymbols> literal{};
  for (std::size_t i = 0; i < kLiteralSymbols; ++i)
    literal[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  std::array<std::uint8_t, kDistanceSymbols> distance{};
  distance.fill(5);
  BlockTables t;
  build_huffman(literal.data(), literal.size(), kLiteralEntries.data(), LiteralTable::kPrimaryBits,
                false, t.literals.entries.data());
  build_huffman(distance.data(), distance.size(), kDistanceEntries.data(),
                DistanceTable::kPrimaryBits, false, t.distances.entries.data());
  return t;
}

// Bits in the order of the stream, least significant first. Past the end of the input it supplies
// zeros and counts them, so that decoding needs one check a symbol, not one a bit.
class BitReader {
 public:
  BitReader(const std::uint8_t* in, std::size_t size) : begin_(in), next_(in), end_(in + size) {}

  // Enough input for two fast refills.
  bool has_fast_input() const { return end_ - next_ >= 16; }

  // Makes at least 56 bits available. Bits above `count_` may already hold the next byte's; OR-ing
  // the same byte over them again changes nothing, which is what makes this branch-free.
  void refill_fast() {
    bits_ |= load_le64(next_) << count_;
    next_ += (63 - count_) >> 3;
    count_ |= 56;
  }

  void refill() {
    for (; count_ < 56; count_ += 8) {
      if (next_ < end_)
        bits_ |= std::uint64_t{*next_++} << count_;
      else
        ++invented_bytes_;
    }
  }

  std::uint64_t peek(unsigned n) const { return bits_ & ((std::uint64_t{1} << n) - 1); }
  void drop(unsigned n) {
    bits_ >>= n;
    count_ -= n;
  }
  unsigned take(unsigned n) {
    const auto v = static_cast<unsigned>(peek(n));
    drop(n);
    return v;
  }

  template <typename Table>
  std::uint32_t decode(const Table& table) {
    std::uint32_t e = table.entries[peek(Table::kPrimaryBits)];
    if ((e & kEntryLink) != 0) {
      drop(Table::kPrimaryBits);
      e = table.entries[entry_value(e) + peek(entry_extra(e))];
    }
    drop(entry_bits(e));
    return e;
  }

  // Throws once bits were used that the input does not have.
  void check_not_past_end() const {
    if (invented_bytes_ > count_ / 8) throw FormatError("DEFLATE: the stream is cut short");
  }

  // Skips to a byte boundary and forgets what was read ahead. Only after check_not_past_end().
  void align() {
    next_ = begin_ + consumed();
    bits_ = count_ = invented_bytes_ = 0;
  }
  std::size_t consumed() const {
    return static_cast<std::size_t>(next_ - begin_) + invented_bytes_ - count_ / 8;
  }
  const std::uint8_t* bytes() const { return next_; }
  std::size_t bytes_left() const { return static_cast<std::size_t>(end_ - next_); }
  void skip_bytes(std::size_t n) { next_ += n; }

 private:
  const std::uint8_t* begin_;
  const std::uint8_t* next_;
  const std::uint8_t* end_;
  std::uint64_t bits_ = 0;
  unsigned count_ = 0;
  unsigned invented_bytes_ = 0;
};

// Each block decoder returns false if the output filled up first.
class Inflater {
 public:
  Inflater(const std::uint8_t* in, std::size_t in_size, std::uint8_t* out, std::size_t out_size)
      : reader_(in, in_size), begin_(out), out_(out), end_(out + out_size) {}

  InflateResult run();

 private:
  enum class Step { kMore, kBlockEnd, kOutputFull };

  bool stored_block();
  bool dynamic_block();
  bool compressed_block(const BlockTables& tables);
  Step decode_fast(const BlockTables& tables);
  Step decode_one(const BlockTables& tables);
  void read_code_lengths(std::uint8_t* lengths, std::size_t count);
  // `produced` of the output precedes the match.
  static void check_distance(std::uint32_t entry, std::size_t distance, std::ptrdiff_t produced) {
    if ((entry & kEntryInvalid) != 0 || distance > static_cast<std::size_t>(produced))
      throw FormatError("DEFLATE: a match reaches before the start of the data");
  }

  BitReader reader_;
  std::uint8_t* begin_;
  std::uint8_t* out_;
  std::uint8_t* end_;
};

InflateResult Inflater::run() {
  static const BlockTables kFixed = make_fixed_tables();
  bool fits = true;
  for (bool last = false; fits && !last;) {
    reader_.refill();
    last = reader_.take(1) != 0;
    const unsigned type = reader_.take(2);
    reader_.check_not_past_end();
    switch (type) {
      case 0:
        fits = stored_block();
        break;
      case 1:
        fits = compressed_block(kFixed);
        break;
      case 2:
        fits = dynamic_block();
        break;
      default:
        throw FormatError("DEFLATE: unknown block type 3");
    }
  }
  return {fits ? reader_.consumed() : 0, static_cast<std::size_t>(out_ - begin_), fits};
}

bool Inflater::stored_block() {
  reader_.align();
  if (reader_.bytes_left() < 4) throw FormatError("DEFLATE: the stream is cut short");
  const std::uint32_t length = load_le16(reader_.bytes());
  if (length != (load_le16(reader_.bytes() + 2) ^ 0xFFFF))
    throw FormatError("DEFLATE: a stored block's length and its complement disagree");
  reader_.skip_bytes(4);
  if (reader_.bytes_left() < length) throw FormatError("DEFLATE: the stream is cut short");
  const std::size_t room = static_cast<std::size_t>(end_ - out_);
  const std::size_t n = std::min<std::size_t>(length, room);
  if (n > 0) std::memcpy(out_, reader_.bytes(), n);
  out_ += n;
  reader_.skip_bytes(n);
  return n == length;
}

void Inflater::read_code_lengths(std::uint8_t* lengths, std::size_t count) {
  static constexpr std::array<std::uint8_t, 19> kOrder{16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                                       11, 4,  12, 3, 13, 2, 14, 1, 15};
  const std::size_t given = reader_.take(4) + 4;
  std::array<std::uint8_t, 19> code_lengths{};
  for (std::size_t i = 0; i < given; ++i) {
    reader_.refill();
    code_lengths[kOrder[i]] = static_cast<std::uint8_t>(reader_.take(3));
  }
  reader_.check_not_past_end();
  CodeLengthTable table;
  build_huffman(code_lengths.data(), code_lengths.size(), kCodeLengthEntries.data(),
                CodeLengthTable::kPrimaryBits, false, table.entries.data());
  for (std::size_t i = 0; i < count;) {
    reader_.refill();
    const auto symbol = static_cast<std::uint8_t>(entry_value(reader_.decode(table)));
    std::uint8_t value = 0;
    std::size_t repeat = 1;
    if (symbol < 16) {
      value = symbol;
    } else if (symbol == 16) {
      if (i == 0) throw FormatError("DEFLATE: a repeat of no code length");
      value = lengths[i - 1];
      repeat = reader_.take(2) + 3;
    } else {
      repeat = symbol == 17 ? reader_.take(3) + 3 : reader_.take(7) + 11;
    }
    reader_.check_not_past_end();
    if (repeat > count - i) throw FormatError("DEFLATE: too many code lengths");
    std::fill_n(lengths + i, repeat, value);
    i += repeat;
  }
}

bool Inflater::dynamic_block() {
  reader_.refill();
  const std::size_t literals = reader_.take(5) + 257;
  const std::size_t distances = reader_.take(5) + 1;
  if (literals > 286 || distances > 30) throw FormatError("DEFLATE: too many symbols in a block");
  std::array<std::uint8_t, 286 + 30> lengths{};
  read_code_lengths(lengths.data(), literals + distances);
  if (lengths[kEndOfBlock] == 0) throw FormatError("DEFLATE: a block that cannot end");
  BlockTables tables;
  build_huffman(lengths.data(), literals, kLiteralEntries.data(), LiteralTable::kPrimaryBits, true,
                tables.literals.entries.data());
  build_huffman(lengths.data() + literals, distances, kDistanceEntries.data(),
                DistanceTable::kPrimaryBits, true, tables.distances.entries.data());
  return compressed_block(tables);
}

bool Inflater::compressed_block(const BlockTables& tables) {
  Step step = decode_fast(tables);
  while (step == Step::kMore) step = decode_one(tables);
  return step == Step::kBlockEnd;
}

// Runs while no check of room is needed inside an iteration: it reads at most 16 bytes, and writes
// at most two literals and a match of 258 bytes whose copy may overshoot by seven.
Inflater::Step Inflater::decode_fast(const BlockTables& tables) {
  constexpr std::ptrdiff_t kRoom = 2 + 258 + 7;
  BitReader reader = reader_;  // copies, so that the compiler may keep them in registers
  std::uint8_t* out = out_;
  Step step = Step::kMore;
  while (reader.has_fast_input() && end_ - out >= kRoom) {
    reader.refill_fast();
    std::uint32_t e = reader.decode(tables.literals);
    for (int i = 0; i < 2 && (e & kEntryLiteral) != 0; ++i) {
      *out++ = static_cast<std::uint8_t>(entry_value(e));
      e = reader.decode(tables.literals);
    }
    if ((e & kEntryLiteral) != 0) {
      *out++ = static_cast<std::uint8_t>(entry_value(e));
      continue;
    }
    if ((e & (kEntryEnd | kEntryInvalid)) != 0) {
      if ((e & kEntryInvalid) != 0) throw FormatError("DEFLATE: invalid length code");
      step = Step::kBlockEnd;
      break;
    }
    reader.refill_fast();  // three codes took up to 45 of the 56 bits; a match may need 33
    const std::size_t length = entry_value(e) + reader.take(entry_extra(e));
    const std::uint32_t d = reader.decode(tables.distances);
    const std::size_t distance = entry_value(d) + reader.take(entry_extra(d));
    check_distance(d, distance, out - begin_);
    const std::uint8_t* from = out - distance;
    if (distance >= 8) {
      for (std::size_t i = 0; i < length; i += 8) std::memcpy(out + i, from + i, 8);
    } else if (distance == 1) {
      std::memset(out, *from, length);
    } else {
      for (std::size_t i = 0; i < length; ++i) out[i] = from[i];
    }
    out += length;
  }
  reader_ = reader;
  out_ = out;
  return step;
}

// One symbol, with every check: near the end of the input or of the output.
Inflater::Step Inflater::decode_one(const BlockTables& tables) {
  reader_.refill();
  const std::uint32_t e = reader_.decode(tables.literals);
  reader_.check_not_past_end();
  const auto room = static_cast<std::size_t>(end_ - out_);
  if ((e & kEntryLiteral) != 0) {
    if (room == 0) return Step::kOutputFull;
    *out_++ = static_cast<std::uint8_t>(entry_value(e));
    return Step::kMore;
  }
  if ((e & kEntryInvalid) != 0) throw FormatError("DEFLATE: invalid length code");
  if ((e & kEntryEnd) != 0) return Step::kBlockEnd;
  const std::size_t length = entry_value(e) + reader_.take(entry_extra(e));
  const std::uint32_t d = reader_.decode(tables.distances);
  const std::size_t distance = entry_value(d) + reader_.take(entry_extra(d));
  reader_.check_not_past_end();
  check_distance(d, distance, out_ - begin_);
  const std::size_t n = std::min(length, room);
  for (std::size_t i = 0; i < n; ++i, ++out_) *out_ = *(out_ - distance);
  return n == length ? Step::kMore : Step::kOutputFull;
}

}  // namespace

InflateResult inflate(const std::uint8_t* in, std::size_t in_size, std::uint8_t* out,
                      std::size_t out_size) {
  return Inflater(in, in_size, out, out_size).run();
}

}  // namespace striate::io
