#include <gtest/gtest.h>

#include "engine/scheduler_room.h"

namespace slipstream {
namespace {

TEST(Scheduler, nobody_there_is_an_empty_plan) {
  Room room(10, options(2));
  EXPECT_TRUE(room.scheduler.plan(100).empty());
}

TEST(Scheduler, a_long_prompt_is_cut_into_chunks_and_samples_once_at_its_end) {
  Room room(10, options(2));
  const Sequence& sequence = room.add(1, 20);
  for (const uint32_t rows : {8u, 8u, 4u}) {
    EXPECT_EQ(sequence.num_tokens(), 20u);
    const StepPlan& plan = room.step(8);
    EXPECT_EQ(plan.num_rows(), rows);
    EXPECT_EQ(plan.input().slices[0].num_logits, rows == 4u ? 1u : 0u);
  }
  EXPECT_EQ(sequence.num_tokens(), 21u);
  EXPECT_EQ(sequence.pending(), 1u);
}

TEST(Scheduler, the_rows_of_a_plan_are_the_sequences_next_tokens_at_their_positions) {
  Room room(10, options(2));
  const Sequence& first = room.add(100, 5);
  room.step(100);
  room.add(200, 6);
  const StepPlan& plan = room.scheduler.plan(100);
  const StepInput input = plan.input();
  ASSERT_EQ(input.slices.size(), 2u);
  EXPECT_EQ(std::vector(input.tokens.begin(), input.tokens.end()),
            (std::vector<TokenId>{7, 200, 201, 202, 203, 204, 205}));
  EXPECT_EQ(input.slices[0].first_position, 5u);
  EXPECT_EQ(input.slices[0].num_blocks, 2u);
  EXPECT_EQ(input.block_tables[0], first.table[0]);
  EXPECT_EQ(input.slices[1].first_row, 1u);
  EXPECT_EQ(input.slices[1].first_position, 0u);
  EXPECT_EQ(input.slices[1].first_block, 2u);
}

TEST(Scheduler, answers_get_their_row_beside_a_long_prompt) {
  Room room(40, options(4));
  room.add(1, 4);
  room.step(100);
  room.add(50, 39);
  room.step(10);
  EXPECT_EQ(room.rows, (Rows{1, 9}));
  room.step(10);
  EXPECT_EQ(room.rows, (Rows{1, 9}));
}

TEST(Scheduler, with_fewer_rows_than_sequences_the_oldest_come_first) {
  Room room(40, options(4));
  for (TokenId first : {100, 200, 300}) room.add(first, 4);
  room.step(100);
  const StepPlan& plan = room.step(2);
  EXPECT_EQ(plan.num_rows(), 2u);
  EXPECT_EQ(room.rows, (Rows{1, 1}));
}

TEST(Scheduler, no_more_run_together_than_allowed) {
  Room room(40, options(2));
  for (TokenId first : {100, 200, 300}) room.add(first, 4);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{4, 4}));
  EXPECT_EQ(room.scheduler.waiting().size(), 1u);
}

TEST(Scheduler, requests_are_admitted_in_order_of_arrival) {
  Room room(10, options(4));
  room.add(100, 20);
  room.add(200, 36);                 // does not fit beside the first
  const Sequence& third = room.add(300, 4);  // would, but must not overtake
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{20}));
  EXPECT_TRUE(third.table.empty());
}

TEST(Scheduler, the_newest_goes_back_to_wait_when_blocks_run_out_and_keeps_its_tokens) {
  Room room(4, {.max_num_seqs = 4, .max_rows = 100, .max_model_len = 16});
  const Sequence& oldest = room.add(100, 7);
  const Sequence& newest = room.add(200, 7);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{7, 7}));
  room.step(100);  // both fill their second block
  EXPECT_EQ(newest.num_tokens(), 9u);
  room.step(100);
  EXPECT_EQ(room.rows, (Rows{1}));
  EXPECT_EQ(room.scheduler.num_preemptions(), 1u);
  EXPECT_EQ(room.scheduler.waiting().num_sent_back(), 1u);
  EXPECT_EQ(newest.num_tokens(), 9u);
  EXPECT_EQ(newest.num_computed, 0u);
  EXPECT_TRUE(newest.table.empty());
  EXPECT_EQ(oldest.num_computed, 9u);
}

TEST(Scheduler, whoever_comes_back_finds_its_full_blocks) {
  Room room(5, {.max_num_seqs = 4, .max_rows = 100, .max_model_len = 16});
  Sequence& oldest = room.add(100, 7);
  const Sequence& newest = room.add(200, 7);
  while (room.scheduler.num_preemptions() == 0) room.step(100);
  room.scheduler.cancel(oldest);
  room.step(100);
  EXPECT_EQ(room.scheduler.running().size(), 1u);
  EXPECT_LT(room.rows[0], newest.num_prompt_tokens);
  EXPECT_EQ(newest.num_cached, 0u);  // of its prompt, when it first came
}

TEST(Scheduler, nobody_is_admitted_into_the_blocks_that_somebody_was_sent_out_of) {
  Room room(4, {.max_num_seqs = 4, .max_rows = 100, .max_model_len = 16});
  room.add(100, 7);
  room.add(200, 7);
  room.step(100);
  room.step(100);
  const Sequence& late = room.add(300, 1);
  room.step(100);
  EXPECT_EQ(room.scheduler.num_preemptions(), 1u);
  EXPECT_TRUE(late.table.empty());
}

TEST(Scheduler, blocks_that_an_admitted_prompt_will_need_are_not_given_to_the_next) {
  Room room(10, options(4));
  room.add(100, 36);  // nine blocks, in chunks
  const Sequence& second = room.add(200, 8);
  for (int step = 0; step < 9; ++step) room.step(4);
  EXPECT_TRUE(second.table.empty());
  EXPECT_EQ(room.scheduler.num_preemptions(), 0u);
}

TEST(Scheduler, a_failed_slice_ends_and_nothing_of_its_step_is_remembered) {
  Room room(10, options(2));
  room.add(1, 9);
  room.step(4);
  EXPECT_EQ(room.ledger.num_remembered(), 1u);
  const StepPlan& plan = room.scheduler.plan(5);
  Sample failed;
  failed.finite = false;
  room.scheduler.commit(plan, {&failed, 1});
  EXPECT_EQ(room.scheduler.check(), "");
  EXPECT_TRUE(room.scheduler.running().empty());
  EXPECT_EQ(room.ledger.num_remembered(), 1u);
  EXPECT_EQ(room.ledger.num_free(), 10u);
}

TEST(Scheduler, a_finished_sequence_leaves_its_blocks_and_its_tail_remembered) {
  Room room(10, options(2));
  room.add(1, 9);
  const StepPlan& plan = room.scheduler.plan(100);
  Sample last;
  last.tokens = kSeven;
  last.finish = FinishReason::kStop;
  room.scheduler.commit(plan, {&last, 1});
  EXPECT_EQ(room.ledger.num_free(), 10u);
  EXPECT_EQ(room.ledger.num_remembered(), 3u);
}

TEST(Scheduler, a_cancelled_sequence_leaves_no_trace_wherever_it_was) {
  Room room(10, options(1));
  Sequence& running = room.add(1, 9);
  Sequence& waiting = room.add(100, 9);
  room.step(4);
  room.scheduler.cancel(running);
  EXPECT_EQ(room.scheduler.check(), "");
  EXPECT_EQ(room.ledger.num_free(), 10u);
  room.scheduler.cancel(waiting);
  EXPECT_EQ(room.scheduler.check(), "");
  EXPECT_EQ(room.scheduler.waiting().num_tokens(), 0u);
  EXPECT_TRUE(room.scheduler.plan(100).empty());
}

TEST(Scheduler, a_lone_request_comes_between_those_of_a_crowd_and_is_then_older_than_who_came_before_it) {
  SchedulerOptions two_clients = options(2);
  two_clients.max_model_len = 16;
  two_clients.queue = {.num_clients = 2, .quantum_tokens = 7};
  Room room(4, two_clients);
  for (TokenId first = 100; first < 1000; first += 100) room.add(first, 7);
  const Sequence& lone = room.add(5000, 7, 1);
  room.step(100);
  EXPECT_EQ(room.scheduler.running().size(), 2u);
  EXPECT_EQ(&room.scheduler.running().back(), &lone);
  while (room.scheduler.num_preemptions() == 0) room.step(100);
  EXPECT_EQ(lone.num_computed, 0u);  // the newest of those that run went back to wait
  while (lone.num_computed == 0) {   // and comes before the crowd, though others of it arrived before
    room.scheduler.cancel(*room.scheduler.any());
    room.step(100);
  }
  EXPECT_EQ(&room.scheduler.running().front(), &lone);
}

TEST(Scheduler, waiting_tokens_are_those_of_the_queue) {
  Room room(40, options(1));
  room.add(1, 9);
  room.add(100, 11);
  EXPECT_EQ(room.scheduler.waiting().num_tokens(), 20u);
  room.step(100);
  EXPECT_EQ(room.scheduler.waiting().num_tokens(), 11u);
}

TEST(SchedulerDeathTest, a_pool_that_cannot_hold_the_longest_sequence_is_a_bug) {
  EXPECT_DEATH(Room(9, options(1)), "cannot hold");
}

TEST(Scheduler, a_scored_prompt_is_cut_to_the_logits_there_is_room_for_and_lets_nobody_in_behind_it) {
  SchedulerOptions few = options(3);
  few.max_scored_rows = 3;
  Room room(20, few);
  const Sequence& older = room.add(100, 4);
  room.step(100);
  Sequence& scored = room.add(1, 9);
  scored.scored_until = 8;
  room.add(200, 4);
  for (const uint32_t rows : {3u, 3u}) {
    const StepPlan& plan = room.step(100);
    EXPECT_EQ(room.rows, (Rows{1, rows}));
    EXPECT_EQ(plan.input().slices[1].num_logits, rows);
  }
  EXPECT_EQ(scored.num_scored, 6u);
  const StepPlan& plan = room.step(100);
  EXPECT_EQ(room.rows, (Rows{1, 3, 4}));  // two are scored, the last one samples; then the next may come in
  EXPECT_EQ(plan.input().slices[1].num_logits, 3u);
  EXPECT_EQ(plan.input().slices[2].num_logits, 1u);
  EXPECT_EQ(scored.num_scored, 8u);
  EXPECT_GT(older.num_tokens(), 4u);
}

TEST(Scheduler, a_scored_prompt_finds_nothing_in_the_cache_and_an_equal_one_that_is_not_finds_it) {
  SchedulerOptions many = options(3);
  many.max_scored_rows = 100;
  Room room(20, many);
  room.add(1, 9);
  room.step(100);
  Sequence& scored = room.add(1, 9);
  scored.scored_until = 8;
  room.step(100);
  EXPECT_EQ(scored.num_cached, 0u);
  const Sequence& equal = room.add(1, 9);
  room.step(100);
  EXPECT_EQ(equal.num_cached, 8u);
  EXPECT_EQ(room.scheduler.num_queried_tokens(), 18u);  // the first and the last: what is scored is not looked for
  EXPECT_EQ(room.scheduler.num_cached_tokens(), 8u);
}

}  // namespace
}  // namespace slipstream
