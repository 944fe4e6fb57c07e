#include "core/storage.h"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace striate {

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
