#include "engine/engine.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <algorithm>
#include <thread>

#include "engine/counting_executor.h"

namespace slipstream {
namespace {

constexpr uint32_t kVocab = 20;

struct House {
  explicit House(EngineOptions changed = {}) : options(changed), table(letter_table(kVocab)), executor(kVocab) {
    if (options.num_blocks == 0) options.num_blocks = 16;
    if (options.max_model_len == 0) options.max_model_len = 32;
    options.block_tokens = 4;
    executor.clock_ns = &clock_ns;
    engine.emplace(options, executor, pool, &table, Clock::manual(&clock_ns));
  }

  TextStream submit(const Request& request, ResumeQueue* queue = nullptr) {
    return engine->submit(request, queue).value();
  }
  Error refusal(const Request& request) {
    auto stream = engine->submit(request, nullptr);
    return stream.ok() ? Error{ErrorKind::kOutside, "it was taken", {}, {}} : stream.error();
  }
  void run() {
    while (engine->step()) ASSERT_EQ(engine->check(), "");
  }

  EngineOptions options;
  TokenTable table;
  CountingExecutor executor;
  ThreadPool pool{2};
  std::atomic<uint64_t> clock_ns{0};
  std::optional<Engine> engine;
};

// After token `last` the model says last + 1, and so on.
Request ask(std::vector<TokenId> prompt, uint32_t max_tokens) {
  Request request;
  request.prompt = std::move(prompt);
  request.max_tokens = max_tokens;
  request.sampling.temperature = 0;
  return request;
}

std::vector<TextEvent> events(TextStream& stream) {
  std::vector<TextEvent> all;
  while (auto event = stream.try_next()) all.push_back(*event);
  return all;
}

TEST(Engine, an_answer_comes_token_by_token_and_ends_with_its_reason) {
  House house;
  TextStream stream = house.submit(ask({0}, 3));
  std::string text;
  for (const char* expected : {"b", "c", "d"}) {
    EXPECT_TRUE(house.engine->step());
    const auto event = stream.try_next();
    ASSERT_TRUE(event);
    EXPECT_EQ(event->text, expected);
    EXPECT_EQ(event->num_tokens, 1u);
    EXPECT_EQ(event->finish.has_value(), *expected == 'd');
  }
  EXPECT_FALSE(stream.try_next());
  EXPECT_FALSE(house.engine->step());
  EXPECT_TRUE(house.engine->idle());
}

TEST(Engine, events_gather_while_the_reader_is_away) {
  House house;
  TextStream stream = house.submit(ask({0}, 5));
  house.run();
  const auto all = events(stream);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].text, "bcdef");
  EXPECT_EQ(all[0].num_tokens, 5u);
  EXPECT_EQ(all[0].finish, FinishReason::kLength);
}

TEST(Engine, the_stream_interval_sends_the_first_token_then_every_so_many_then_the_end) {
  House house({.stream_interval = 3});
  TextStream stream = house.submit(ask({0}, 9));
  std::vector<std::string> texts;
  while (house.engine->step()) {
    for (const TextEvent& event : events(stream)) texts.push_back(event.text);
  }
  EXPECT_EQ(texts, (std::vector<std::string>{"b", "cde", "fgh", "ij"}));
}

TEST(Engine, an_end_of_turn_token_ends_the_answer_unless_it_is_to_be_ignored) {
  House house({.eos_tokens = {3}});
  TextStream stream = house.submit(ask({0}, 9));
  Request ignoring = ask({0}, 9);
  ignoring.ignore_eos = true;
  TextStream longer = house.submit(ignoring);
  house.run();
  const auto all = events(stream);
  EXPECT_EQ(all[0].text, "bc");
  EXPECT_EQ(all[0].num_tokens, 3u);
  EXPECT_EQ(all[0].finish, FinishReason::kStop);
  house.run();
  EXPECT_EQ(events(longer)[0].text, "bcdefghij");
}

TEST(Engine, a_stop_string_ends_the_answer_before_it) {
  House house;
  Request request = ask({0}, 9);
  request.stop = {"ef"};
  TextStream stream = house.submit(request);
  house.run();
  const auto all = events(stream);
  EXPECT_EQ(all[0].text, "bcd");
  EXPECT_EQ(all[0].num_tokens, 5u);
  EXPECT_EQ(all[0].finish, FinishReason::kStop);
}

TEST(Engine, max_tokens_is_shortened_to_what_the_context_leaves) {
  House house;
  TextStream stream = house.submit(ask(std::vector<TokenId>(30, 1), 1000));
  house.run();
  EXPECT_EQ(events(stream)[0].num_tokens, 2u);
}

TEST(Engine, a_prompt_that_can_never_fit_is_refused_with_both_numbers) {
  House house;
  const Error error = house.refusal(ask(std::vector<TokenId>(32, 1), 1));
  EXPECT_EQ(error.kind, ErrorKind::kInvalid);
  EXPECT_EQ(error.code, "context_length_exceeded");
  EXPECT_NE(error.message.find("has 32 tokens"), std::string::npos) << error.message;
  EXPECT_NE(error.message.find("holds 32"), std::string::npos) << error.message;
  EXPECT_TRUE(house.engine->idle());
  EXPECT_TRUE(house.engine->submit(ask(std::vector<TokenId>(31, 1), 1), nullptr).ok());
}

TEST(Engine, a_token_outside_the_vocabulary_and_an_empty_prompt_are_refused) {
  House house;
  EXPECT_NE(house.refusal(ask({1, kVocab}, 1)).message.find("token 20"), std::string::npos);
  EXPECT_NE(house.refusal(ask({}, 1)).message.find("no tokens"), std::string::npos);
}

TEST(Engine, a_full_queue_is_refused_and_has_room_again_when_somebody_was_admitted) {
  House house({.max_waiting_requests = 2});
  TextStream first = house.submit(ask({0}, 2));
  TextStream second = house.submit(ask({0}, 2));
  EXPECT_EQ(house.refusal(ask({0}, 2)).kind, ErrorKind::kOverloaded);
  house.engine->step();
  TextStream third = house.submit(ask({0}, 2));
  EXPECT_EQ(house.refusal(ask({0}, 2)).kind, ErrorKind::kOverloaded);
  EXPECT_EQ(house.engine->stats().num_waiting, 2u);
  house.run();
  EXPECT_EQ(events(third)[0].num_tokens, 2u);
}

TEST(Engine, a_queue_full_of_tokens_is_refused) {
  House house({.max_waiting_tokens = 40});
  TextStream first = house.submit(ask(std::vector<TokenId>(30, 1), 1));
  EXPECT_EQ(house.refusal(ask(std::vector<TokenId>(11, 1), 1)).kind, ErrorKind::kOverloaded);
  EXPECT_TRUE(house.engine->submit(ask(std::vector<TokenId>(10, 1), 1), nullptr).ok());
}

TEST(Engine, in_simple_mode_one_runs_and_the_others_wait_in_turn) {
  House house;
  TextStream first = house.submit(ask({0}, 3));
  TextStream second = house.submit(ask({5}, 2));
  std::vector<char> order;
  while (house.engine->step()) {
    EXPECT_EQ(house.executor.slices.size(), 1u);
    for (TextStream* stream : {&first, &second}) {
      for (const TextEvent& event : events(*stream)) order.push_back(event.text[0]);
    }
  }
  EXPECT_EQ(order, (std::vector<char>{'b', 'c', 'd', 'g', 'h'}));
}

TEST(Engine, together_they_join_and_leave_at_any_step) {
  House house({.max_num_seqs = 8});
  TextStream first = house.submit(ask({0}, 4));
  house.engine->step();
  TextStream second = house.submit(ask({10}, 2));
  house.engine->step();
  EXPECT_EQ(house.executor.slices.size(), 2u);
  house.engine->step();
  house.engine->step();
  EXPECT_EQ(house.executor.slices.size(), 1u);
  EXPECT_EQ(events(first)[0].text, "bcde");
  EXPECT_EQ(events(second)[0].text, "lm");
}

TEST(Engine, what_the_cache_had_is_told_from_the_first_event_on) {
  House house;
  TextStream first = house.submit(ask(std::vector<TokenId>(10, 1), 1));
  house.run();
  TextStream second = house.submit(ask(std::vector<TokenId>(10, 1), 2));
  house.engine->step();
  EXPECT_EQ(events(first)[0].cached_tokens, 0u);
  EXPECT_EQ(second.try_next()->cached_tokens, 8u);
  EXPECT_EQ(house.engine->stats().num_cached_tokens, 8u);
}

TEST(Engine, destroying_the_stream_cancels_and_the_next_step_frees_its_blocks) {
  House house({.max_num_seqs = 2});
  auto stream = std::make_optional(house.submit(ask({0}, 20)));
  TextStream waiting = house.submit(ask({5}, 20));
  for (int step = 0; step < 3; ++step) house.engine->step();
  EXPECT_EQ(house.engine->stats().blocks_in_use, 2u);
  stream.reset();
  house.engine->step();
  EXPECT_EQ(house.engine->stats().blocks_in_use, 1u);
  EXPECT_EQ(house.engine->stats().num_cancelled, 1u);
  EXPECT_EQ(house.executor.slices.size(), 1u);
}

TEST(Engine, a_stream_destroyed_before_the_engine_saw_it_never_runs) {
  House house;
  house.submit(ask({0}, 20));
  EXPECT_FALSE(house.engine->step());
  EXPECT_TRUE(house.engine->idle());
  EXPECT_EQ(house.executor.num_runs, 0u);
}

TEST(Engine, destroying_the_stream_of_an_ended_answer_cancels_nothing) {
  House house;
  auto stream = std::make_optional(house.submit(ask({0}, 1)));
  house.run();
  stream.reset();
  house.engine->step();
  EXPECT_EQ(house.engine->stats().num_cancelled, 0u);
}

TEST(Engine, a_stream_destroyed_in_the_step_that_ends_its_answer_cancels_nothing) {
  House house;
  std::optional<TextStream> stream = house.submit(ask({0}, 1));
  TextStream other = house.submit(ask({0}, 2));
  house.executor.leaving_in_run = &stream;
  house.run();
  EXPECT_EQ(house.engine->stats().num_cancelled, 0u);
  EXPECT_TRUE(house.engine->idle());
  EXPECT_EQ(events(other)[0].num_tokens, 2u);
}

TEST(Engine, a_result_that_is_not_finite_is_the_requests_own_error) {
  House house({.max_num_seqs = 2});
  TextStream first = house.submit(ask({0}, 5));
  TextStream second = house.submit(ask({5}, 5));
  house.engine->step();
  house.executor.failing_slice = 1;
  house.engine->step();
  house.executor.failing_slice.reset();
  house.run();
  const auto all = events(second);
  EXPECT_EQ(all[0].finish, FinishReason::kError);
  EXPECT_EQ(all[0].error->kind, ErrorKind::kModel);
  EXPECT_EQ(all[0].text, "g");
  EXPECT_EQ(events(first)[0].text, "bcdef");
  EXPECT_EQ(house.engine->stats().num_failed, 1u);
}

TEST(Engine, text_gathered_before_a_failure_is_not_lost) {
  House house({.stream_interval = 10});
  TextStream stream = house.submit(ask({0}, 9));
  for (int step = 0; step < 4; ++step) house.engine->step();
  house.executor.failing_slice = 0;
  house.engine->step();
  const auto all = events(stream);
  EXPECT_EQ(all[0].text, "bcde");
  EXPECT_EQ(all[0].num_tokens, 4u);
  EXPECT_EQ(all[0].finish, FinishReason::kError);
}

TEST(Engine, draining_refuses_new_requests_and_finishes_the_others) {
  House house;
  TextStream stream = house.submit(ask({0}, 3));
  house.engine->drain();
  EXPECT_EQ(house.refusal(ask({0}, 1)).kind, ErrorKind::kUnavailable);
  EXPECT_FALSE(house.engine->idle());
  house.run();
  EXPECT_TRUE(house.engine->idle());
  EXPECT_TRUE(house.engine->stats().draining);
  EXPECT_EQ(events(stream)[0].finish, FinishReason::kLength);
}

TEST(Engine, stop_ends_run_and_every_answer_that_has_not_ended) {
  House house;
  TextStream running = house.submit(ask({0}, 20));
  TextStream waiting = house.submit(ask({0}, 20));
  house.engine->step();
  house.engine->stop();
  TextStream* both[] = {&running, &waiting};
  house.engine->run();
  for (TextStream* stream : both) {
    const auto all = events(*stream);
    EXPECT_EQ(all[0].finish, FinishReason::kError);
    EXPECT_EQ(all[0].error->kind, ErrorKind::kUnavailable);
  }
  EXPECT_TRUE(house.engine->idle());
  EXPECT_EQ(house.engine->stats().blocks_in_use, 0u);
  EXPECT_EQ(house.refusal(ask({0}, 1)).kind, ErrorKind::kUnavailable);
}

TEST(Engine, what_was_gathered_before_a_stop_is_still_sent) {
  EngineOptions options;
  options.stream_interval = 10;
  House house(options);
  TextStream stream = house.submit(ask({0}, 20));
  for (int step = 0; step < 4; ++step) house.engine->step();
  house.engine->stop();
  house.engine->run();
  const auto all = events(stream);
  EXPECT_EQ(all[0].text, "bcde");
  EXPECT_EQ(all[0].finish, FinishReason::kError);
}

TEST(Engine, an_engine_that_goes_away_ends_its_answers_and_late_streams_do_no_harm) {
  House house;
  TextStream stream = house.submit(ask({0}, 20));
  TextStream unseen = house.submit(ask({0}, 20));
  house.engine->step();
  TextStream late = house.submit(ask({0}, 20));
  house.engine.reset();
  EXPECT_EQ(events(late)[0].error->kind, ErrorKind::kUnavailable);
  EXPECT_EQ(events(stream)[0].text, "b");
}

TEST(Engine, a_long_prompt_is_cut_so_that_a_step_takes_about_the_time_allowed) {
  House house({.num_blocks = 1000, .max_model_len = 4000, .max_num_seqs = 2, .max_step_ms = 100});
  TextStream answer = house.submit(ask({0}, 3000));
  house.engine->step();
  TextStream stream = house.submit(ask(std::vector<TokenId>(3000, 1), 1));  // a row takes a millisecond
  std::vector<double> step_ms;
  while (events(stream).empty()) {
    house.engine->step();
    step_ms.push_back(house.engine->stats().last_step_ms);
    EXPECT_EQ(house.executor.slices.size(), 2u);  // the answer goes on in each
  }
  EXPECT_LE(*std::ranges::max_element(step_ms), 130);
  EXPECT_NEAR(static_cast<double>(step_ms.size()), 30, 6);
}

TEST(Engine, the_table_of_sequences_names_all) {
  House house;
  TextStream running = house.submit(ask({0, 1, 2}, 20));
  TextStream waiting = house.submit(ask({0, 1}, 20));
  house.engine->step();
  const std::string table = house.engine->describe();
  EXPECT_NE(table.find("running"), std::string::npos);
  EXPECT_NE(table.find("waiting"), std::string::npos);
}

TEST(Engine, numbers_count_what_happened) {
  House house;
  TextStream stream = house.submit(ask(std::vector<TokenId>(9, 1), 3));
  EXPECT_EQ(house.engine->stats().num_waiting, 1u);
  house.run();
  const EngineStats stats = house.engine->stats();
  EXPECT_EQ(stats.num_steps, 3u);
  EXPECT_EQ(stats.num_rows, 11u);
  EXPECT_EQ(stats.num_sampled, 3u);
  EXPECT_EQ(stats.num_ended, 1u);
  EXPECT_EQ(stats.num_waiting, 0u);
  EXPECT_EQ(stats.blocks_total, 16u);
  EXPECT_EQ(stats.blocks_remembered, 2u);
  EXPECT_EQ(stats.num_blocks_stored, 2u);
}

}  // namespace
}  // namespace slipstream
