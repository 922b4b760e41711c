#include "cache/block_pool.h"

#include <gtest/gtest.h>

namespace slipstream {
namespace {

using Keep = BlockPool::Keep;

TEST(BlockPool, the_block_unused_for_longest_is_taken_first) {
  BlockPool pool(3, 3);
  const BlockId first = pool.take();
  const BlockId second = pool.take();
  const BlockId third = pool.take();
  EXPECT_EQ(pool.num_free(), 0u);
  pool.release(second, Keep::kYes);
  pool.release(third, Keep::kYes);
  pool.release(first, Keep::kYes);
  EXPECT_EQ(pool.free_blocks(), (std::vector{second, third, first}));
  EXPECT_EQ(pool.take(), second);
}

TEST(BlockPool, a_block_with_nothing_worth_keeping_goes_before_all_others) {
  BlockPool pool(3, 3);
  const BlockId kept = pool.take();
  const BlockId blank = pool.take();
  pool.release(kept, Keep::kYes);
  pool.release(blank, Keep::kNo);
  EXPECT_EQ(pool.free_blocks(), (std::vector<BlockId>{blank, 2, kept}));
}

TEST(BlockPool, a_shared_block_is_free_when_its_last_holder_gives_it_back) {
  BlockPool pool(2, 2);
  const BlockId block = pool.take();
  pool.share(block);
  EXPECT_EQ(pool.references(block), 2u);
  pool.release(block, Keep::kYes);
  EXPECT_EQ(pool.num_free(), 1u);
  pool.release(block, Keep::kYes);
  EXPECT_EQ(pool.num_free(), 2u);
}

TEST(BlockPool, sharing_a_free_block_takes_it_out_of_the_middle_of_the_list) {
  BlockPool pool(4, 4);
  pool.share(2);
  EXPECT_EQ(pool.free_blocks(), (std::vector<BlockId>{0, 1, 3}));
  EXPECT_EQ(pool.references(2), 1u);
}

// Blocks 0, 1, ... taken, and given back in this order.
BlockPool used_pool(uint32_t num_blocks, uint32_t max_again) {
  BlockPool pool(num_blocks, max_again);
  for (BlockId block = 0; block < num_blocks; ++block) pool.take();
  for (BlockId block = 0; block < num_blocks; ++block) pool.release(block, Keep::kYes);
  return pool;
}
using Blocks = std::vector<BlockId>;

TEST(BlockPool, what_was_hit_goes_after_all_that_was_not) {
  BlockPool pool = used_pool(4, 4);
  pool.hit(1);
  pool.hit(0);
  EXPECT_EQ(pool.free_blocks(), (Blocks{2, 3, 1, 0}));
  pool.hit(1);  // in order of their last use
  EXPECT_EQ(pool.free_blocks(), (Blocks{2, 3, 0, 1}));
}

TEST(BlockPool, a_held_block_that_is_hit_goes_behind_the_others_when_it_is_given_back) {
  BlockPool pool = used_pool(3, 3);
  pool.share(0);
  pool.hit(0);
  EXPECT_EQ(pool.num_free(), 2u);
  pool.release(0, Keep::kYes);
  pool.share(1);
  pool.release(1, Keep::kYes);
  EXPECT_EQ(pool.free_blocks(), (Blocks{2, 1, 0}));
}

TEST(BlockPool, beyond_max_again_the_oldest_of_them_is_the_last_of_those_used_once) {
  BlockPool pool = used_pool(5, 2);
  for (const BlockId block : {0, 1, 2}) pool.hit(block);
  EXPECT_EQ(pool.free_blocks(), (Blocks{3, 4, 0, 1, 2}));
  EXPECT_EQ(pool.ring(0), BlockPool::Ring::kOnce);
  EXPECT_EQ(pool.take(), 3u);
  pool.hit(0);
  EXPECT_EQ(pool.free_blocks(), (Blocks{4, 1, 2, 0}));
}

TEST(BlockPool, without_again_it_is_a_plain_lru) {
  BlockPool pool = used_pool(4, 0);
  pool.hit(1);
  pool.hit(0);
  EXPECT_EQ(pool.free_blocks(), (Blocks{2, 3, 1, 0}));
  pool.share(2);
  pool.release(2, Keep::kYes);
  EXPECT_EQ(pool.free_blocks(), (Blocks{3, 1, 0, 2}));
}

TEST(BlockPool, what_is_taken_has_its_past_forgotten) {
  BlockPool pool(2, 2);
  pool.release(pool.take(), Keep::kYes);
  pool.hit(0);
  pool.take();  // 1
  EXPECT_EQ(pool.take(), 0u);
  pool.release(0, Keep::kYes);
  pool.release(1, Keep::kYes);
  EXPECT_EQ(pool.free_blocks(), (Blocks{0, 1}));
}

TEST(BlockPool, a_refreshed_block_is_the_last_of_its_ring_and_of_no_better_one) {
  BlockPool pool = used_pool(4, 4);
  pool.hit(3);
  pool.refresh(0);
  EXPECT_EQ(pool.free_blocks(), (Blocks{1, 2, 0, 3}));
}

TEST(BlockPool, a_block_made_blank_is_taken_first) {
  BlockPool pool = used_pool(3, 1);
  pool.hit(2);
  pool.make_blank(2);
  EXPECT_EQ(pool.free_blocks(), (Blocks{2, 0, 1}));
  pool.hit(0);  // there is room in `again` once more
  EXPECT_EQ(pool.ring(0), BlockPool::Ring::kAgain);
  EXPECT_EQ(pool.num_free(), 3u);
}

TEST(BlockPoolDeathTest, giving_back_what_nobody_holds_is_a_bug) {
  BlockPool pool(2, 2);
  EXPECT_DEATH(pool.release(1, Keep::kYes), "does not hold");
}

TEST(BlockPoolDeathTest, taking_when_all_are_held_is_a_bug) {
  BlockPool pool(1, 1);
  pool.take();
  EXPECT_DEATH(pool.take(), "are held");
}

}  // namespace
}  // namespace slipstream
