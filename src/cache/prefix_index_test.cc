#include "cache/prefix_index.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <algorithm>
#include <random>

namespace slipstream {
namespace {

constexpr uint32_t kBlockTokens = 2;
using Tokens = std::array<TokenId, kBlockTokens>;

TEST(PrefixIndex, a_block_is_found_by_parent_tokens_and_extra_key_together) {
  PrefixIndex index(8, kBlockTokens, 1);
  const Tokens a{1, 2};
  const Tokens b{3, 4};
  index.insert({kRoot, a, {}}, 5);
  index.insert({5, b, {}}, 6);
  EXPECT_EQ(index.find({kRoot, a, {}}), 5u);
  EXPECT_EQ(index.find({5, b, {}}), 6u);
  EXPECT_EQ(index.find({kRoot, b, {}}), std::nullopt);
  EXPECT_EQ(index.find({6, b, {}}), std::nullopt);
  EXPECT_EQ(index.find({5, a, {}}), std::nullopt);
  EXPECT_EQ(index.find({5, b, {7}}), std::nullopt);
  EXPECT_EQ(index.parent(6), 5u);
  EXPECT_EQ(index.num_children(5), 1u);
  EXPECT_EQ(index.check(), "");
}

TEST(PrefixIndex, the_same_tokens_under_two_parents_are_two_blocks) {
  PrefixIndex index(8, kBlockTokens, 1);
  const Tokens a{1, 2};
  const Tokens b{3, 4};
  const Tokens same{9, 9};
  index.insert({kRoot, a, {}}, 0);
  index.insert({kRoot, b, {}}, 1);
  index.insert({0, same, {}}, 2);
  index.insert({1, same, {}}, 3);
  EXPECT_EQ(index.find({0, same, {}}), 2u);
  EXPECT_EQ(index.find({1, same, {}}), 3u);
}

TEST(PrefixIndexDeathTest, a_block_with_children_is_not_forgotten) {
  PrefixIndex index(8, kBlockTokens, 1);
  const Tokens a{1, 2};
  index.insert({kRoot, a, {}}, 0);
  index.insert({0, a, {}}, 1);
  EXPECT_DEATH(index.erase(0), "before its 1 children");
  index.erase(1);
  index.erase(0);
  EXPECT_EQ(index.size(), 0u);
}

TEST(PrefixIndexDeathTest, a_block_is_remembered_once_and_under_a_remembered_parent) {
  PrefixIndex index(8, kBlockTokens, 1);
  const Tokens a{1, 2};
  index.insert({kRoot, a, {}}, 0);
  EXPECT_DEATH(index.insert({kRoot, a, {1}}, 0), "twice");
  EXPECT_DEATH(index.insert({3, a, {}}, 1), "parent 3 is not remembered");
}

// Against std::map, through so many collisions of buckets that runs of them grow, shrink and wrap around.
TEST(PrefixIndex, after_any_inserts_and_erases_it_knows_what_a_map_knows) {
  constexpr uint32_t kBlocks = 64;
  for (uint32_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PrefixIndex index(kBlocks, kBlockTokens, seed);
    std::map<BlockId, std::pair<BlockId, Tokens>> twin;
    for (int round = 0; round < 2000; ++round) {
      const BlockId block = random() % kBlocks;
      if (index.contains(block)) {
        ASSERT_TRUE(twin.contains(block));
        if (index.num_children(block) > 0) continue;
        index.erase(block);
        twin.erase(block);
      } else {
        BlockId parent = random() % (kBlocks * 2);
        if (!twin.contains(parent)) parent = kRoot;
        const Tokens tokens{static_cast<TokenId>(random() % 4), static_cast<TokenId>(random() % 4)};
        const auto same = [&](const auto& entry) { return entry.second == std::pair(parent, tokens); };
        const auto known = std::ranges::find_if(twin, same);
        const auto found = index.find({parent, tokens, {}});
        ASSERT_EQ(found.has_value(), known != twin.end());
        if (found) {
          ASSERT_EQ(*found, known->first);
          continue;
        }
        index.insert({parent, tokens, {}}, block);
        twin[block] = {parent, tokens};
      }
    }
    ASSERT_EQ(index.size(), twin.size());
    ASSERT_EQ(index.check(), "");
  }
}

// Against looking at every sibling: blocks of up to four tokens of two values, full ones and tails.
TEST(PrefixIndex, the_child_most_alike_is_the_one_that_looking_at_all_would_find) {
  constexpr uint32_t kBlocks = 40;
  constexpr uint32_t kFull = 4;
  for (uint32_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    PrefixIndex index(kBlocks, kFull, seed);
    const auto draw = [&] {
      std::vector<TokenId> drawn(1 + random() % kFull);
      for (TokenId& token : drawn) token = random() % 3;
      return drawn;
    };
    const auto common = [&](BlockId block, std::span<const TokenId> tokens) {
      return static_cast<uint32_t>(std::ranges::mismatch(tokens, index.tokens(block)).in1 - tokens.begin());
    };
    for (int round = 0; round < 300; ++round) {
      const std::vector<TokenId> tokens = draw();
      const PrefixKey key{kRoot, tokens, {random() % 2, 0}};
      uint32_t most = 0;
      bool is_known = false;
      for (BlockId block = 0; block < kBlocks; ++block) {
        if (!index.contains(block) || index.extra(block) != key.extra) continue;
        most = std::max(most, common(block, tokens));
        is_known |= common(block, tokens) == std::min<size_t>(tokens.size(), index.num_tokens(block));
      }
      const auto alike = index.find_alike(key);
      ASSERT_EQ(alike ? alike->num_common : 0, most);
      if (alike) {
        ASSERT_EQ(index.extra(alike->block), key.extra);
        ASSERT_EQ(common(alike->block, tokens), most);
      }
      const BlockId block = random() % kBlocks;
      if (index.contains(block)) {
        index.erase(block);
      } else if (!is_known) {
        index.insert(key, block);
      }
      ASSERT_EQ(index.check(), "");
    }
  }
}

TEST(PrefixIndex, leaves_are_the_nodes_without_children) {
  PrefixIndex index(8, kBlockTokens, 1);
  const Tokens a{1, 2};
  const Tokens b{3, 4};
  index.insert({kRoot, a, {}}, 0);
  index.insert({0, a, {}}, 1);
  EXPECT_EQ(index.num_leaves(), 1u);
  index.insert({0, {b.data(), 1}, {}}, 2);
  EXPECT_EQ(index.num_leaves(), 2u);
  EXPECT_TRUE(index.is_tail(2));
  index.erase(1);
  index.erase(2);
  EXPECT_EQ(index.num_leaves(), 1u);
  index.erase(0);
  EXPECT_EQ(index.num_leaves(), 0u);
}

TEST(PrefixIndexDeathTest, a_tail_has_no_children_and_is_no_ones_beginning) {
  PrefixIndex index(8, kBlockTokens, 1);
  const Tokens a{1, 2};
  index.insert({kRoot, {a.data(), 1}, {}}, 0);
  EXPECT_DEATH(index.insert({0, a, {}}, 1), "is a tail");
  EXPECT_DEATH(index.insert({kRoot, a, {}}, 1), "begins like");
}

// 60,000 remembered and 600,000 others: some eight of these have the 32-bit hash of one of those.
TEST(PrefixIndex, what_has_the_same_hash_is_compared_and_not_taken_for_a_hit) {
  constexpr uint32_t kBlocks = 60'000;
  PrefixIndex index(kBlocks, 1, 3);
  for (TokenId token = 0; token < kBlocks; ++token) index.insert({kRoot, {&token, 1}, {}}, token);
  for (TokenId token = kBlocks; token < 11 * kBlocks; ++token)
    ASSERT_EQ(index.find({kRoot, {&token, 1}, {}}), std::nullopt);
}

TEST(PrefixIndex, it_takes_as_many_nodes_as_there_are_blocks) {
  PrefixIndex index(100, 1, 3);
  for (BlockId block = 0; block < 100; ++block) {
    const TokenId token = block;
    index.insert({block == 0 ? kRoot : block - 1, {&token, 1}, {}}, block);
  }
  EXPECT_EQ(index.size(), 100u);
  EXPECT_EQ(index.check(), "");
}

}  // namespace
}  // namespace slipstream
