#include "cache/block_pool.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

using Keep = BlockPool::Keep;

std::vector<BlockId> free_list(const BlockPool& pool) {
  std::vector<BlockId> blocks;
  for (auto block = pool.first_free(); block; block = pool.next_free(*block)) blocks.push_back(*block);
  return blocks;
}

TEST(BlockPool, the_block_unused_for_longest_is_taken_first) {
  BlockPool pool(3);
  const BlockId first = pool.take();
  const BlockId second = pool.take();
  const BlockId third = pool.take();
  EXPECT_EQ(pool.num_free(), 0u);
  pool.release(second, Keep::kYes);
  pool.release(third, Keep::kYes);
  pool.release(first, Keep::kYes);
  EXPECT_EQ(free_list(pool), (std::vector{second, third, first}));
  EXPECT_EQ(pool.take(), second);
}

TEST(BlockPool, a_block_with_nothing_worth_keeping_goes_before_all_others) {
  BlockPool pool(3);
  const BlockId kept = pool.take();
  const BlockId blank = pool.take();
  pool.release(kept, Keep::kYes);
  pool.release(blank, Keep::kNo);
  EXPECT_EQ(free_list(pool), (std::vector<BlockId>{blank, 2, kept}));
}

TEST(BlockPool, a_shared_block_is_free_when_its_last_holder_gives_it_back) {
  BlockPool pool(2);
  const BlockId block = pool.take();
  pool.share(block);
  EXPECT_EQ(pool.references(block), 2u);
  pool.release(block, Keep::kYes);
  EXPECT_EQ(pool.num_free(), 1u);
  pool.release(block, Keep::kYes);
  EXPECT_EQ(pool.num_free(), 2u);
}

TEST(BlockPool, sharing_a_free_block_takes_it_out_of_the_middle_of_the_list) {
  BlockPool pool(4);
  pool.share(2);
  EXPECT_EQ(free_list(pool), (std::vector<BlockId>{0, 1, 3}));
  EXPECT_EQ(pool.references(2), 1u);
}

TEST(BlockPoolDeathTest, giving_back_what_nobody_holds_is_a_bug) {
  BlockPool pool(2);
  EXPECT_DEATH(pool.release(1, Keep::kYes), "does not hold");
}

TEST(BlockPoolDeathTest, taking_when_all_are_held_is_a_bug) {
  BlockPool pool(1);
  pool.take();
  EXPECT_DEATH(pool.take(), "are held");
}

}  // namespace
}  // namespace slipstream
