#include "base/memory.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <vector>

extern "C" void __asan_init() __attribute__((weak));

namespace slipstream {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

TEST(Memory, an_arena_is_zero_aligned_and_at_least_as_large_as_asked) {
  for (const size_t bytes : {size_t{1}, size_t{4096}, kHugePage, kHugePage + 1, 5 * kHugePage}) {
    auto arena = Arena::make(bytes);
    ASSERT_TRUE(arena.ok());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena->data()) % kHugePage, 0u);
    EXPECT_GE(arena->size(), bytes);
    for (const std::byte value : arena->as<std::byte>()) ASSERT_EQ(value, std::byte{0});
    arena->as<std::byte>().back() = std::byte{1};
  }
}

TEST(Memory, an_arena_of_nothing_is_fine) {
  auto arena = Arena::make(0);
  ASSERT_TRUE(arena.ok());
  EXPECT_EQ(arena->size(), 0u);
  EXPECT_TRUE(arena->as<float>().empty());
}

TEST(Memory, moving_an_arena_moves_its_memory) {
  auto made = Arena::make(kHugePage);
  ASSERT_TRUE(made.ok());
  std::byte* const data = made->data();
  Arena first = std::move(made).value();
  Arena second;
  second = std::move(first);
  EXPECT_EQ(second.data(), data);
  EXPECT_EQ(first.data(), nullptr);  // NOLINT: what is left behind is empty
}

TEST(Memory, more_than_there_can_be_is_refused_in_words) {
  auto arena = Arena::make(std::numeric_limits<size_t>::max() - 5);
  ASSERT_FALSE(arena.ok());
  EXPECT_NE(arena.error().message.find("cannot be had"), std::string::npos);
  EXPECT_FALSE(Arena::make(size_t{1} << 60).ok());
}

TEST(Memory, what_is_untouched_is_not_resident) {
  const uint64_t before = resident_bytes();
  auto arena = Arena::make(size_t{512} << 20);
  ASSERT_TRUE(arena.ok());
  EXPECT_LT(resident_bytes(), before + (size_t{64} << 20));
}

TEST(Memory, what_is_touched_counts_in_resident_and_peak) {
  const size_t bytes = size_t{64} << 20;
  {
    auto arena = Arena::make(bytes);
    ASSERT_TRUE(arena.ok());
    for (std::byte& value : arena->as<std::byte>()) value = std::byte{1};
    EXPECT_GE(resident_bytes(), bytes);
  }
  EXPECT_GE(peak_resident_bytes(), bytes);
  EXPECT_GE(peak_resident_bytes(), resident_bytes());
}

TEST(Memory, some_is_available) {
  EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20);
  EXPECT_LT(available_memory_bytes(), uint64_t{1} << 50);
}

// A model's file in the page cache is no reason to refuse the model, however lately it was read.
TEST(Memory, pages_of_files_are_free_for_the_taking_in_a_group) {
  std::string folder = (std::filesystem::temp_directory_path() / "slipstream-test-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const auto write = [&](const char* name, const char* text) { std::ofstream(folder + "/" + name) << text; };
  EXPECT_EQ(memory_left_in_group(folder), std::numeric_limits<uint64_t>::max());
  write("memory.max", "max\n");
  EXPECT_EQ(memory_left_in_group(folder), std::numeric_limits<uint64_t>::max());
  write("memory.max", "1000\n");
  write("memory.current", "900\n");
  write("memory.stat", "anon 200\ninactive_file 300\nactive_file 400\n");
  EXPECT_EQ(memory_left_in_group(folder), 800u);
  write("memory.limit_in_bytes", "700\n");
  write("memory.usage_in_bytes", "650\n");
  write("memory.stat", "total_inactive_file 50\ntotal_active_file 1000\n");
  EXPECT_EQ(memory_left_in_group(folder), 100u);  // v2: 1000 - 900
  write("memory.current", "0\n");
  EXPECT_EQ(memory_left_in_group(folder), 700u);
  std::filesystem::remove_all(folder);
}

TEST(Memory, round_up_goes_to_the_next_multiple) {
  static_assert(round_up(0, 64) == 0 && round_up(1, 64) == 64 && round_up(64, 64) == 64 && round_up(65, 64) == 128);
}

TEST(Memory, large_blocks_that_are_freed_are_the_systems_again) {
  if (__asan_init != nullptr) GTEST_SKIP() << "SKIPPED: AddressSanitizer has a malloc of its own";
  give_back_large_blocks();
  constexpr size_t kBytes = 30u << 20;
  const uint64_t before = resident_bytes();
  for (int round = 0; round < 3; ++round) {
    std::vector<char> large(kBytes, 'x');
    const std::vector<char> behind_it(1000, 'x');  // and would keep the heap from shrinking
    std::vector<char>().swap(large);
    EXPECT_LT(resident_bytes(), before + kBytes / 2) << round;
  }
}

}  // namespace
}  // namespace slipstream
