// IDX files: round trips, damage of every kind, and claims that the file cannot back. Gzip has its
// own file, test_gzip.cpp.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <utility>

#include "io_testing.h"
#include "striate/idx.h"

namespace striate {
namespace {

using testing::Bytes;
using testing::TempDir;

constexpr IdxType kAllTypes[] = {IdxType::kUint8, IdxType::kInt8,    IdxType::kInt16,
                                 IdxType::kInt32, IdxType::kFloat32, IdxType::kFloat64};

IdxArray make_array(std::vector<std::int64_t> shape, IdxType type) {
  IdxArray a;
  a.type = type;
  std::int64_t size = idx_item_size(type);
  for (const std::int64_t extent : shape) size *= extent;
  a.shape = std::move(shape);
  for (std::int64_t i = 0; i < size; ++i) a.bytes.push_back(static_cast<std::uint8_t>(i * 37 + 5));
  return a;
}

Bytes file_of(const IdxArray& array) {
  const TempDir dir;
  write_idx(dir.file("a"), array);
  return testing::read_bytes(dir.file("a"));
}

Bytes header(unsigned type, const std::vector<std::uint32_t>& extents) {
  Bytes b{0, 0, static_cast<std::uint8_t>(type), static_cast<std::uint8_t>(extents.size())};
  for (const std::uint32_t e : extents)
    for (int shift = 24; shift >= 0; shift -= 8) b.push_back(static_cast<std::uint8_t>(e >> shift));
  return b;
}

IdxArray parse(const Bytes& b) { return parse_idx(b.data(), b.size(), "test"); }

void expect_consistent(const IdxArray& a) {
  ASSERT_GE(a.shape.size(), 1U);
  ASSERT_LE(a.shape.size(), 8U);
  std::int64_t size = idx_item_size(a.type);
  for (const std::int64_t extent : a.shape) size *= extent;
  EXPECT_EQ(static_cast<std::size_t>(size), a.bytes.size());
}

// A correctly shaped array, or FormatError. Never another exception, never a crash.
void expect_clean(const Bytes& b) {
  try {
    expect_consistent(parse(b));
  } catch (const FormatError&) {
  }
}

TEST(Idx, RoundTripOfEveryTypeAndRank) {
  const TempDir dir;
  const std::string path = dir.file("a.idx");
  for (const IdxType type : kAllTypes) {
    std::vector<std::int64_t> shape;
    for (const std::int64_t extent : {3, 1, 5, 2, 1, 1, 2, 3}) {
      shape.push_back(extent);
      const IdxArray a = make_array(shape, type);
      write_idx(path, a);
      const IdxArray b = read_idx(path);
      EXPECT_EQ(a.shape, b.shape);
      EXPECT_EQ(a.type, b.type);
      EXPECT_EQ(a.bytes, b.bytes);
    }
  }
  EXPECT_EQ(dir.entries(), 1U);
}

TEST(Idx, EmptyAndLargerThanOneBlock) {
  const TempDir dir;
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{0}, {0, 7}, {70001, 3}}) {
    const IdxArray a = make_array(shape, IdxType::kInt16);
    write_idx(dir.file("a"), a);
    EXPECT_EQ(read_idx(dir.file("a")).bytes, a.bytes);
    EXPECT_EQ(read_idx(dir.file("a")).shape, shape);
  }
}

TEST(Idx, ElementsAreBigEndianInTheFile) {
  Bytes b = header(0x0C, {2});
  b.insert(b.end(), {0x01, 0x02, 0x03, 0x04, 0xFF, 0xFF, 0xFF, 0xFE});
  const IdxArray a = parse(b);
  std::int32_t v[2];
  ASSERT_EQ(a.bytes.size(), sizeof v);
  std::memcpy(v, a.bytes.data(), sizeof v);
  EXPECT_EQ(v[0], 0x01020304);
  EXPECT_EQ(v[1], -2);
  EXPECT_EQ(file_of(a), b);
}

TEST(Idx, TruncationAtEveryByte) {
  const TempDir dir;
  const Bytes whole = file_of(make_array({3, 2, 4}, IdxType::kInt16));
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THROW(parse(cut), FormatError) << n;
    testing::write_bytes(dir.file("cut"), cut);
    EXPECT_THROW(read_idx(dir.file("cut")), FormatError) << n;
  }
}

TEST(Idx, EveryBitFlipped) {
  const Bytes whole = file_of(make_array({3, 2, 4}, IdxType::kFloat32));
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes b = whole;
    b[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    expect_clean(b);
    // Each bit of the header counts, but 0x0C and 0x0D are both types of four bytes.
    if (bit < 16 * 8 && bit != 16) {
      EXPECT_THROW(parse(b), FormatError) << bit;
    }
  }
}

TEST(Idx, OneFieldMutated) {
  const Bytes whole = file_of(make_array({3, 2, 4}, IdxType::kFloat64));
  for (const std::uint64_t v : testing::boundary_values()) {
    for (std::size_t i = 0; i < 4; ++i) {
      Bytes b = whole;
      b[i] = static_cast<std::uint8_t>(v);
      expect_clean(b);
    }
    for (std::size_t field = 4; field < 16; field += 4) {
      Bytes b = whole;
      for (std::size_t i = 0; i < 4; ++i)
        b[field + i] = static_cast<std::uint8_t>(v >> (24 - 8 * i));
      expect_clean(b);
    }
  }
}

TEST(Idx, EvilFiles) {
  const std::vector<Bytes> evil{
      {},
      {0},
      {0, 0, 8},
      {0, 0, 8, 1},
      {0, 0, 8, 1, 0, 0, 0},
      header(0x08, {}),                           // rank 0
      header(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}),  // rank 9
      header(0x00, {0}),                          // types that do not exist
      header(0x07, {0}),
      header(0x0A, {0}),
      header(0x0F, {0}),
      header(0xFF, {0}),
      {1, 0, 8, 1, 0, 0, 0, 0},
      {0, 1, 8, 1, 0, 0, 0, 0},
      {0, 0, 8, 255},
      {0, 0, 8, 1, 0, 0, 0, 0, 0},               // a byte after the last element
      header(0x08, {1}),                         // a byte too few
      header(0x0E, {0xFFFFFFFFU}),               // 32 GiB
      header(0x08, {0xFFFFFFFFU, 0xFFFFFFFFU}),  // past int64
      header(0x0E, {1U << 31, 1U << 29}),        // 2^63 bytes
      header(0x0E, {1U << 31, 1U << 30}),        // 2^64 bytes: 0 if it wrapped
      header(0x08, {1U << 31, 1U << 31, 4}),     // 2^64 again
      header(0x08, {1U << 31, 1U << 31, 4, 0}),  // the same, hidden behind an empty axis
      header(0x08, {0, 1U << 31, 1U << 31, 4}),
      {'P', 'K', 3, 4, 0, 0, 0, 0},
      {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0},
      {0x1F, 0x8B},
      {0x1F, 0x8B, 8, 0},
  };
  const TempDir dir;
  for (std::size_t i = 0; i < evil.size(); ++i) {
    EXPECT_THROW(parse(evil[i]), FormatError) << i;
    testing::write_bytes(dir.file("evil"), evil[i]);
    EXPECT_THROW(read_idx(dir.file("evil")), FormatError) << i;
  }
}

TEST(Idx, MessagesNameTheFile) {
  const TempDir dir;
  testing::write_bytes(dir.file("bad.idx"), {0, 0, 8, 1, 0, 0, 0, 9});
  try {
    read_idx(dir.file("bad.idx"));
    FAIL() << "no exception";
  } catch (const FormatError& e) {
    EXPECT_NE(std::string(e.what()).find("bad.idx"), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find("claims 9"), std::string::npos) << e.what();
  }
}

TEST(IdxDeathTest, TerabyteClaimsAllocateNothing) {
  const TempDir dir;
  testing::write_bytes(dir.file("a"), header(0x08, {1U << 20, 1U << 20}));
  testing::write_bytes(dir.file("b"), header(0x0E, {1U << 27, 1}));
  for (const char* name : {"a", "b"}) {
    const std::string path = dir.file(name);
    EXPECT_EXIT(testing::exit_on_format_error([&] { read_idx(path); }),
                ::testing::ExitedWithCode(0), "");
  }
}

TEST(Idx, OnlyRegularFilesAreRead) {
  const TempDir dir;
  EXPECT_THROW(read_idx(dir.file("missing")), IoError);
  EXPECT_THROW(read_idx(dir.file("")), IoError);
  EXPECT_THROW(read_idx("/dev/zero"), IoError);
  EXPECT_THROW(read_idx(std::string("a\0b", 3)), IoError);
  const std::string pipe = dir.file("pipe");
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(read_idx(pipe), IoError);  // at once: it must not wait for a writer
}

TEST(Idx, WriteRefusesWhatReadWould) {
  const TempDir dir;
  const std::string path = dir.file("a");
  IdxArray a = make_array({2, 3}, IdxType::kUint8);
  a.bytes.pop_back();
  EXPECT_THROW(write_idx(path, a), ValueError);
  EXPECT_THROW(write_idx(path, make_array({}, IdxType::kUint8)), ValueError);
  EXPECT_THROW(write_idx(path, make_array({1, 1, 1, 1, 1, 1, 1, 1, 1}, IdxType::kUint8)),
               ValueError);
  EXPECT_THROW(write_idx(path, IdxArray{{-1}, IdxType::kUint8, {}}), ValueError);
  EXPECT_THROW(write_idx(path, IdxArray{{std::int64_t{1} << 32}, IdxType::kUint8, {}}), ValueError);
  EXPECT_THROW(write_idx(path, IdxArray{{1}, static_cast<IdxType>(0x0A), {0}}), ValueError);
  const std::int64_t big = 0xFFFFFFFFLL;
  EXPECT_THROW(write_idx(path, IdxArray{{big, big}, IdxType::kUint8, {}}), ValueError);
  EXPECT_THROW(idx_item_size(static_cast<IdxType>(0)), ValueError);
  EXPECT_EQ(dir.entries(), 0U);
}

}  // namespace
}  // namespace striate
