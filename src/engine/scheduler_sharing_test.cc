// What sequences take from one another: whole blocks, beginnings of blocks by copy, and what is just being computed.
#include <gtest/gtest.h>

#include "engine/scheduler_room.h"

namespace slipstream {
namespace {

// Everyone writes two tokens and ends.
void finish_all(Room& room) {
  while (!room.scheduler.running().empty() || !room.scheduler.waiting().empty()) {
    const StepPlan& plan = room.scheduler.plan(100);
    std::vector<Sample> samples;
    for (const PlannedSlice& slice : plan.slices()) {
      Sample sample;
      if (slice.num_rows == slice.sequence->pending()) sample.tokens = kSeven;
      if (slice.sequence->num_tokens() > slice.sequence->num_prompt_tokens) sample.finish = FinishReason::kLength;
      samples.push_back(sample);
    }
    room.scheduler.commit(plan, samples);
    room.scheduler.clear_ended();
    ASSERT_EQ(room.scheduler.check(), "");
  }
}

std::vector<uint32_t> copied_tokens(const StepPlan& plan) {
  std::vector<uint32_t> result;
  for (const BlockCopy& copy : plan.input().copies) result.push_back(copy.num_tokens);
  return result;
}

TEST(SchedulerSharing, full_blocks_are_known_to_others_as_soon_as_they_are_computed) {
  Room room(20, options(4));
  room.add(1, 20);
  room.step(10);
  Sequence& second = room.add(1, 20);
  second.tokens[15] = 99;  // goes on differently in the fourth block
  room.step(14);           // the first computes the third block now: the second waits for it
  EXPECT_EQ(room.rows, (Rows{10}));
  EXPECT_FALSE(second.num_cached);
  EXPECT_TRUE(second.table.empty());
  const StepPlan& plan = room.step(14);
  EXPECT_EQ(room.rows, (Rows{1, 5}));
  EXPECT_EQ(second.num_cached, 15u);  // three blocks, and three tokens of the fourth
  EXPECT_EQ(copied_tokens(plan), (std::vector<uint32_t>{3}));
}

TEST(SchedulerSharing, a_burst_of_one_prompt_computes_it_once) {
  Room room(40, options(8));
  for (int i = 0; i < 8; ++i) room.add(1, 18);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{18}));
  EXPECT_EQ(room.scheduler.num_passed_over(), 7u);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{1, 2, 2, 2, 2, 2, 2, 2}));
  EXPECT_EQ(room.scheduler.cache().prefix_hits, 7u);
  EXPECT_EQ(room.scheduler.cache().misses, 1u);
}

TEST(SchedulerSharing, a_burst_of_whole_blocks_leaves_each_its_last_token) {
  Room room(40, options(4));
  for (int i = 0; i < 4; ++i) room.add(1, 16);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{16}));
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{1, 1, 1, 1}));
  EXPECT_EQ(room.scheduler.cache().hits, 3u);
}

TEST(SchedulerSharing, whoever_waits_succeeds_the_one_that_is_cancelled_or_fails) {
  for (const bool fails : {false, true}) {
    Room room(40, options(3));
    Sequence& first = room.add(1, 18);
    const Sequence& second = room.add(1, 18);
    const Sequence& third = room.add(1, 18);
    const StepPlan& plan = room.scheduler.plan(100);
    EXPECT_EQ(plan.num_rows(), 18u);
    Sample sample;
    sample.finite = !fails;
    sample.tokens = kSeven;
    room.scheduler.commit(plan, {&sample, 1});
    if (!fails) {
      room.scheduler.cancel(first);
      room.ledger.forget_all();
    }
    room.step(100);
    EXPECT_EQ(room.rows, (Rows{18}));
    EXPECT_EQ(second.num_cached, 0u);
    EXPECT_FALSE(third.num_cached);
    room.step(100);
    EXPECT_EQ(third.num_cached, 16u);
  }
}

TEST(SchedulerSharing, others_are_admitted_past_one_that_waits_and_it_comes_next) {
  Room room(40, options(3));
  room.add(1, 18);
  const Sequence& same = room.add(1, 18);
  const Sequence& other = room.add(500, 4);
  const Sequence& late = room.add(600, 4);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{18, 4}));  // three seats, and one is for the one that waits
  EXPECT_EQ(other.num_cached, 0u);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{1, 1, 2}));
  EXPECT_EQ(same.num_cached, 16u);
  EXPECT_FALSE(late.num_cached);
}

TEST(SchedulerSharing, a_sequence_that_waits_holds_no_blocks_and_leaves_no_trace_when_it_is_cancelled) {
  Room room(40, options(3));
  room.add(1, 18);
  Sequence& second = room.add(1, 18);
  room.step(100);
  EXPECT_EQ(room.ledger.num_free(), 35u);
  room.scheduler.cancel(second);
  EXPECT_EQ(room.scheduler.check(), "");
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{1}));
  EXPECT_TRUE(room.scheduler.waiting().empty());
}

TEST(SchedulerSharing, only_the_same_tokens_under_the_same_parent_and_key_are_waited_for) {
  Room room(60, options(8));
  room.add(1, 18);
  room.add(1, 18).extra = {0, 1};
  room.add(1, 3);              // not a whole block
  room.add(3, 18);             // tokens that come in the first, elsewhere
  Sequence& scored = room.add(1, 18);
  scored.scored_until = 1;
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{18, 18, 3, 18, 18}));
  EXPECT_EQ(room.scheduler.num_passed_over(), 0u);
}

TEST(SchedulerSharing, the_same_tokens_behind_other_ones_are_not_waited_for) {
  Room room(60, options(8));
  room.add(500, 5);
  finish_all(room);
  Sequence& first = room.add(100, 12);
  Sequence& second = room.add(500, 12);  // finds its first block
  std::copy_n(first.tokens.begin() + 4, 8, second.tokens.begin() + 4);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{12, 8}));
}

TEST(SchedulerSharing, without_a_prefix_cache_nobody_waits) {
  Room room(40, options(3), false);
  room.add(1, 18);
  room.add(1, 18);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{18, 18}));
}

TEST(SchedulerSharing, the_same_prompt_again_computes_one_token_also_when_it_is_shorter_than_a_block) {
  for (const uint32_t num_tokens : {2u, 3u, 4u, 5u, 8u, 11u}) {
    Room room(20, options(2));
    room.add(1, num_tokens);
    finish_all(room);
    room.add(1, num_tokens);
    room.step(100);
    EXPECT_EQ(room.rows, (Rows{1})) << num_tokens;
    EXPECT_EQ(room.scheduler.cache().hits, 1u) << num_tokens;
  }
}

TEST(SchedulerSharing, the_next_turn_of_a_chat_reuses_what_was_written_in_the_last) {
  Room room(20, options(2));
  room.add(1, 6);
  finish_all(room);  // writes 7 7, and computes the first of them
  Sequence& next = room.add(1, 6);
  for (const TokenId token : {7, 7, 50, 51}) next.tokens.push_back(token);
  const StepPlan& plan = room.step(100);
  EXPECT_EQ(next.num_cached, 7u);
  EXPECT_EQ(copied_tokens(plan), (std::vector<uint32_t>{3}));
}

TEST(SchedulerSharing, two_in_one_step_copy_from_the_same_tail_and_nobody_copies_into_what_is_still_to_be_read) {
  Room room(20, options(4));
  room.add(1, 7);
  finish_all(room);
  room.add(1, 7);
  Sequence& second = room.add(1, 7);
  second.tokens.back() = 90;
  const StepPlan& plan = room.step(100);
  const auto copies = plan.input().copies;
  ASSERT_EQ(copies.size(), 2u);
  EXPECT_EQ(copies[0].from, copies[1].from);
  EXPECT_NE(copies[0].to, copies[1].to);
  EXPECT_EQ(copied_tokens(plan), (std::vector<uint32_t>{2, 2}));
}

// Five blocks: a full one and its tail, three held. The first takes the tail as its own, the second finds it gone.
TEST(SchedulerSharing, the_last_free_block_is_taken_with_what_is_in_it_and_not_copied) {
  Room room(5, {.max_num_seqs = 4, .max_rows = 100, .max_model_len = 16});
  room.add(1, 6);
  finish_all(room);
  room.add(100, 9);
  room.step(100);
  const Sequence& second = room.add(1, 6);
  const StepPlan& plan = room.step(100);
  EXPECT_EQ(room.rows, (Rows{1, 1}));
  EXPECT_EQ(second.num_cached, 5u);
  EXPECT_TRUE(plan.input().copies.empty());
  EXPECT_EQ(room.ledger.num_free(), 0u);
}

TEST(SchedulerSharing, whoever_was_sent_back_finds_all_that_it_had_computed) {
  Room room(6, {.max_num_seqs = 4, .max_rows = 100, .max_model_len = 24});
  Sequence& oldest = room.add(100, 7);
  const Sequence& newest = room.add(200, 10);
  while (room.scheduler.num_preemptions() == 0) room.step(100);
  const uint32_t num_tokens = newest.num_tokens();
  room.scheduler.cancel(oldest);
  room.step(100);
  EXPECT_EQ(room.scheduler.running().size(), 1u);
  EXPECT_LE(room.rows[0], kBlockTokens + 1);  // its last block was taken for the one that ran on
  EXPECT_GT(newest.num_tokens(), num_tokens);
  EXPECT_EQ(room.scheduler.cache().misses, 2u);  // coming back is no second request
}

TEST(SchedulerSharing, a_failed_slice_whose_beginning_was_copied_is_not_remembered) {
  Room room(20, options(2));
  room.add(1, 7);
  finish_all(room);
  const uint32_t num_remembered = room.ledger.num_remembered();
  Sequence& failing = room.add(1, 7);
  failing.tokens.back() = 90;
  const StepPlan& plan = room.scheduler.plan(100);
  ASSERT_EQ(plan.input().copies.size(), 1u);
  Sample failed;
  failed.finite = false;
  room.scheduler.commit(plan, {&failed, 1});
  EXPECT_EQ(room.scheduler.check(), "");
  EXPECT_EQ(room.ledger.num_remembered(), num_remembered);
  EXPECT_EQ(room.ledger.num_free(), 20u);
}

}  // namespace
}  // namespace slipstream
