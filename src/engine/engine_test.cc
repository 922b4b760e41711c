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

TEST(Engine, of_several_clients_one_cannot_fill_the_queue) {
  House house({.num_clients = 2, .max_waiting_requests = 4});
  std::vector<TextStream> crowd;
  while (true) {
    auto stream = house.engine->submit(ask({0}, 1), nullptr);
    if (!stream.ok()) break;
    crowd.push_back(std::move(*stream));
  }
  EXPECT_EQ(crowd.size(), 2u);
  Request other = ask({0}, 1);
  other.client = 1;
  TextStream stream = house.submit(other);
  house.run();
  EXPECT_EQ(events(stream)[0].num_tokens, 1u);
  EXPECT_TRUE(house.engine->submit(ask({0}, 1), nullptr).ok());
}

TEST(Engine, a_crowd_of_one_client_does_not_hold_up_anothers_request) {
  House house({.num_clients = 2, .turn_tokens = 8});
  std::vector<TextStream> crowd;
  for (int i = 0; i < 100; ++i) crowd.push_back(house.submit(ask({0}, 3)));
  Request lone = ask({5}, 3);
  lone.client = 1;
  TextStream stream = house.submit(lone);
  uint32_t steps = 0;
  for (; events(stream).empty(); ++steps) house.engine->step();
  EXPECT_EQ(steps, 7u);  // a turn of eight tokens is two of the crowd, three steps each
}

TEST(Engine, a_request_cancelled_while_it_waits_leaves_room_in_the_queue) {
  House house({.max_waiting_requests = 2});
  TextStream running = house.submit(ask({0}, 9));
  house.engine->step();
  auto waiting = std::make_optional(house.submit(ask({0}, 2)));
  TextStream behind = house.submit(ask({0}, 2));
  house.engine->step();
  EXPECT_EQ(house.refusal(ask({0}, 2)).kind, ErrorKind::kOverloaded);
  waiting.reset();
  house.engine->step();
  EXPECT_EQ(house.engine->stats().num_waiting, 1u);
  EXPECT_TRUE(house.engine->submit(ask({0}, 2), nullptr).ok());
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
  EXPECT_EQ(second.try_next()->cached_tokens, 9u);
  EXPECT_EQ(house.engine->stats().num_cached_tokens, 9u);
}

TEST(Engine, each_request_is_one_hit_prefix_hit_or_miss) {
  House house;
  const std::vector<TokenId> prompt{1, 2, 3, 4, 5, 6};
  house.submit(ask(prompt, 1));  // leaves at once, and counts for nothing
  for (const auto& more : {std::vector<TokenId>{}, {7, 8}, {}}) {
    std::vector<TokenId> all = prompt;
    all.insert(all.end(), more.begin(), more.end());
    const TextStream stream = house.submit(ask(all, 1));
    house.run();
  }
  const TextStream other = house.submit(ask({9}, 1));
  house.run();
  const CacheCounts counts = house.engine->stats().cache;
  EXPECT_EQ(counts.misses, 2u);
  EXPECT_EQ(counts.prefix_hits, 1u);
  EXPECT_EQ(counts.hits, 1u);
  EXPECT_EQ(counts.tokens_reused, 6u + 5u);
  EXPECT_EQ(counts.tokens_computed, 6u + 2u + 1u + 1u);
  EXPECT_EQ(counts.evictions, 0u);
  EXPECT_EQ(counts.entries, 2u);
}

TEST(Engine, a_cleared_cache_has_nothing_but_what_is_held) {
  House house;
  const TextStream first = house.submit(ask(std::vector<TokenId>(10, 1), 1));
  house.run();
  const TextStream held = house.submit(ask({2, 3, 4, 5, 6}, 3));
  house.engine->step();
  house.engine->clear_cache();
  house.engine->step();
  EXPECT_EQ(house.engine->check(), "");
  EXPECT_EQ(house.engine->stats().blocks_remembered, 1u);
  const TextStream again = house.submit(ask(std::vector<TokenId>(10, 1), 1));
  house.run();
  EXPECT_EQ(house.engine->stats().cache.hits, 0u);
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
  EXPECT_EQ(stats.blocks_remembered, 3u);
  EXPECT_EQ(stats.num_blocks_stored, 3u);
  EXPECT_EQ(stats.num_prompt_tokens, 9u);
  EXPECT_EQ(stats.num_queried_tokens, 9u);
}

TEST(Engine, latencies_count_from_when_a_request_was_asked_for) {
  House house({.eos_tokens = {3}});
  house.clock_ns = 5'000'000'000;
  Request request = ask({0}, 9);
  request.arrived_ns = 4'900'000'000;  // read and encoded meanwhile
  TextStream first = house.submit(request);
  TextStream second = house.submit(ask({6}, 2));  // waits in turn
  house.run();
  const EngineStats stats = house.engine->stats();  // a row takes a millisecond
  EXPECT_EQ(stats.queue_time.count(), 2u);
  EXPECT_NEAR(stats.queue_time.sum_s(), 0.1 + 0.003, 1e-9);
  EXPECT_EQ(stats.time_to_first_token.count(), 2u);
  EXPECT_NEAR(stats.time_to_first_token.sum_s(), 0.101 + 0.004, 1e-9);
  EXPECT_EQ(stats.inter_token_latency.count(), 3u);
  EXPECT_NEAR(stats.inter_token_latency.sum_s(), 0.003, 1e-9);
  EXPECT_EQ(stats.whole_answer.count(), 2u);
  EXPECT_NEAR(stats.whole_answer.sum_s(), 0.103 + 0.005, 1e-9);
  EXPECT_EQ(stats.num_ended, 2u);
  EXPECT_EQ(stats.num_stopped, 1u);
  EXPECT_EQ(stats.time_to_first_token.count_in(8), 1u);  // above 0.1 s, at most 0.25 s
}

TEST(Engine, logprobs_come_from_the_raw_logits_with_their_tokens) {
  House house;
  Request request = ask({0}, 3);
  request.top_logprobs = 2;
  request.report_tokens = true;
  request.sampling.logit_bias = {{5, 100.0f}, {1, -100.0f}};  // 1000 - 100 is still the largest
  TextStream stream = house.submit(request);
  house.run();
  const TextEvent event = events(stream)[0];
  EXPECT_EQ(event.tokens, (std::vector<TokenId>{1, 2, 3}));
  EXPECT_EQ(event.text_begins, (std::vector<uint64_t>{0, 1, 2}));
  ASSERT_EQ(event.logprobs.size(), 9u);
  for (TokenId token : {1, 2, 3}) {
    const TokenLogprob* const own = &event.logprobs[(token - 1) * 3];
    EXPECT_EQ(own[0], (TokenLogprob{token, 0.0f}));
    EXPECT_EQ(own[1], (TokenLogprob{token, 0.0f}));
    EXPECT_EQ(own[2].token, 0u);
    EXPECT_LT(own[2].logprob, -50.0f);
  }
}

TEST(Engine, a_scored_prompt_gives_logprobs_of_its_tokens_however_it_is_cut) {
  for (const uint32_t rows : {1u, 2u, 100u}) {
    House house({.max_num_batched_tokens = rows});
    Request request = ask({0, 1, 2, 5, 6, 9, 10, 11, 3, 4, 5, 6}, 2);
    request.top_logprobs = 0;
    request.prompt_logprobs = true;
    TextStream other = house.submit(ask({7}, 20));
    TextStream stream = house.submit(request);
    house.run();
    const TextEvent event = events(stream)[0];
    ASSERT_EQ(event.prompt_logprobs.size(), 11u);
    for (size_t i = 0; i < 11; ++i) {
      const TokenLogprob found = event.prompt_logprobs[i];
      EXPECT_EQ(found.token, request.prompt[i + 1]);
      EXPECT_EQ(found.logprob > -1, request.prompt[i + 1] == request.prompt[i] + 1);  // what the model says
    }
    EXPECT_EQ(event.logprobs.size(), 2u);
    EXPECT_EQ(event.cached_tokens, 0u);
  }
}

TEST(Engine, with_max_tokens_0_the_prompt_alone_is_computed) {
  House house;
  Request request = ask({0, 1, 2, 3, 4, 5, 6, 7}, 0);
  request.top_logprobs = 1;
  request.prompt_logprobs = true;
  TextStream stream = house.submit(request);
  house.run();
  const auto all = events(stream);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].prompt_logprobs.size(), 14u);
  EXPECT_EQ(all[0].num_tokens, 0u);
  EXPECT_EQ(all[0].finish, FinishReason::kLength);
  EXPECT_EQ(house.engine->stats().num_sampled, 0u);
  EXPECT_TRUE(house.engine->idle());
}

TEST(Engine, before_min_tokens_no_token_that_would_end_it_is_chosen) {
  House house({.eos_tokens = {2}});
  Request request = ask({0}, 9);
  request.min_tokens = 4;
  request.stop_tokens = {3};
  TextStream stream = house.submit(request);
  house.run();
  const TextEvent event = events(stream)[0];
  // After 'b' comes 2, banned: all others have equal logits, the first is 0, and so round again.
  EXPECT_EQ(event.text, std::string("bababa").substr(0, event.text.size()));
  EXPECT_GE(event.num_tokens, 4u);
  EXPECT_EQ(event.finish, FinishReason::kStop);
  request.stop_tokens.assign(kVocab, 1);
  EXPECT_EQ(house.refusal(request).param, "stop_token_ids");
  request.stop_tokens = {kVocab};
  EXPECT_EQ(house.refusal(request).param, "stop_token_ids");
}

TEST(Engine, what_penalties_and_stop_strings_keep_counts_as_waiting) {
  House house({.max_waiting_tokens = 1000});
  std::vector<TextStream> streams;
  streams.push_back(house.submit(ask({0, 1, 2, 3}, 20)));
  Request costly = ask({0, 1, 2, 3}, 20);
  costly.sampling.presence_penalty = 1;  // 4 + 4 * 24 tokens
  while (streams.size() < 20) {
    Result<TextStream> stream = house.engine->submit(costly, nullptr);
    if (!stream.ok()) break;
    streams.push_back(std::move(*stream));
  }
  EXPECT_EQ(streams.size(), 1u + 9u);
  house.run();
  Request stopping = ask({0, 1, 2, 3}, 20);
  stopping.stop.assign(8, std::string(100, 'x'));
  const TextStream before = house.submit(ask({5}, 1));
  EXPECT_EQ(house.refusal(stopping).kind, ErrorKind::kOverloaded);  // 4 + 8 * 125
  house.run();
  EXPECT_TRUE(house.engine->idle());
}

TEST(Engine, prompts_logprobs_in_work_are_bounded_and_given_back) {
  House house({.max_prompt_logprobs = 20});
  Request request = ask({0, 1, 2, 3, 4, 5, 6}, 1);
  request.top_logprobs = 1;
  request.prompt_logprobs = true;
  TextStream first = house.submit(request);
  EXPECT_EQ(house.refusal(request).kind, ErrorKind::kOverloaded);
  house.submit(ask({0, 1, 2, 3, 4, 5, 6}, 1));  // others are not concerned
  house.run();
  TextStream second = house.submit(request);
  { const TextStream leaving = std::move(second); }
  house.run();
  TextStream third = house.submit(request);
  request.top_logprobs = 20;
  const Error refusal = house.refusal(request);
  EXPECT_EQ(refusal.kind, ErrorKind::kInvalid);
  EXPECT_EQ(refusal.param, "logprobs");
}

}  // namespace
}  // namespace slipstream
