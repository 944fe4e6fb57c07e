#include "core/storage.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace striate {
namespace {

// From here on memory is asked for in huge pages, as NumPy does: beyond L3 a core reads 31 instead
// of 21 GB/s and writes 28 instead of 21.
constexpr std::size_t kHugeFrom = std::size_t{1} << 22, kHugePage = std::size_t{1} << 21;

}  // namespace

Storage::Storage(std::int64_t floats) : size_(floats) {
  if (floats == 0) return;
  const auto bytes = static_cast<std::size_t>(checked_mul(align_up(floats), sizeof(float)));
  const bool huge = bytes >= kHugeFrom;
  const std::size_t unit = huge ? kHugePage : 64;
  data_ = static_cast<float*>(std::aligned_alloc(unit, (bytes + unit - 1) / unit * unit));
  if (!data_) throw std::bad_alloc();
#if defined(__linux__)
  if (huge) madvise(data_, bytes / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  std::memset(data_, 0, bytes);
}

void Storage::release(std::int64_t begin, std::int64_t end) {
#if defined(__linux__)
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = [this](std::int64_t i) {
    return reinterpret_cast<std::uintptr_t>(data_ + i);
  };
  const std::uintptr_t from = (address(begin) + page - 1) / page * page;
  const std::uintptr_t to = address(end) / page * page;
  // Advice: where it is not taken, the memory stays, and nothing is lost but memory.
  if (data_ && from < to) madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
#else
  static_cast<void>(begin);
  static_cast<void>(end);
#endif
}

}  // namespace striate
