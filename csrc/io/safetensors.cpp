#include "striate/safetensors.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

#include "core/checked.h"
#include "io/atomic_file.h"
#include "io/byte_order.h"
#include "io/input_file.h"
#include "io/json_header.h"
#include "io/sizes.h"
#include "striate/error.h"

namespace striate {
namespace {

constexpr std::size_t kLengthField = 8;
constexpr std::string_view kMetadataKey = "__metadata__";

struct Dtype {
  std::string_view name;
  std::int64_t bits;
};
constexpr std::array<Dtype, 22> kDtypes{{
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
}};

struct Header {
  std::map<std::string, std::string> metadata;
  std::vector<TensorView> tensors;
};

void parse_metadata(io::JsonCursor& json, std::map<std::string, std::string>& metadata) {
  json.open('{');
  while (json.next_in('}')) {
    std::string key = json.key();
    std::string value = json.string();
    if (metadata.size() >= kMaxSafetensorsEntries) json.fail("too many metadata entries");
    if (!metadata.emplace(std::move(key), std::move(value)).second)
      json.fail("a metadata key that occurs twice");
  }
}

void parse_shape(io::JsonCursor& json, TensorView& tensor) {
  json.open('[');
  while (json.next_in(']')) {
    if (tensor.shape.size() >= kMaxSafetensorsRank) json.fail("a tensor of rank above 8");
    tensor.shape.push_back(json.integer());
  }
}

void parse_offsets(io::JsonCursor& json, TensorView& tensor) {
  std::array<std::int64_t, 2> offsets{};
  std::size_t n = 0;
  json.open('[');
  while (json.next_in(']')) {
    if (n >= offsets.size()) json.fail("data_offsets of more than two numbers");
    offsets[n++] = json.integer();
  }
  if (n != offsets.size()) json.fail("data_offsets of fewer than two numbers");
  tensor.begin = narrow<std::size_t>(offsets[0]);
  tensor.end = narrow<std::size_t>(offsets[1]);
}

void parse_tensor(io::JsonCursor& json, TensorView& tensor) {
  bool has_dtype = false;
  bool has_shape = false;
  bool has_offsets = false;
  json.open('{');
  while (json.next_in('}')) {
    const std::string key = json.key();
    bool* seen = key == "dtype"          ? &has_dtype
                 : key == "shape"        ? &has_shape
                 : key == "data_offsets" ? &has_offsets
                                         : nullptr;
    if (seen == nullptr) json.fail("an unknown key of a tensor");
    if (std::exchange(*seen, true)) json.fail("a key of a tensor that occurs twice");
    if (seen == &has_dtype)
      tensor.dtype = json.string();
    else if (seen == &has_shape)
      parse_shape(json, tensor);
    else
      parse_offsets(json, tensor);
  }
  if (!has_dtype || !has_shape || !has_offsets)
    json.fail("a tensor without its dtype, shape or data_offsets");
}

Header parse_header(std::string_view text, const std::string& name) {
  if (text.empty() || text.front() != '{')
    throw FormatError(name + ": the header does not start with '{': not a safetensors file");
  if (!io::is_utf8(text)) throw FormatError(name + ": the header is not UTF-8");
  io::JsonCursor json(text, name);
  Header header;
  bool has_metadata = false;
  std::unordered_set<std::string> names;
  json.open('{');
  while (json.next_in('}')) {
    std::string key = json.key();
    if (key == kMetadataKey) {
      if (std::exchange(has_metadata, true)) json.fail("__metadata__ occurs twice");
      parse_metadata(json, header.metadata);
      continue;
    }
    if (key.size() > kMaxSafetensorsName) json.fail("a tensor's name longer than 1024 bytes");
    if (header.tensors.size() >= kMaxSafetensorsEntries) json.fail("too many tensors");
    if (!names.insert(key).second) json.fail("a tensor's name that occurs twice");
    TensorView tensor;
    tensor.name = std::move(key);
    parse_tensor(json, tensor);
    header.tensors.push_back(std::move(tensor));
  }
  json.finish_padded();
  return header;
}

// The tensors, in the order of their offsets, must tile the data exactly.
void check_layout(std::vector<TensorView>& tensors, std::size_t data_size,
                  const std::string& name) {
  std::stable_sort(tensors.begin(), tensors.end(), [](const TensorView& a, const TensorView& b) {
    return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
  });
  std::size_t expected = 0;
  for (const TensorView& t : tensors) {
    const auto fail = [&](const std::string& what) {
      throw FormatError(name + ": tensor \"" + t.name + "\": " + what);
    };
    if (t.begin != expected || t.end < t.begin)
      fail("its data is at " + std::to_string(t.begin) + " to " + std::to_string(t.end) +
           ", but that of the one before it ends at " + std::to_string(expected));
    const std::int64_t item_bits = safetensors_dtype_bits(t.dtype);
    if (item_bits == 0) fail("unknown dtype \"" + t.dtype + "\"");
    const auto bits = io::checked_bits(t.shape, item_bits);
    if (!bits) fail("its extents' product overflows");
    if (*bits % 8 != 0) fail("its elements do not fill whole bytes");
    if (narrow<std::size_t>(*bits / 8) != t.end - t.begin)
      fail("its shape needs " + std::to_string(*bits / 8) + " bytes, its data_offsets span " +
           std::to_string(t.end - t.begin));
    expected = t.end;
  }
  if (expected != data_size)
    throw FormatError(name + ": the tensors end at byte " + std::to_string(expected) +
                      " of the data, which has " + std::to_string(data_size));
}

void check_source(const TensorSource& t) {
  const auto fail = [&](const std::string& what) {
    throw ValueError("write_safetensors: tensor \"" + t.name + "\": " + what);
  };
  if (t.name == kMetadataKey) fail("this name is the format's own");
  if (t.name.size() > kMaxSafetensorsName) fail("its name is longer than 1024 bytes");
  if (!io::is_utf8(t.name)) fail("its name is not UTF-8");
  if (safetensors_dtype_bits(t.dtype) == 0) fail("unknown dtype \"" + t.dtype + "\"");
  if (t.shape.size() > kMaxSafetensorsRank) fail("its rank is above 8");
  for (const std::int64_t extent : t.shape)
    if (extent < 0) fail("a negative extent, " + std::to_string(extent));
}

void check_metadata(const std::map<std::string, std::string>& metadata) {
  if (metadata.size() > kMaxSafetensorsEntries)
    throw ValueError("write_safetensors: too many metadata entries");
  for (const auto& [key, value] : metadata)
    if (!io::is_utf8(key) || !io::is_utf8(value))
      throw ValueError("write_safetensors: metadata that is not UTF-8, at key \"" + key + "\"");
}

std::size_t source_bytes(const TensorSource& t) {
  const auto bits = io::checked_bits(t.shape, safetensors_dtype_bits(t.dtype));
  if (!bits || *bits % 8 != 0)
    throw ValueError("write_safetensors: tensor \"" + t.name +
                     "\": its size overflows or is not whole bytes");
  const auto bytes = narrow<std::size_t>(*bits / 8);
  if (bytes > 0 && t.data == nullptr)
    throw ValueError("write_safetensors: tensor \"" + t.name + "\": no data");
  return bytes;
}

std::vector<const TensorSource*> layout_order(const std::vector<TensorSource>& tensors) {
  if (tensors.size() > kMaxSafetensorsEntries)
    throw ValueError("write_safetensors: more than 100,000 tensors");
  std::vector<const TensorSource*> order;
  order.reserve(tensors.size());
  for (const TensorSource& t : tensors) {
    check_source(t);
    order.push_back(&t);
  }
  std::sort(order.begin(), order.end(), [](const TensorSource* a, const TensorSource* b) {
    const std::int64_t bits_a = safetensors_dtype_bits(a->dtype);
    const std::int64_t bits_b = safetensors_dtype_bits(b->dtype);
    return bits_a != bits_b ? bits_a > bits_b : a->name < b->name;
  });
  std::unordered_set<std::string_view> names;
  for (const TensorSource* t : order)
    if (!names.insert(t->name).second)
      throw ValueError("write_safetensors: two tensors named \"" + t->name + "\"");
  return order;
}

std::string make_header(const std::map<std::string, std::string>& metadata,
                        const std::vector<const TensorSource*>& order) {
  std::string json = "{";
  if (!metadata.empty()) {
    json += io::json_quoted(kMetadataKey) + ":{";
    for (const auto& [key, value] : metadata)
      json += io::json_quoted(key) + ":" + io::json_quoted(value) + ",";
    json.back() = '}';
    json += ",";
  }
  std::int64_t begin = 0;
  for (const TensorSource* t : order) {
    const std::int64_t end = checked_add(begin, narrow<std::int64_t>(source_bytes(*t)));
    json += io::json_quoted(t->name) + ":{\"dtype\":\"" + t->dtype + "\",\"shape\":[";
    for (std::size_t axis = 0; axis < t->shape.size(); ++axis)
      json += (axis > 0 ? "," : "") + std::to_string(t->shape[axis]);
    json += "],\"data_offsets\":[" + std::to_string(begin) + "," + std::to_string(end) + "]},";
    begin = end;
  }
  if (json.back() == ',') json.pop_back();
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  if (json.size() > kMaxSafetensorsHeader)
    throw ValueError("write_safetensors: the header would pass 100,000,000 bytes");
  return json;
}

}  // namespace

std::int64_t safetensors_dtype_bits(const std::string& dtype) {
  for (const Dtype& d : kDtypes)
    if (d.name == dtype) return d.bits;
  return 0;
}

SafetensorsFile SafetensorsFile::parse(std::vector<std::uint8_t> bytes, const std::string& name) {
  if (bytes.size() < kLengthField) throw FormatError(name + ": too short for a safetensors file");
  const std::uint64_t header_size = io::load_le64(bytes.data());
  if (header_size > kMaxSafetensorsHeader || header_size > bytes.size() - kLengthField)
    throw FormatError(name + ": a header of " + std::to_string(header_size) +
                      " bytes is past the end of the file or the limit of 100,000,000");
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + kLengthField,
                              static_cast<std::size_t>(header_size));
  Header header = parse_header(text, name);
  const std::size_t data_start = kLengthField + text.size();
  check_layout(header.tensors, bytes.size() - data_start, name);

  SafetensorsFile file;
  file.bytes_ = std::move(bytes);
  file.data_start_ = data_start;
  file.metadata_ = std::move(header.metadata);
  file.tensors_ = std::move(header.tensors);
  return file;
}

SafetensorsFile SafetensorsFile::read(const std::string& path) {
  return parse(io::read_file(path), path);
}

const TensorView* SafetensorsFile::find(const std::string& name) const {
  const auto it = std::find_if(tensors_.begin(), tensors_.end(),
                               [&](const TensorView& t) { return t.name == name; });
  return it == tensors_.end() ? nullptr : &*it;
}

const std::uint8_t* SafetensorsFile::data(const TensorView& view) const {
  if (view.begin > view.end || view.end > bytes_.size() - data_start_)
    throw ValueError("SafetensorsFile::data: a view of another file");
  return bytes_.data() + data_start_ + view.begin;
}

void write_safetensors(const std::string& path, const std::map<std::string, std::string>& metadata,
                       const std::vector<TensorSource>& tensors) {
  check_metadata(metadata);
  const std::vector<const TensorSource*> order = layout_order(tensors);
  const std::string header = make_header(metadata, order);
  std::array<std::uint8_t, kLengthField> length{};
  io::store_le64(length.data(), header.size());

  io::AtomicFile file(path);
  file.write(length.data(), length.size());
  file.write(header.data(), header.size());
  for (const TensorSource* t : order) file.write(t->data, source_bytes(*t));
  file.commit();
}

}  // namespace striate
