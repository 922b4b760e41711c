#include "cache/forgotten_blocks.h"

#include <gtest/gtest.h>

#include <numeric>

namespace slipstream {
namespace {

std::vector<TokenId> counted(uint32_t num_tokens, TokenId first = 0) {
  std::vector<TokenId> tokens(num_tokens);
  std::iota(tokens.begin(), tokens.end(), first);
  return tokens;
}

TEST(ForgottenBlocks, know_a_block_by_what_it_began_with_and_when_it_went) {
  ForgottenBlocks forgotten(4, 7);
  const auto tokens = counted(64);
  forgotten.add(forgotten.root(), {}, tokens, ReuseEnd::kEvicted, 1'000);
  for (const uint32_t length : {64u, 63u, 40u, 32u, 17u, 1u}) {
    const auto found = forgotten.find(forgotten.root(), {}, std::span(tokens).first(length), 0, 5'000);
    ASSERT_TRUE(found) << length;
    EXPECT_EQ(found->end, ReuseEnd::kEvicted);
    EXPECT_EQ(found->ago_ns, 4'000u);
  }
}

TEST(ForgottenBlocks, are_told_apart_by_parent_key_and_tokens) {
  ForgottenBlocks forgotten(4, 7);
  const auto tokens = counted(16);
  forgotten.add(forgotten.root(), {1, 2}, tokens, ReuseEnd::kEvicted, 1'000);
  EXPECT_TRUE(forgotten.find(forgotten.root(), {1, 2}, tokens, 0, 1'000));
  EXPECT_FALSE(forgotten.find(forgotten.root(), {1, 3}, tokens, 0, 1'000));
  EXPECT_FALSE(forgotten.find(forgotten.root(), {2, 1}, tokens, 0, 1'000));
  EXPECT_FALSE(forgotten.find(forgotten.root() + 1, {1, 2}, tokens, 0, 1'000));
  EXPECT_FALSE(forgotten.find(forgotten.root(), {1, 2}, counted(16, 1), 0, 1'000));
}

TEST(ForgottenBlocks, that_began_with_less_than_half_are_not_meant) {
  ForgottenBlocks forgotten(4, 7);
  auto tokens = counted(64);
  forgotten.add(forgotten.root(), {}, tokens, ReuseEnd::kEvicted, 1'000);
  tokens[40] = 999;  // 32 in common
  EXPECT_TRUE(forgotten.find(forgotten.root(), {}, tokens, 31, 1'000));
  EXPECT_FALSE(forgotten.find(forgotten.root(), {}, tokens, 32, 1'000)) << "so many were found";
  tokens[20] = 999;
  EXPECT_FALSE(forgotten.find(forgotten.root(), {}, tokens, 0, 1'000));
}

TEST(ForgottenBlocks, say_which_were_cleared) {
  ForgottenBlocks forgotten(4, 7);
  forgotten.add(forgotten.root(), {}, counted(3), ReuseEnd::kCleared, 0);
  const auto found = forgotten.find(forgotten.root(), {}, counted(2), 0, 9);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->end, ReuseEnd::kCleared);
}

TEST(ForgottenBlocks, take_no_more_room_than_they_have_and_keep_the_newest) {
  ForgottenBlocks forgotten(16, 7);
  for (uint32_t block = 0; block < 10'000; ++block) {
    forgotten.add(block, {}, counted(16), ReuseEnd::kEvicted, block + 1);
  }
  uint32_t num_found = 0;
  for (uint32_t block = 0; block < 10'000; ++block) {
    num_found += forgotten.find(block, {}, counted(16), 0, 20'000) ? 1 : 0;
  }
  EXPECT_GT(num_found, 8u);
  EXPECT_LT(num_found, 256u);
  EXPECT_TRUE(forgotten.find(9'999, {}, counted(16), 0, 20'000));
}

}  // namespace
}  // namespace slipstream
