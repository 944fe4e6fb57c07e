// Reader of safetensors files: FormatError, or tensors that tile the data. What was read is written
// and read again, and must be the same.
//   clang++ -std=c++17 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all
//       -Icsrc -Icsrc/include tests/fuzz/fuzz_safetensors.cpp csrc/io/*.cpp -o fuzz_safetensors
//   ./fuzz_safetensors
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "striate/error.h"
#include "striate/safetensors.h"

namespace {

using striate::SafetensorsFile;
using striate::TensorView;

const std::string& scratch_path() {
  static const std::string kPath =
      (std::filesystem::temp_directory_path() / ("fuzz_safetensors." + std::to_string(::getpid())))
          .string();
  return kPath;
}

void check_round_trip(const SafetensorsFile& file) {
  std::vector<striate::TensorSource> sources;
  for (const TensorView& t : file.tensors())
    sources.push_back({t.name, t.dtype, t.shape, file.data(t)});
  striate::write_safetensors(scratch_path(), file.metadata(), sources);
  const SafetensorsFile again = SafetensorsFile::read(scratch_path());
  if (again.metadata() != file.metadata()) std::abort();
  if (again.tensors().size() != file.tensors().size()) std::abort();
  for (const TensorView& t : file.tensors()) {
    const TensorView* u = again.find(t.name);
    if (u == nullptr || u->shape != t.shape || u->dtype != t.dtype) std::abort();
    if (t.end > t.begin && std::memcmp(file.data(t), again.data(*u), t.end - t.begin) != 0)
      std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static unsigned parsed = 0;
  try {
    const SafetensorsFile file = SafetensorsFile::parse({data, data + size}, "fuzz");
    std::size_t end = 0;
    for (const TensorView& t : file.tensors()) {
      if (t.begin != end || t.end < t.begin || t.end > size) std::abort();
      end = t.end;
    }
    if (++parsed % 16 == 0) check_round_trip(file);  // a sync to disk each: not every time
  } catch (const striate::FormatError&) {
  }
  return 0;
}
