#include "cache/sibling_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

namespace slipstream {
namespace {

// Blocks in order of their values.
struct Siblings {
  Siblings(uint32_t num_blocks, uint64_t seed) : order(num_blocks, seed), values(num_blocks) {}

  void insert(BlockId block, int value) {
    values[block] = value;
    order.insert(top, block, [&](BlockId other) { return value < values[other] ? -1 : 1; });
  }
  std::vector<int> in_order() const {
    std::vector<int> result;
    for (BlockId block = order.first(top); block != kRoot; block = order.next(block)) {
      EXPECT_TRUE(order.is_in_place(block));
      result.push_back(values[block]);
    }
    return result;
  }

  SiblingOrder order;
  BlockId top = kRoot;
  std::vector<int> values;
};

TEST(SiblingOrder, after_any_inserts_and_erases_they_stand_in_order) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937 random(static_cast<uint32_t>(seed));
    Siblings siblings(64, seed);
    std::set<int> twin;
    std::vector<bool> is_in(64);
    for (int round = 0; round < 1000; ++round) {
      const BlockId block = random() % 64;
      if (is_in[block]) {
        siblings.order.erase(siblings.top, block);
        twin.erase(siblings.values[block]);
        is_in[block] = false;
      } else if (const int value = static_cast<int>(random() % 500); twin.insert(value).second) {
        siblings.insert(block, value);
        is_in[block] = true;
      }
      ASSERT_EQ(siblings.in_order(), std::vector<int>(twin.begin(), twin.end()));
    }
  }
}

// A random tree of 2^16 is about 2 * 16 * ln 2 * 1.4 = 40 deep at its deepest; a list would be 65,536.
TEST(SiblingOrder, nobody_makes_it_deep_by_the_order_in_which_he_adds) {
  constexpr uint32_t kBlocks = 1u << 16;
  Siblings siblings(kBlocks, 7);
  for (BlockId block = 0; block < kBlocks; ++block) siblings.insert(block, static_cast<int>(block));
  uint32_t deepest = 0;
  for (BlockId block = 0; block < kBlocks; ++block) deepest = std::max(deepest, siblings.order.depth(block));
  EXPECT_LT(deepest, 64u);
}

}  // namespace
}  // namespace slipstream
