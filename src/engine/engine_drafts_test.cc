// Tokens that are guessed and verified several at a time: nothing of it may be seen but that steps are fewer.
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "engine/counting_executor.h"
#include "engine/engine.h"

namespace slipstream {
namespace {

constexpr uint32_t kVocab = 20;

EngineOptions with_drafts(uint32_t max_drafts, EngineOptions options = {}) {
  options.num_blocks = 64;
  options.block_tokens = 16;
  options.max_model_len = 200;
  options.max_drafts = max_drafts;
  options.draft_allowance = std::numeric_limits<double>::infinity();  // as many as there can be
  return options;
}

struct House {
  explicit House(const EngineOptions& its_options) : options(its_options), table(letter_table(kVocab)) {
    executor.clock_ns = &clock_ns;
    executor.ns_per_step = 20'000'000;
    engine.emplace(options, executor, pool, &table, Clock::manual(&clock_ns));
  }
  TextStream submit(const Request& request) { return engine->submit(request, nullptr).value(); }
  void run() {
    while (engine->step()) ASSERT_EQ(engine->check(), "");
  }
  EngineStats stats() const { return engine->stats(); }

  EngineOptions options;
  TokenTable table;
  CountingExecutor executor{kVocab};
  ThreadPool pool{2};
  std::atomic<uint64_t> clock_ns{0};
  std::optional<Engine> engine;
};

// After token t the model says t + 1, and begins again after the last: it repeats itself every twenty tokens.
Request ask(uint32_t num_prompt_tokens, uint32_t max_tokens) {
  Request request;
  for (uint32_t i = 0; i < num_prompt_tokens; ++i) request.prompt.push_back(i % kVocab);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  request.report_tokens = true;
  return request;
}

TextEvent all_of(TextStream& stream) { return stream.try_next().value(); }

TEST(EngineDrafts, a_repeated_answer_takes_fewer_steps_and_is_the_same) {
  House plain(with_drafts(0));
  House drafting(with_drafts(4));
  TextStream expected = plain.submit(ask(30, 60));
  TextStream stream = drafting.submit(ask(30, 60));
  plain.run();
  drafting.run();
  EXPECT_EQ(plain.stats().num_steps, 60u);
  EXPECT_LT(drafting.stats().num_steps, 25u);
  const TextEvent event = all_of(stream);
  EXPECT_EQ(event.tokens, all_of(expected).tokens);
  EXPECT_EQ(event.num_tokens, 60u);
  EXPECT_EQ(event.finish, FinishReason::kLength);
}

TEST(EngineDrafts, numbers_count_drafts_apart_from_what_was_asked_for) {
  House plain(with_drafts(0));
  House drafting(with_drafts(4));
  for (House* house : {&plain, &drafting}) {
    Request request = ask(30, 60);
    request.prompt.insert(request.prompt.end(), {3, 4, 5, 9, 1, 2, 3, 4, 5});  // 9 is a wrong guess
    TextStream stream = house->submit(request);
    house->run();
  }
  const EngineStats stats = drafting.stats();
  EXPECT_GT(stats.num_drafts, 5u);
  EXPECT_GT(stats.num_accepted_tokens, 20u);
  EXPECT_LT(stats.num_accepted_tokens, stats.num_draft_tokens);
  EXPECT_EQ(stats.num_sampled, 60u);
  EXPECT_EQ(stats.num_steps + stats.num_accepted_tokens, 60u);
  EXPECT_EQ(stats.num_rows, 39 + 59 + stats.num_draft_tokens - stats.num_accepted_tokens);
  EXPECT_EQ(stats.cache.tokens_computed, plain.stats().cache.tokens_computed);
  EXPECT_EQ(stats.inter_token_latency.count(), 59u);
  EXPECT_EQ(stats.num_prompt_tokens, plain.stats().num_prompt_tokens);
}

TEST(EngineDrafts, whatever_the_rules_of_sampling_the_answer_is_the_same) {
  for (uint32_t kind = 0; kind < 12; ++kind) {
    Request request = ask(45, 60);
    request.top_logprobs = kind % 3;
    request.sampling.seed = kind;
    if (kind % 2 == 1) request.sampling.temperature = 60;  // the model's word is 1000 above all others
    if (kind == 2) request.sampling.frequency_penalty = 2;
    if (kind == 3) request.sampling.repetition_penalty = 1.5;
    if (kind == 4) request.sampling.presence_penalty = 2;
    if (kind >= 5 && kind < 8) request.sampling.frequency_penalty = 400;  // the third time is one too many
    if (kind == 8) request.sampling.logit_bias = {{7, -2000.0f}};
    if (kind == 9) request.stop = {"rstab"};
    if (kind == 10) request.stop_tokens = {12}, request.min_tokens = 14;
    if (kind == 11) request.max_tokens = 33;
    std::vector<TextEvent> events;
    for (const uint32_t max_drafts : {0u, 5u}) {
      House house(with_drafts(max_drafts));
      TextStream stream = house.submit(request);
      house.run();
      events.push_back(all_of(stream));
      if (max_drafts > 0) {
        EXPECT_GT(house.stats().num_accepted_tokens, 3u) << kind;
      }
    }
    EXPECT_EQ(events[0].text, events[1].text) << kind;
    EXPECT_EQ(events[0].tokens, events[1].tokens) << kind;
    EXPECT_EQ(events[0].logprobs, events[1].logprobs) << kind;
    EXPECT_EQ(events[0].text_begins, events[1].text_begins) << kind;
    EXPECT_EQ(events[0].finish, events[1].finish) << kind;
  }
}

TEST(EngineDrafts, they_take_no_block_that_their_sequence_does_not_have) {
  House house(with_drafts(5));
  TextStream stream = house.submit(ask(30, 100));
  while (house.engine->step()) {
    if (house.stats().num_running == 0) break;
    ASSERT_EQ(house.executor.slices.size(), 1u);
    const StepSlice& slice = house.executor.slices[0];
    ASSERT_EQ(slice.num_blocks, (slice.first_position + slice.num_rows + 15) / 16);
    ASSERT_LE(slice.num_rows, slice.first_position == 0 ? 30u : 6u);
    ASSERT_EQ(slice.num_logits, slice.first_position == 0 ? 1u : slice.num_rows);
    ASSERT_LT(slice.first_position + slice.num_rows, 130u);  // what the answer may have, but for its last token
  }
  EXPECT_GT(house.stats().num_accepted_tokens, 50u);
}

TEST(EngineDrafts, there_are_no_more_than_logits_beside_everyones_own) {
  EngineOptions options = with_drafts(12);
  options.max_num_seqs = 64;  // of 69 rows of logits
  House house(options);
  std::vector<TextStream> streams;
  for (int i = 0; i < 2; ++i) streams.push_back(house.submit(ask(30 + i, 100)));
  uint32_t most_rows = 0;
  while (house.engine->step()) {
    const auto& slices = house.executor.slices;
    if (slices[0].first_position < 40) continue;
    uint32_t num_rows = 0;
    for (const StepSlice& slice : slices) num_rows += slice.num_rows;
    ASSERT_LE(num_rows, slices.size() + 5);
    most_rows = std::max(most_rows, num_rows);
  }
  EXPECT_EQ(most_rows, 7u);
}

TEST(EngineDrafts, nothing_of_a_wrong_one_is_remembered) {
  House house(with_drafts(5));
  TextStream first = house.submit(ask(1, 3));  // what a step takes is known from it
  house.run();
  Request request = ask(40, 6);  // 0 ... 19 0 ... 19
  request.prompt.insert(request.prompt.end(), {4, 5, 6, 7, 11, 12, 13, 14, 4, 5, 6});
  TextStream stream = house.submit(request);
  house.run();
  const TextEvent event = all_of(stream);
  EXPECT_EQ(event.tokens, (std::vector<TokenId>{7, 8, 9, 10, 11, 12}));  // 7 and then 11 was the guess
  EXPECT_LT(house.stats().num_accepted_tokens, house.stats().num_draft_tokens);
  Request guessed = request;
  guessed.prompt.insert(guessed.prompt.end(), {7, 11, 12, 13, 14});
  TextStream after_guess = house.submit(guessed);
  house.run();
  EXPECT_EQ(all_of(after_guess).cached_tokens, 52u);
  Request said = request;
  said.prompt.insert(said.prompt.end(), event.tokens.begin(), event.tokens.end());
  TextStream after_answer = house.submit(said);
  house.run();
  EXPECT_EQ(all_of(after_answer).cached_tokens, 56u);  // all but the last, which was drawn and not computed
}

TEST(EngineDrafts, there_are_none_beside_a_prompt_and_none_that_take_a_row_from_others) {
  EngineOptions options = with_drafts(5);
  options.max_num_seqs = 8;
  options.max_num_batched_tokens = 8;
  House house(options);
  TextStream first = house.submit(ask(30, 100));
  for (int step = 0; step < 12; ++step) house.engine->step();
  EXPECT_GT(house.executor.slices[0].num_rows, 1u);
  Request other = ask(40, 100);
  std::ranges::reverse(other.prompt);
  TextStream second = house.submit(other);
  uint32_t prompt_rows = 0;
  while (prompt_rows < 40) {
    house.engine->step();
    ASSERT_EQ(house.executor.slices.size(), 2u);
    ASSERT_EQ(house.executor.slices[0].num_rows, 1u);
    prompt_rows += house.executor.slices[1].num_rows;
  }
  for (int step = 0; step < 6; ++step) {
    house.engine->step();
    ASSERT_EQ(house.executor.slices.size(), 2u);
    ASSERT_LE(house.executor.slices[0].num_rows + house.executor.slices[1].num_rows, 8u);
  }
  house.run();
  EXPECT_EQ(all_of(first).num_tokens, 100u);
  EXPECT_EQ(all_of(second).num_tokens, 100u);
}

TEST(EngineDrafts, a_result_that_is_not_finite_is_computed_again_without) {
  House house(with_drafts(5));
  TextStream stream = house.submit(ask(30, 60));
  for (int step = 0; step < 6; ++step) house.engine->step();
  EXPECT_GT(house.executor.slices[0].num_rows, 1u);
  const uint64_t num_sampled = house.stats().num_sampled;
  house.executor.failing_slice = 0;
  house.engine->step();
  EXPECT_EQ(house.stats().num_sampled, num_sampled);
  EXPECT_EQ(house.engine->check(), "");
  house.executor.failing_slice.reset();
  const uint32_t position = house.executor.slices[0].first_position;
  house.engine->step();
  EXPECT_EQ(house.executor.slices[0].first_position, position);
  EXPECT_EQ(house.executor.slices[0].num_rows, 1u);
  house.run();
  const TextEvent event = all_of(stream);
  EXPECT_EQ(event.num_tokens, 60u);
  EXPECT_EQ(event.tokens.back(), (30 + 59) % kVocab);
  EXPECT_EQ(house.stats().num_failed, 0u);
}

TEST(EngineDrafts, a_result_that_is_not_finite_without_either_ends_the_answer) {
  House house(with_drafts(5));
  TextStream stream = house.submit(ask(30, 60));
  for (int step = 0; step < 6; ++step) house.engine->step();
  EXPECT_GT(house.executor.slices[0].num_rows, 1u);
  house.executor.failing_slice = 0;
  house.engine->step();
  EXPECT_EQ(house.stats().num_failed, 0u);
  house.engine->step();
  EXPECT_EQ(house.stats().num_failed, 1u);
  EXPECT_EQ(all_of(stream).finish, FinishReason::kError);
}

// What the executor's clock says with and without, of answers that repeat themselves and of guesses that lead astray.
TEST(EngineDrafts, no_request_takes_more_than_two_percent_longer) {
  for (const uint64_t ms_per_step : {0, 1, 3, 20}) {  // beside one for each row
    for (const uint32_t num_astray : {0u, 3u, 1000u}) {
      std::vector<double> times_s;
      for (const uint32_t max_drafts : {0u, 5u}) {
        EngineOptions options = with_drafts(max_drafts);
        options.max_model_len = 1000;
        options.draft_allowance = kDraftAllowance;
        House house(options);
        house.executor.ns_per_step = ms_per_step * 1'000'000;
        house.executor.astray_every = num_astray;
        for (int i = 0; i < 3; ++i) {
          TextStream stream = house.submit(ask(45, 900));
          house.run();
        }
        times_s.push_back(house.stats().whole_answer.sum_s());
      }
      EXPECT_LE(times_s[1], 1.02 * times_s[0]) << ms_per_step << " " << num_astray;
      if (ms_per_step == 20 && num_astray == 1000) {
        EXPECT_LT(times_s[1], 0.5 * times_s[0]);
      }
    }
  }
}

}  // namespace
}  // namespace slipstream
