// Reader of IDX files, plain and gzip: FormatError or a consistent array, whatever the bytes.
//   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Icsrc -Icsrc/include tests/fuzz/fuzz_idx.cpp csrc/io/*.cpp -o fuzz_idx && ./fuzz_idx
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "io/inflate.h"
#include "striate/error.h"
#include "striate/idx.h"

namespace {

void read_array(const std::uint8_t* data, std::size_t size) {
  try {
    const striate::IdxArray a = striate::parse_idx(data, size, "fuzz");
    std::int64_t bytes = striate::idx_item_size(a.type);
    for (const std::int64_t extent : a.shape) bytes *= extent;
    if (static_cast<std::size_t>(bytes) != a.bytes.size()) std::abort();
  } catch (const striate::FormatError&) {
  }
}

// gzip's checksum would keep the fuzzer out of DEFLATE's depths.
void inflate_alone(const std::uint8_t* data, std::size_t size) {
  for (const std::size_t room : {std::size_t{33}, std::size_t{5000}}) {
    std::vector<std::uint8_t> out(room);
    try {
      const auto r = striate::io::inflate(data, size, out.data(), out.size());
      if (r.produced > room || r.consumed > size) std::abort();
    } catch (const striate::FormatError&) {
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  read_array(data, size);
  inflate_alone(data, size);
  return 0;
}
