// Which table is chosen, and how STRIATE_ISA is answered.
#include <cstdlib>

#include "kernels/dispatch.h"
#include "striate/error.h"
#include "test_kernels.h"

namespace striate::testing {
namespace {

TEST(KernelsDispatch, EveryTableIsWhole) {
  int tables = 0;
  for (int i = 0; i < kIsaCount; ++i) {
    const KernelTable* table = kernel_table(static_cast<Isa>(i));
    if (table == nullptr) continue;
    ++tables;
    // After the name and the width there are function pointers only, and one int32_t.
    EXPECT_NE(table->isa, nullptr);
    EXPECT_GE(table->vector_width, 1);
    EXPECT_NE(table->samples_tile, nullptr);
    EXPECT_GT(table->channels_tile, 0);
    const char* begin = reinterpret_cast<const char*>(&table->pack);
    const char* end = reinterpret_cast<const char*>(table) + sizeof *table;
    for (; begin < end; begin += sizeof(void*)) {
      void* pointer;
      std::memcpy(&pointer, begin, sizeof pointer);
      EXPECT_NE(pointer, nullptr) << table->isa;
    }
  }
  EXPECT_GE(tables, 1);
}

TEST(KernelsDispatch, TheBestIsTheLast) {
  const KernelTable* best = nullptr;
  for (const Isa isa : available_isas()) best = kernel_table(isa);
  EXPECT_EQ(&choose_kernels(nullptr), best);
  EXPECT_EQ(&choose_kernels(""), best);
}

TEST(KernelsDispatch, NamesAreHonoured) {
  for (const Isa isa : available_isas()) {
    EXPECT_EQ(&choose_kernels(kernel_table(isa)->isa), kernel_table(isa));
  }
}

TEST(KernelsDispatch, UnknownAndMissingLevelsThrowAndListWhatIsThere) {
  const char* const foreign = kernel_table(Isa::kNeon) != nullptr ? "avx512" : "neon";
  for (const char* name : {"AVX2", "sse9", " avx2", foreign}) {
    try {
      choose_kernels(name);
      ADD_FAILURE() << name << " was taken";
    } catch (const ValueError& error) {
      const std::string what = error.what();
      EXPECT_NE(what.find(std::string("\"") + name + "\""), std::string::npos) << what;
      for (const Isa isa : available_isas()) {
        EXPECT_NE(what.find(kernel_table(isa)->isa), std::string::npos) << what;
      }
    }
  }
}

TEST(KernelsDispatch, TheEnvironmentIsReadOnce) {
  const char* const requested = std::getenv("STRIATE_ISA");
  const KernelTable& chosen = kernels();
  EXPECT_EQ(&chosen, &choose_kernels(requested));
  EXPECT_EQ(&kernels(), &chosen);
}

TEST(KernelsDispatch, FmaChainCountsItsWork) {
  for (const Isa isa : available_isas()) {
    const KernelTable& table = *kernel_table(isa);
    EXPECT_GE(table.fma_chain(100), 100 * 16 * 2 * table.vector_width);
  }
}

}  // namespace
}  // namespace striate::testing
