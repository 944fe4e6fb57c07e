#pragma once
// Reading and writing the JSON of file headers. Not a general parser: a reader that knows its
// format asks for the next thing it expects, so that nothing recurses, no depth is left to the file
// to choose, and every value is checked where it is read. Strict RFC 8259.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace striate::io {

// Whether `text` is well-formed UTF-8: no overlong forms, no surrogates, nothing past U+10FFFF.
bool is_utf8(std::string_view text);

// `text` as a JSON string with its quotes. It must be UTF-8.
std::string json_quoted(std::string_view text);

// Throws FormatError, with the byte offset, on anything but what was asked for.
class JsonCursor {
 public:
  // `text` must be UTF-8, and outlive the cursor. `name` is the file, for messages.
  JsonCursor(std::string_view text, std::string name);

  // An object is read as: open('{'); while (next_in('}')) { key(); <value> }; an array likewise
  // with '[' and ']'. next_in takes the comma, or the closing character, and then says false.
  void open(char bracket);
  bool next_in(char closing);
  std::string key();
  std::string string();
  std::int64_t integer();  // 0 to 2^63 - 1: no sign, fraction, exponent or leading zero
  // Nothing may follow but spaces: 0x20 only, as safetensors pads.
  void finish_padded();

  [[noreturn]] void fail(const std::string& what) const;

 private:
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_whitespace();
  void expect(char c);
  void append_escape(std::string& out);
  unsigned hex4();

  std::string_view text_;
  std::string name_;
  std::size_t at_ = 0;
  bool first_ = false;  // just after an opening bracket
};

}  // namespace striate::io
