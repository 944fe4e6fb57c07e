// safetensors files: round trips, the exact bytes of a known file, damage of every kind, and the
// rules of the format one by one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "io_testing.h"
#include "striate/safetensors.h"

namespace striate {
namespace {

using testing::Bytes;
using testing::TempDir;
using Metadata = std::map<std::string, std::string>;

Bytes le64(std::uint64_t v) {
  Bytes b;
  for (int shift = 0; shift < 64; shift += 8) b.push_back(static_cast<std::uint8_t>(v >> shift));
  return b;
}

Bytes file_of(const std::string& header, std::size_t data_size) {
  Bytes b = le64(header.size());
  b.insert(b.end(), header.begin(), header.end());
  for (std::size_t i = 0; i < data_size; ++i) b.push_back(static_cast<std::uint8_t>(i));
  return b;
}

SafetensorsFile parse(const Bytes& b) { return SafetensorsFile::parse(b, "test"); }
SafetensorsFile parse(const std::string& header, std::size_t data_size) {
  return parse(file_of(header, data_size));
}

std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return "{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

// Either FormatError, or tensors that lie inside the data and have the size of their shape.
void expect_clean(const Bytes& b) {
  try {
    const SafetensorsFile f = parse(b);
    std::size_t end = 0;
    for (const TensorView& t : f.tensors()) {
      EXPECT_EQ(t.begin, end);
      end = t.end;
      std::int64_t bits = safetensors_dtype_bits(t.dtype);
      for (const std::int64_t extent : t.shape) bits *= extent;
      EXPECT_EQ(static_cast<std::size_t>(bits / 8), t.end - t.begin);
      EXPECT_LE(f.data(t) + (t.end - t.begin), f.data(f.tensors().front()) + b.size());
    }
  } catch (const FormatError&) {
  }
}

const Bytes kData(64, 9);

Bytes sample_file() {
  const TempDir dir;
  write_safetensors(dir.file("a"), {{"config", "{\"a\": [1, 2]}"}, {"k", "v"}},
                    {{"conv/w", "F32", {2, 1, 3}, kData.data()},
                     {"conv/b", "F64", {2}, kData.data()},
                     {"mask", "BOOL", {3}, kData.data()},
                     {"half", "BF16", {}, kData.data()},
                     {"none", "I64", {0, 4}, nullptr}});
  return testing::read_bytes(dir.file("a"));
}

TEST(Safetensors, RoundTrip) {
  const TempDir dir;
  const std::string path = dir.file("a.safetensors");
  std::vector<Bytes> payloads;
  std::vector<TensorSource> sources;
  const std::pair<const char*, std::size_t> dtypes[] = {
      {"BOOL", 1},    {"U8", 1},  {"I8", 1},          {"F8_E5M2", 1},    {"F8_E4M3", 1},
      {"F8_E8M0", 1}, {"I16", 2}, {"U16", 2},         {"F16", 2},        {"BF16", 2},
      {"I32", 4},     {"U32", 4}, {"F32", 4},         {"C64", 8},        {"F64", 8},
      {"I64", 8},     {"U64", 8}, {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1}};
  for (const auto& [dtype, size] : dtypes) {
    Bytes payload;
    for (std::size_t i = 0; i < 6 * size; ++i) payload.push_back(static_cast<std::uint8_t>(i * 7));
    payloads.push_back(payload);
  }
  for (std::size_t i = 0; i < payloads.size(); ++i)
    sources.push_back(
        {std::string("t/") + dtypes[i].first, dtypes[i].first, {2, 3}, payloads[i].data()});
  const Metadata metadata{{"", ""}, {"é\n\"\\\x01", "\xF0\x9F\x98\x80\t"}};
  write_safetensors(path, metadata, sources);

  const SafetensorsFile f = SafetensorsFile::read(path);
  EXPECT_EQ(f.metadata(), metadata);
  ASSERT_EQ(f.tensors().size(), sources.size());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const TensorView* t = f.find(sources[i].name);
    ASSERT_NE(t, nullptr);
    EXPECT_EQ(t->dtype, sources[i].dtype);
    EXPECT_EQ(t->shape, sources[i].shape);
    ASSERT_EQ(t->end - t->begin, payloads[i].size());
    EXPECT_EQ(std::memcmp(f.data(*t), payloads[i].data(), payloads[i].size()), 0);
    EXPECT_EQ(t->begin % dtypes[i].second, 0U) << t->name;  // aligned to its elements
  }
  EXPECT_EQ(f.find("absent"), nullptr);
  TensorView foreign;
  foreign.end = 1000000;
  EXPECT_THROW(f.data(foreign), ValueError);
}

TEST(Safetensors, BytesOfKnownFiles) {
  const TempDir dir;
  const float values[] = {0, 1, 2, 3, 4, 5};
  write_safetensors(dir.file("a"), {}, {{"attn0", "F32", {1, 1, 2, 3}, values}});
  const std::string header =
      R"({"attn0":{"dtype":"F32","shape":[1,1,2,3],"data_offsets":[0,24]}}       )";
  Bytes expected = file_of(header, 0);
  const auto* p = reinterpret_cast<const std::uint8_t*>(values);
  expected.insert(expected.end(), p, p + sizeof values);
  EXPECT_EQ(testing::read_bytes(dir.file("a")), expected);
  write_safetensors(dir.file("a"), {}, {});
  EXPECT_EQ(testing::read_bytes(dir.file("a")), file_of("{}      ", 0));
  write_safetensors(dir.file("a"), {{"framework", "pt"}}, {});
  EXPECT_EQ(testing::read_bytes(dir.file("a")),
            file_of(R"({"__metadata__":{"framework":"pt"}}     )", 0));
}

TEST(Safetensors, SameContentsMakeTheSameBytes) {
  const TempDir dir;
  const std::vector<TensorSource> forward{{"a", "F32", {2}, kData.data()},
                                          {"b", "F32", {1}, kData.data()},
                                          {"c", "F64", {1}, kData.data()}};
  write_safetensors(dir.file("a"), {}, forward);
  write_safetensors(dir.file("b"), {}, {forward.rbegin(), forward.rend()});
  EXPECT_EQ(testing::read_bytes(dir.file("a")), testing::read_bytes(dir.file("b")));
}

TEST(Safetensors, HeadersThatAreUnusualButValid) {
  EXPECT_TRUE(parse("{}", 0).tensors().empty());
  EXPECT_TRUE(parse("{} ", 0).tensors().empty());
  EXPECT_TRUE(parse("{\"__metadata__\":{}}", 0).metadata().empty());
  const SafetensorsFile f = parse(
      "{ \"\\u0062\" :\t{ \"shape\" : [ 2 , 1 ] ,\r\n\"data_offsets\":[1,3],\"dtype\":\"U8\"},"
      "\"\\ud83d\\ude00\\/\":{\"dtype\":\"I8\",\"shape\":[],\"data_offsets\":[0,1]},"
      "\"\":{\"dtype\":\"F64\",\"shape\":[3,0],\"data_offsets\":[1,1]},"
      "\"q\":{\"dtype\":\"F4\",\"shape\":[2],\"data_offsets\":[3,4]}}   ",
      4);
  ASSERT_EQ(f.tensors().size(), 4U);
  EXPECT_EQ(f.tensors()[0].name, "\xF0\x9F\x98\x80/");
  EXPECT_EQ(f.tensors()[1].name, "");
  EXPECT_EQ(f.tensors()[2].name, "b");
  EXPECT_EQ(*f.data(f.tensors()[2]), 1);
  EXPECT_EQ(
      parse("{\"__metadata__\":{\"\\u00e9\\u20ac\":\"\\b\\f\\n\\r\\t\\\"\\\\\"}}", 0).metadata(),
      (Metadata{{"\xC3\xA9\xE2\x82\xAC", "\b\f\n\r\t\"\\"}}));
}

TEST(Safetensors, TruncationAtEveryByte) {
  const TempDir dir;
  const Bytes whole = sample_file();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    EXPECT_THROW(parse(cut), FormatError) << n;
    testing::write_bytes(dir.file("cut"), cut);
    EXPECT_THROW(SafetensorsFile::read(dir.file("cut")), FormatError) << n;
  }
  Bytes longer = whole;
  longer.push_back(0);
  EXPECT_THROW(parse(longer), FormatError);
}

TEST(Safetensors, EveryBitFlipped) {
  const Bytes whole = sample_file();
  for (std::size_t bit = 0; bit < whole.size() * 8; ++bit) {
    Bytes b = whole;
    b[bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    expect_clean(b);
  }
}

TEST(Safetensors, OneFieldMutated) {
  const Bytes whole = sample_file();
  std::vector<std::string> numbers{"-1", "-0",   "1.0",  "1e3",  "00",
                                   "+1", "0x10", "null", "true", "\"1\"",
                                   "[]", "{}",   "",     "1 1",  "99999999999999999999999"};
  for (const std::uint64_t v : testing::boundary_values()) {
    Bytes b = whole;
    const Bytes length = le64(v);
    std::copy(length.begin(), length.end(), b.begin());
    EXPECT_THROW(parse(b), FormatError) << v;  // none is the true length
    numbers.push_back(std::to_string(v));
  }
  for (const std::string& v : numbers) {
    for (const std::string& header :
         {"{\"a\":" + tensor("F32", "[" + v + "]", "[0,8]") + "}",
          "{\"a\":" + tensor("F32", "[" + v + ",0," + v + "]", "[0,0]") + "}",
          "{\"a\":" + tensor("F32", "[2]", "[" + v + ",8]") + "}",
          "{\"a\":" + tensor("F32", "[2]", "[0," + v + "]") + "}"})
      expect_clean(file_of(header, 8));
  }
  EXPECT_EQ(parse("{\"a\":" + tensor("F32", "[2]", "[0,8]") + "}", 8).tensors().size(), 1U);
}

TEST(Safetensors, EvilLayouts) {
  const std::string u8_4 = tensor("U8", "[4]", "[0,4]");
  const std::vector<std::string> evil{
      "{\"a\":" + u8_4 + ",\"a\":" + tensor("U8", "[4]", "[4,8]") + "}",        // a name twice
      "{\"a\":" + u8_4 + ",\"\\u0061\":" + tensor("U8", "[4]", "[4,8]") + "}",  // by an escape
      "{\"a\":" + u8_4 + "}",                                                   // trailing data
      "{\"a\":" + u8_4 + ",\"b\":" + tensor("U8", "[3]", "[5,8]") + "}",        // a hole
      "{\"a\":" + tensor("U8", "[4]", "[4,8]") + "}",                           // in front
      "{\"a\":" + u8_4 + ",\"b\":" + tensor("U8", "[5]", "[3,8]") + "}",        // overlap
      "{\"a\":" + tensor("U8", "[8]", "[0,8]") + ",\"b\":" + tensor("U8", "[8]", "[0,8]") + "}",
      "{\"a\":" + tensor("U8", "[8]", "[8,0]") + "}",       // backwards
      "{\"a\":" + tensor("U8", "[9]", "[0,9]") + "}",       // past the end
      "{\"a\":" + tensor("U8", "[7]", "[0,8]") + "}",       // shape too small
      "{\"a\":" + tensor("F32", "[8]", "[0,8]") + "}",      // and too large
      "{\"a\":" + tensor("F6_E2M3", "[3]", "[0,2]") + "}",  // part of a byte
      "{\"a\":" + tensor("F128", "[1]", "[0,8]") + "}",     // no such dtype
      "{\"a\":" + tensor("f32", "[2]", "[0,8]") + "}",
      "{\"a\":" + tensor("", "[8]", "[0,8]") + "}",
      "{\"a\":" + tensor("U8", "[4294967296,4294967296]", "[0,0]") + "}",  // 2^64 wraps to 0
      "{\"a\":" + tensor("U8", "[0,4294967296,4294967296]", "[0,0]") + "}",
      "{\"a\":" + tensor("F64", "[2305843009213693953]", "[0,8]") + "}",  // 2^64 + 8 bytes
      "{\"a\":" + tensor("U8", "[1,1,1,1,1,1,1,1,8]", "[0,8]") + "}",     // rank 9
      "{\"a\":" + tensor("U8", "[8]", "[0]") + "}",
      "{\"a\":" + tensor("U8", "[8]", "[0,8,8]") + "}",
      "{\"a\":" + tensor("U8", "[8]", "[]") + "}",
      "{\"a\":" + tensor("U8", "[-8]", "[0,8]") + "}",
      "{\"a\":" + tensor("U8", "8", "[0,8]") + "}",
      "{\"" + std::string(1025, 'n') + "\":" + tensor("U8", "[8]", "[0,8]") + "}",
  };
  for (std::size_t i = 0; i < evil.size(); ++i) EXPECT_THROW(parse(evil[i], 8), FormatError) << i;
}

TEST(Safetensors, EvilHeaders) {
  std::string deep = "{\"a\":";
  for (int i = 0; i < 1'000'000; ++i) deep += "[";
  const std::vector<std::string> evil{
      "",
      " {}",
      "[]",
      "{",
      "}",
      "{}}",
      "{}\n",
      "{}x",
      "{},",
      "{,}",
      "{\"a\"}",
      "{\"a\":}",
      "{\"a\":1}",
      "{\"a\":null}",
      "{\"a\":{}}",
      "{a:{}}",
      "{'a':{}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0]}}",
      "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0],\"x\":1}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0,],\"data_offsets\":[0,0]}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[,0],\"data_offsets\":[0,0]}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0 0],\"data_offsets\":[0,0]}}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]},}",
      "{\"a\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]} \"b\"",
      "{\"a\":{\"dtype\":8,\"shape\":[0],\"data_offsets\":[0,0]}}",
      "{\"__metadata__\":1}",
      "{\"__metadata__\":[]}",
      "{\"__metadata__\":{\"a\":1}}",
      "{\"__metadata__\":{\"a\":null}}",
      "{\"__metadata__\":{\"a\":{}}}",
      "{\"__metadata__\":{\"a\":\"1\",\"a\":\"1\"}}",
      "{\"__metadata__\":{},\"__metadata__\":{}}",
      "{\"__metadata__\":{\"a\":\"\\x\"}}",
      "{\"__metadata__\":{\"a\":\"\\u12\"}}",
      "{\"__metadata__\":{\"a\":\"\\u12g4\"}}",
      "{\"__metadata__\":{\"a\":\"\\ud800\"}}",
      "{\"__metadata__\":{\"a\":\"\\ud800\\n\"}}",
      "{\"__metadata__\":{\"a\":\"\\ud800\\ud800\"}}",
      "{\"__metadata__\":{\"a\":\"\\udc00\"}}",
      "{\"__metadata__\":{\"a\":\"\n\"}}",
      std::string("{\"__metadata__\":{\"a\":\"\0\"}}", 25),
      "{\"__metadata__\":{\"a\":\"",
      "{\"__metadata__\":{\"a\":\"\\",
      "{\"__metadata__\":{\"a\":\"\\u",
      "{\"__metadata__\":{\"a\":\"\xC0\x80\"}}",          // overlong NUL
      "{\"__metadata__\":{\"a\":\"\xE0\x80\x80\"}}",      // overlong
      "{\"__metadata__\":{\"a\":\"\xED\xA0\x80\"}}",      // a surrogate
      "{\"__metadata__\":{\"a\":\"\xF4\x90\x80\x80\"}}",  // past U+10FFFF
      "{\"__metadata__\":{\"a\":\"\xF0\x9F\x98\"}}",      // cut short
      "{\"__metadata__\":{\"a\":\"\x80\"}}",
      "{\"__metadata__\":{\"a\":\"\xFF\"}}",
      deep,
      "{\"__metadata__\":" + deep,
  };
  for (std::size_t i = 0; i < evil.size(); ++i) EXPECT_THROW(parse(evil[i], 0), FormatError) << i;
}

TEST(Safetensors, CountsAreCapped) {
  std::string tensors = "{";
  std::string entries = "{\"__metadata__\":{";
  for (std::size_t i = 0; i <= kMaxSafetensorsEntries; ++i) {
    tensors += "\"" + std::to_string(i) + "\":" + tensor("U8", "[0]", "[0,0]") + ",";
    entries += "\"" + std::to_string(i) + "\":\"\",";
  }
  tensors.back() = '}';
  entries.back() = '}';
  EXPECT_THROW(parse(tensors, 0), FormatError);
  EXPECT_THROW(parse(entries + "}", 0), FormatError);
}

TEST(SafetensorsDeathTest, HugeClaimsAllocateNothing) {
  const std::string header = "{\"a\":" + tensor("U8", "[1099511627776]", "[0,1099511627776]") + "}";
  const Bytes claim = file_of(header, 8);
  Bytes length = le64(kMaxSafetensorsHeader);
  length.push_back('{');
  for (const Bytes& b : {claim, length})
    EXPECT_EXIT(testing::exit_on_format_error([&] { parse(b); }), ::testing::ExitedWithCode(0), "");
}

TEST(Safetensors, WriteRefusesWhatReadWould) {
  const TempDir dir;
  const auto refuse = [&](const Metadata& metadata, const std::vector<TensorSource>& tensors) {
    EXPECT_THROW(write_safetensors(dir.file("a"), metadata, tensors), ValueError);
  };
  const TensorSource good{"a", "U8", {4}, kData.data()};
  refuse({}, {good, good});
  refuse({}, {{"__metadata__", "U8", {4}, kData.data()}});
  refuse({}, {{"\xFF", "U8", {4}, kData.data()}});
  refuse({}, {{std::string(1025, 'n'), "U8", {4}, kData.data()}});
  refuse({}, {{"a", "U9", {4}, kData.data()}});
  refuse({}, {{"a", "U8", {-4}, kData.data()}});
  refuse({}, {{"a", "U8", {1, 1, 1, 1, 1, 1, 1, 1, 1}, kData.data()}});
  refuse({}, {{"a", "U8", {4}, nullptr}});
  refuse({}, {{"a", "F4", {3}, kData.data()}});
  refuse({}, {{"a", "U8", {std::int64_t{1} << 40, std::int64_t{1} << 40}, kData.data()}});
  refuse({{"\xC0\x80", ""}}, {});
  refuse({{"", "\xC0\x80"}}, {});
  refuse({{"a", std::string(kMaxSafetensorsHeader, 'x')}}, {});
  EXPECT_EQ(dir.entries(), 0U);
}

}  // namespace
}  // namespace striate
