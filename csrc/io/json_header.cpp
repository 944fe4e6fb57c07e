#include "io/json_header.h"

#include <array>
#include <utility>

#include "striate/error.h"

namespace striate::io {
namespace {

// Bytes of the well-formed sequence at the start of `s`, 0 if it is none (Unicode table 3-7).
std::size_t utf8_sequence(std::string_view s) {
  const auto byte = [s](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t size = 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (lead >= 0xC2 && lead <= 0xDF) {
    size = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    size = 3;
    if (lead == 0xE0) low = 0xA0;   // overlong below
    if (lead == 0xED) high = 0x9F;  // surrogates above
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    size = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;  // past U+10FFFF above
  }
  if (size == 0 || s.size() < size || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t i = 2; i < size; ++i)
    if (byte(i) < 0x80 || byte(i) > 0xBF) return 0;
  return size;
}

void append_utf8(std::string& out, unsigned code) {
  const auto put = [&out](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | (code >> 6));
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | (code >> 12));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | (code >> 18));
    put(0x80 | ((code >> 12) & 0x3F));
    put(0x80 | ((code >> 6) & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

bool is_high_surrogate(unsigned code) { return code >= 0xD800 && code <= 0xDBFF; }
bool is_low_surrogate(unsigned code) { return code >= 0xDC00 && code <= 0xDFFF; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t n = utf8_sequence(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

std::string json_quoted(std::string_view text) {
  static constexpr std::array<char, 17> kHex{"0123456789abcdef"};
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += "\\u00";
      out += kHex[static_cast<unsigned char>(c) >> 4];
      out += kHex[static_cast<unsigned char>(c) & 0xF];
    } else {
      out += c;
    }
  }
  return out += '"';
}

JsonCursor::JsonCursor(std::string_view text, std::string name)
    : text_(text), name_(std::move(name)) {}

void JsonCursor::fail(const std::string& what) const {
  throw FormatError(name_ + ": header, byte " + std::to_string(at_) + ": " + what);
}

void JsonCursor::skip_whitespace() {
  while (at_ < text_.size() &&
         (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
    ++at_;
}

void JsonCursor::expect(char c) {
  skip_whitespace();
  if (at_ >= text_.size() || text_[at_] != c) fail(std::string("expected '") + c + "'");
  ++at_;
}

void JsonCursor::open(char bracket) {
  expect(bracket);
  first_ = true;
}

bool JsonCursor::next_in(char closing) {
  skip_whitespace();
  const bool first = std::exchange(first_, false);
  if (peek() == closing) {
    ++at_;
    return false;
  }
  if (!first) expect(',');
  return true;
}

std::string JsonCursor::key() {
  std::string k = string();
  expect(':');
  return k;
}

std::string JsonCursor::string() {
  expect('"');
  std::string out;
  for (;;) {
    // Up to the next character that means something, at once.
    const std::size_t start = at_;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
           static_cast<unsigned char>(text_[at_]) >= 0x20)
      ++at_;
    out.append(text_.substr(start, at_ - start));
    if (at_ >= text_.size()) fail("a string that does not end");
    const char c = text_[at_];
    if (c != '"' && c != '\\') fail("a control character inside a string");
    ++at_;
    if (c == '"') return out;
    append_escape(out);
  }
}

void JsonCursor::append_escape(std::string& out) {
  const char c = peek();
  ++at_;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      out += c;
      return;
    case 'b':
      out += '\b';
      return;
    case 'f':
      out += '\f';
      return;
    case 'n':
      out += '\n';
      return;
    case 'r':
      out += '\r';
      return;
    case 't':
      out += '\t';
      return;
    case 'u':
      break;
    default:
      fail("unknown escape in a string");
  }
  unsigned code = hex4();
  if (is_low_surrogate(code)) fail("half a surrogate pair");
  if (is_high_surrogate(code)) {
    if (text_.substr(at_, 2) != "\\u") fail("half a surrogate pair");
    at_ += 2;
    const unsigned low = hex4();
    if (!is_low_surrogate(low)) fail("half a surrogate pair");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_utf8(out, code);
}

unsigned JsonCursor::hex4() {
  unsigned v = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char c = peek();
    unsigned digit = 0;
    if (is_digit(c))
      digit = static_cast<unsigned>(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = static_cast<unsigned>(c - 'a') + 10;
    else if (c >= 'A' && c <= 'F')
      digit = static_cast<unsigned>(c - 'A') + 10;
    else
      fail("\\u needs four hexadecimal digits");
    v = v * 16 + digit;
  }
  return v;
}

std::int64_t JsonCursor::integer() {
  skip_whitespace();
  if (!is_digit(peek())) fail("expected a whole number, not negative");
  const bool leading_zero = peek() == '0';
  const std::size_t start = at_;
  std::int64_t v = 0;
  for (; is_digit(peek()); ++at_) {
    if (__builtin_mul_overflow(v, std::int64_t{10}, &v) ||
        __builtin_add_overflow(v, std::int64_t{peek() - '0'}, &v))
      fail("a number past 2^63 - 1");
  }
  if (leading_zero && at_ - start > 1) fail("a number with a leading zero");
  const char c = peek();
  if (c == '.' || c == 'e' || c == 'E') fail("expected a whole number");
  return v;
}

void JsonCursor::finish_padded() {
  for (; at_ < text_.size(); ++at_)
    if (text_[at_] != ' ') fail("bytes after the closing '}' that are not spaces");
}

}  // namespace striate::io
