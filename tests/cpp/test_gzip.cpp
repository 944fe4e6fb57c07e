// Compressed IDX files: gzip's header and trailer, DEFLATE's block types, damage, and bombs.
#include <gtest/gtest.h>

#include <cstdlib>

#include "io/crc32.h"
#include "io/gzip.h"
#include "io/inflate.h"
#include "io_testing.h"
#include "striate/idx.h"

namespace striate {
namespace {

using testing::Bytes;
using testing::TempDir;

// Made by zlib at level 9, once with its own choice (a dynamic block), once with Z_FIXED. Both hold
// the uint8 IDX array [16, 40] with element (r, c) = r * c % 5 * 10 + c % 3.
const Bytes kDynamic{0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xcf, 0x31,
                     0x0e, 0xc4, 0x30, 0x08, 0x44, 0xd1, 0x81, 0x2a, 0x02, 0x17, 0x29, 0x80, 0xd2,
                     0x76, 0x09, 0xbe, 0xff, 0x01, 0x77, 0x2f, 0x80, 0x94, 0x36, 0x52, 0xa4, 0x99,
                     0xe2, 0x95, 0x1f, 0xb8, 0x18, 0xc0, 0xfd, 0x7f, 0x82, 0xf8, 0xd1, 0xa0, 0x31,
                     0x8b, 0xc5, 0x77, 0xd2, 0xb0, 0x75, 0x5a, 0xc2, 0x8f, 0x2c, 0xb6, 0x1a, 0x93,
                     0x22, 0x75, 0xb7, 0xc4, 0x1a, 0xe9, 0x3c, 0xf5, 0x18, 0x6d, 0xa9, 0x68, 0x89,
                     0xda, 0xa6, 0x9c, 0x2b, 0x84, 0xce, 0xf4, 0xd1, 0xf2, 0xeb, 0x78, 0x67, 0xc7,
                     0x0f, 0xe4, 0xbf, 0x4f, 0x98, 0x8c, 0x02, 0x00, 0x00};
const Bytes kFixed{
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x63, 0x60, 0xe0, 0x60, 0x62, 0x60,
    0x60, 0x10, 0x00, 0x62, 0x0d, 0x06, 0x46, 0x26, 0xa2, 0x10, 0x03, 0xb7, 0x98, 0x9c, 0x26, 0x13,
    0x97, 0xa8, 0x82, 0x06, 0x23, 0x8f, 0x88, 0xbc, 0x16, 0x4e, 0x2e, 0x83, 0xa8, 0x16, 0x97, 0x3c,
    0x93, 0x88, 0x26, 0x8f, 0x1c, 0xa3, 0x98, 0x06, 0xb7, 0x02, 0x4e, 0x2e, 0x83, 0x3c, 0x8f, 0x86,
    0x28, 0x93, 0x1c, 0xb7, 0x96, 0x08, 0xa3, 0x02, 0x97, 0xa6, 0x18, 0x4e, 0x2e, 0x83, 0xa6, 0x82,
    0x08, 0x37, 0x93, 0x86, 0xbc, 0x18, 0x17, 0xa3, 0x96, 0x9c, 0x28, 0x0f, 0x4e, 0xee, 0xa8, 0x3f,
    0x86, 0xa6, 0x3f, 0x00, 0xe4, 0xbf, 0x4f, 0x98, 0x8c, 0x02, 0x00, 0x00};

// DEFLATE's bit order, for making streams by hand.
class BitWriter {
 public:
  BitWriter& bits(unsigned value, int n) {  // least significant first: everything but codes
    for (int i = 0; i < n; ++i) put((value >> i) & 1);
    return *this;
  }
  BitWriter& code(unsigned value, int n) {  // most significant first: Huffman codes
    for (int i = n - 1; i >= 0; --i) put((value >> i) & 1);
    return *this;
  }
  BitWriter& fixed_literal(unsigned byte) {
    return byte < 144 ? code(0x30 + byte, 8) : code(0x190 + byte - 144, 9);
  }
  BitWriter& fixed_end() { return code(0, 7); }
  Bytes bytes() const { return bytes_; }

 private:
  void put(unsigned bit) {
    if (used_ % 8 == 0) bytes_.push_back(0);
    if (bit != 0) bytes_.back() |= static_cast<std::uint8_t>(1U << (used_ % 8));
    ++used_;
  }
  Bytes bytes_;
  std::size_t used_ = 0;
};

void append(Bytes& to, const Bytes& from) { to.insert(to.end(), from.begin(), from.end()); }

Bytes stored_blocks(const Bytes& data, std::size_t block = 65535) {
  Bytes out;
  std::size_t at = 0;
  do {
    const std::size_t n = std::min(block, data.size() - at);
    out.push_back(at + n == data.size() ? 1 : 0);
    for (const std::size_t v : {n, n ^ 0xFFFF}) {
      out.push_back(static_cast<std::uint8_t>(v));
      out.push_back(static_cast<std::uint8_t>(v >> 8));
    }
    const auto first = data.begin() + static_cast<std::ptrdiff_t>(at);
    out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(n));
    at += n;
  } while (at < data.size());
  return out;
}

Bytes fixed_block(const Bytes& data) {
  BitWriter w;
  w.bits(1, 1).bits(1, 2);
  for (const std::uint8_t b : data) w.fixed_literal(b);
  return w.fixed_end().bytes();
}

Bytes le32(std::size_t v) {
  Bytes b;
  for (int shift = 0; shift < 32; shift += 8) b.push_back(static_cast<std::uint8_t>(v >> shift));
  return b;
}

Bytes member(const Bytes& deflated, const Bytes& data, std::uint8_t flags = 0,
             const Bytes& fields = {}) {
  Bytes out{0x1F, 0x8B, 8, flags, 0, 0, 0, 0, 0, 255};
  append(out, fields);
  append(out, deflated);
  append(out, le32(io::crc32(0, data.data(), data.size())));
  append(out, le32(data.size()));
  return out;
}

Bytes small_idx() { return {0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 200, 201, 202}; }
const Bytes kSmallElements{1, 2, 3, 200, 201, 202};

IdxArray parse(const Bytes& b) { return parse_idx(b.data(), b.size(), "test"); }

TEST(Gzip, Crc32KnownValues) {
  const std::string check = "123456789";
  const auto* p = reinterpret_cast<const std::uint8_t*>(check.data());
  EXPECT_EQ(io::crc32(0, p, 9), 0xCBF43926U);
  EXPECT_EQ(io::crc32(io::crc32(0, p, 4), p + 4, 5), 0xCBF43926U);
  EXPECT_EQ(io::crc32(0, p, 0), 0U);
}

TEST(Gzip, StoredAndFixedBlocks) {
  const Bytes data = small_idx();
  for (const Bytes& deflated : {stored_blocks(data), stored_blocks(data, 1), fixed_block(data)}) {
    const IdxArray a = parse(member(deflated, data));
    EXPECT_EQ(a.bytes, kSmallElements);
    EXPECT_EQ(a.shape, (std::vector<std::int64_t>{2, 3}));
  }
}

TEST(Gzip, BlocksMadeByZlib) {
  for (const Bytes& file : {kDynamic, kFixed}) {
    const IdxArray a = parse(file);
    ASSERT_EQ(a.shape, (std::vector<std::int64_t>{16, 40}));
    for (std::size_t r = 0; r < 16; ++r)
      for (std::size_t c = 0; c < 40; ++c)
        ASSERT_EQ(a.bytes[r * 40 + c], r * c % 5 * 10 + c % 3) << r << ", " << c;
  }
}

TEST(Gzip, OptionalHeaderFields) {
  const Bytes data = small_idx();
  const Bytes deflated = fixed_block(data);
  const Bytes extra{3, 0, 'a', 'b', 'c'};
  const Bytes name{'n', 0};
  EXPECT_EQ(parse(member(deflated, data, 0x04, extra)).bytes, kSmallElements);
  EXPECT_EQ(parse(member(deflated, data, 0x08, name)).bytes, kSmallElements);
  EXPECT_EQ(parse(member(deflated, data, 0x10, name)).bytes, kSmallElements);
  EXPECT_EQ(parse(member(deflated, data, 0x01)).bytes, kSmallElements);
  Bytes all = extra;
  append(all, name);
  append(all, name);
  Bytes head{0x1F, 0x8B, 8, 0x1E, 0, 0, 0, 0, 0, 255};
  append(head, all);
  const std::uint32_t crc = io::crc32(0, head.data(), head.size());
  all.push_back(static_cast<std::uint8_t>(crc));
  all.push_back(static_cast<std::uint8_t>(crc >> 8));
  EXPECT_EQ(parse(member(deflated, data, 0x1E, all)).bytes, kSmallElements);
  all.back() ^= 1;
  EXPECT_THROW(parse(member(deflated, data, 0x1E, all)), FormatError);
  EXPECT_THROW(parse(member(deflated, data, 0x20)), FormatError);  // reserved
  EXPECT_THROW(parse(member({}, {}, 0x04, {0xFF, 0xFF})), FormatError);
  EXPECT_THROW(parse({0x1F, 0x8B, 8, 0x08, 0, 0, 0, 0, 0, 255, 'n', 'o', 'e', 'n', 'd'}),
               FormatError);
}

TEST(Gzip, SeveralMembers) {
  const Bytes data = small_idx();
  for (std::size_t cut = 0; cut <= data.size(); ++cut) {
    const auto middle = data.begin() + static_cast<std::ptrdiff_t>(cut);
    const Bytes a(data.begin(), middle);
    const Bytes b(middle, data.end());
    Bytes file = member(fixed_block(a), a);
    append(file, member(stored_blocks(b), b));
    EXPECT_EQ(parse(file).bytes, kSmallElements) << cut;
    append(file, member(fixed_block({}), {}));
    EXPECT_EQ(parse(file).bytes, kSmallElements) << cut;
    append(file, member(fixed_block({7}), {7}));
    EXPECT_THROW(parse(file), FormatError) << cut;
  }
}

TEST(Gzip, TrailingBytes) {
  const Bytes data = small_idx();
  for (const Bytes& tail : {Bytes{0}, Bytes{0x1F}, Bytes(10, 0), Bytes{'P', 'K', 3, 4}, kDynamic}) {
    Bytes file = member(fixed_block(data), data);
    append(file, tail);
    EXPECT_THROW(parse(file), FormatError);
  }
}

TEST(Gzip, TruncationAtEveryByte) {
  for (const Bytes& whole : {kDynamic, kFixed, member(stored_blocks(small_idx()), small_idx())})
    for (std::size_t n = 0; n < whole.size(); ++n)
      EXPECT_THROW(parse(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n))),
                   FormatError)
          << n;
}

TEST(Gzip, EveryBitFlipped) {
  for (const Bytes& whole : {kDynamic, kFixed, member(stored_blocks(small_idx()), small_idx())}) {
    const Bytes elements = parse(whole).bytes;
    for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
      Bytes b = whole;
      b[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
      try {
        EXPECT_EQ(parse(b).bytes, elements) << bit;  // the time stamp, or padding: no harm done
      } catch (const FormatError&) {
      }
    }
  }
}

TEST(Gzip, EvilStreams) {
  const auto inflate_all = [](const Bytes& in, std::size_t room) {
    Bytes out(room);
    return io::inflate(in.data(), in.size(), out.data(), out.size());
  };
  const auto start = [](unsigned type) { return BitWriter().bits(1, 1).bits(type, 2); };
  BitWriter unused_length = start(1);
  unused_length.code(0xC6, 8);  // symbol 286
  BitWriter too_far = start(1);
  too_far.fixed_literal(1).code(1, 7).code(1, 5);  // length 3, distance 2, after one byte
  BitWriter unused_distance = start(1);
  unused_distance.fixed_literal(1).code(1, 7).code(30, 5);
  BitWriter many_literals = start(2);
  many_literals.bits(30, 5).bits(0, 5).bits(0, 4).bits(0, 32).bits(0, 32);
  BitWriter many_distances = start(2);
  many_distances.bits(0, 5).bits(30, 5).bits(0, 4).bits(0, 32).bits(0, 32);
  BitWriter no_code = start(2);  // code lengths all 0
  no_code.bits(0, 5).bits(0, 5).bits(0, 4).bits(0, 12).bits(0, 32);
  BitWriter over_full = start(2);  // four code lengths of one bit
  over_full.bits(0, 5).bits(0, 5).bits(0, 4).bits(1, 3).bits(1, 3).bits(1, 3).bits(1, 3);
  over_full.bits(0, 32);
  BitWriter repeat_nothing = start(2);  // one-bit codes for 16 and 17, and 16 comes first
  repeat_nothing.bits(0, 5).bits(0, 5).bits(0, 4).bits(1, 3).bits(1, 3).bits(0, 3).bits(0, 3);
  repeat_nothing.code(0, 1).bits(0, 32);
  BitWriter repeat_past_end = start(2);  // one-bit codes for 0 and 18: 138 zeros twice are 276
  repeat_past_end.bits(0, 5).bits(0, 5).bits(0, 4).bits(0, 6).bits(1, 3).bits(1, 3);
  repeat_past_end.code(1, 1).bits(127, 7).code(1, 1).bits(127, 7).bits(0, 32);
  BitWriter endless = start(2);  // 258 zeros: no code for the end of the block
  endless.bits(0, 5).bits(0, 5).bits(0, 4).bits(0, 6).bits(1, 3).bits(1, 3);
  endless.code(1, 1).bits(127, 7).code(1, 1).bits(109, 7).bits(0, 32);
  const std::vector<Bytes> evil{{},
                                start(3).bytes(),
                                start(0).bytes(),
                                {1, 1, 0, 0, 0},           // LEN and its complement disagree
                                {1, 2, 0, 0xFD, 0xFF, 1},  // one of two bytes
                                start(1).bytes(),
                                unused_length.bytes(),
                                too_far.bytes(),
                                unused_distance.bytes(),
                                many_literals.bytes(),
                                many_distances.bytes(),
                                no_code.bytes(),
                                over_full.bytes(),
                                repeat_nothing.bytes(),
                                repeat_past_end.bytes(),
                                endless.bytes()};
  for (std::size_t i = 0; i < evil.size(); ++i) {
    EXPECT_THROW(inflate_all(evil[i], 1000), FormatError) << i;
    Bytes padded = evil[i];  // enough input for the fast path
    if (i > 2 && i != 4 && i != 5) {
      padded.insert(padded.end(), 64, 0);
      EXPECT_THROW(inflate_all(padded, 1000), FormatError) << i;
    }
  }
}

// 258 zeros a match, from one literal: `matches` of them in a fixed block.
Bytes bomb(const Bytes& head, std::size_t matches) {
  BitWriter w;
  w.bits(1, 1).bits(1, 2);
  for (const std::uint8_t b : head) w.fixed_literal(b);
  w.fixed_literal(0);
  for (std::size_t i = 0; i < matches; ++i) w.code(0xC5, 8).code(0, 5);
  return w.fixed_end().bytes();
}

TEST(Gzip, OutputStopsAtTheLimit) {
  const Bytes deflated = bomb({}, 1000);
  for (const std::size_t room : {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{259},
                                 std::size_t{4096}, std::size_t{258000}}) {
    Bytes out(room + 1, 0xEE);
    const io::InflateResult r = io::inflate(deflated.data(), deflated.size(), out.data(), room);
    EXPECT_FALSE(r.finished);
    EXPECT_EQ(r.produced, room);
    EXPECT_EQ(out[room], 0xEE);
  }
  Bytes out(258001);
  const io::InflateResult r = io::inflate(deflated.data(), deflated.size(), out.data(), out.size());
  EXPECT_TRUE(r.finished);
  EXPECT_EQ(r.consumed, deflated.size());
}

TEST(GzipDeathTest, BombsAllocateOnlyWhatTheHeaderClaims) {
  // 400 MB of zeros behind a header that claims six bytes, and a terabyte's claim without them.
  const Bytes bomb_file = member(bomb(small_idx(), 1'550'000), {});
  EXPECT_EXIT(testing::exit_on_format_error([&] { parse(bomb_file); }),
              ::testing::ExitedWithCode(0), "");
  const Bytes claim{0, 0, 8, 2, 0, 16, 0, 0, 0, 16, 0, 0};
  const Bytes claim_file = member(fixed_block(claim), claim);
  EXPECT_EXIT(testing::exit_on_format_error([&] { parse(claim_file); }),
              ::testing::ExitedWithCode(0), "");
}

TEST(Gzip, Mnist) {
  const char* folder = std::getenv("STRIATE_DATA");
  if (folder == nullptr) GTEST_SKIP() << "STRIATE_DATA does not name a folder with MNIST";
  const std::string path = std::string(folder) + "/train-images-idx3-ubyte.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " does not exist";
  const IdxArray a = read_idx(path);
  EXPECT_EQ(a.shape, (std::vector<std::int64_t>{60000, 28, 28}));
  EXPECT_EQ(a.type, IdxType::kUint8);
  // The mean pixel that every tutorial normalises with: 0.1307 of 255.
  double sum = 0;
  for (const std::uint8_t v : a.bytes) sum += v;
  EXPECT_NEAR(sum / static_cast<double>(a.bytes.size()) / 255, 0.1307, 5e-5);
}

}  // namespace
}  // namespace striate
