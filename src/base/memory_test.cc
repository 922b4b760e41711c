#include "base/memory.h"

#include <gtest/gtest.h>

#include <limits>

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

TEST(Memory, round_up_goes_to_the_next_multiple) {
  static_assert(round_up(0, 64) == 0 && round_up(1, 64) == 64 && round_up(64, 64) == 64 && round_up(65, 64) == 128);
}

}  // namespace
}  // namespace slipstream
