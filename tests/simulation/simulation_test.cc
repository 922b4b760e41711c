// The engine against whole worlds. The seeds are fixed, so that a failure here is a failure everywhere; other worlds:
// simulation_worlds.
#include <gtest/gtest.h>

#include "echo_executor.h"
#include "world.h"

namespace slipstream {
namespace {

TEST(Simulation, in_20000_worlds_each_answer_is_the_one_its_request_gets_alone) {
  WorldTotals totals;
  for (uint64_t seed = 1; seed <= 20'000; ++seed) {
    const WorldResult result = run_echo_world(seed);
    ASSERT_EQ(result.fault, "") << "replay: simulation_worlds --worlds 1 --seed " << seed;
    totals.add(result);
  }
  // All of it did happen.
  EXPECT_GT(totals.num_preemptions, 5'000u);
  EXPECT_GT(totals.num_cached_tokens, 200'000u);
  EXPECT_GT(totals.num_hits, 10'000u);
  EXPECT_GT(totals.num_copies, 20'000u);
  EXPECT_GT(totals.num_passed_over, 1'000u);
  EXPECT_GT(totals.num_evictions, 100'000u);
  EXPECT_GT(totals.num_blocks_removed, 50'000u);
  EXPECT_GT(totals.num_blocks_saved, 10'000u);
  EXPECT_GT(totals.num_blocks_loaded, 10'000u);
  EXPECT_GT(totals.num_second_lives, 3'000u);
  EXPECT_GT(totals.num_cancelled, 10'000u);
  EXPECT_GT(totals.num_failed, 5'000u);
  EXPECT_GT(totals.num_draft_tokens, 50'000u);
  EXPECT_GT(totals.num_draft_tokens - totals.num_accepted_tokens, 10'000u);
  EXPECT_GT(totals.num_accepted_tokens, 30'000u);
  EXPECT_GT(totals.num_stopped, 20'000u);
  EXPECT_GT(totals.num_at_length, 50'000u);
  RecordProperty("worlds", totals.describe(1));
}

TEST(Simulation, a_world_is_its_seed) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const WorldResult once = run_echo_world(seed);
    const WorldResult again = run_echo_world(seed);
    EXPECT_EQ(once.stats.num_rows, again.stats.num_rows);
    EXPECT_EQ(once.stats.num_steps, again.stats.num_steps);
  }
}

// Requests that all start alike, and their answers alone.
struct Crowd {
  explicit Crowd(uint32_t num_requests) : table(echo_tokens(32)) {
    world.options.block_tokens = 4;
    world.options.max_model_len = 64;
    world.options.num_blocks = num_requests * 16;
    world.options.max_num_seqs = num_requests;
    world.options.max_step_ms = 0;
    world.options.eos_tokens = {31};
    for (uint32_t i = 0; i < num_requests; ++i) {
      WorldRequest asked;
      for (uint32_t token = 0; token < 17; ++token) asked.request.prompt.push_back(token);
      asked.request.prompt.push_back(i % 32);
      asked.request.max_tokens = 40;
      asked.request.ignore_eos = true;
      asked.request.sampling.seed = i;
      asked.request.sampling.temperature = i % 2;
      world.requests.push_back(asked);
    }
  }

  EchoOptions echo_options() const {
    return {.vocab_size = 32, .num_blocks = world.options.num_blocks, .block_tokens = world.options.block_tokens};
  }
  Answer alone(size_t index) const { return echo_answer(world, world.requests[index].request, table); }

  World world;
  TokenTable table;
  ThreadPool pool{1};
  std::atomic<uint64_t> clock_ns{0};
};

Answer read_all(TextStream& stream, std::optional<Error>* error = nullptr) {
  Answer answer;
  while (auto event = stream.try_next()) {
    answer.text += event->text;
    answer.num_tokens += event->num_tokens;
    if (event->finish) answer.finish = *event->finish;
    if (error != nullptr && event->error) *error = event->error;
  }
  return answer;
}

TEST(Simulation, a_number_that_is_not_finite_ends_one_of_eight_and_touches_no_neighbour) {
  for (uint32_t failing_step = 0; failing_step < 40; ++failing_step) {
    SCOPED_TRACE(failing_step);
    Crowd crowd(8);
    for (uint32_t i = 0; i < 8; ++i) crowd.world.requests[i].request.prompt[0] = i;  // nobody waits for another
    EchoExecutor echo(crowd.echo_options());
    Engine engine(crowd.world.options, echo, crowd.pool, &crowd.table, Clock::manual(&crowd.clock_ns));
    std::vector<TextStream> streams;
    for (const WorldRequest& asked : crowd.world.requests)
      streams.push_back(engine.submit(asked.request, nullptr).value());
    for (uint32_t step = 0; !engine.idle(); ++step) {
      if (step == failing_step) echo.fail_next(3);
      ASSERT_TRUE(engine.step());
      ASSERT_EQ(engine.check(), "");
      echo.poison(engine.blank_blocks());
    }
    for (size_t index = 0; index < streams.size(); ++index) {
      std::optional<Error> error;
      const Answer answer = read_all(streams[index], &error);
      if (index != 3) {
        EXPECT_EQ(to_string(answer), to_string(crowd.alone(index))) << index;
        continue;
      }
      EXPECT_EQ(answer.finish, FinishReason::kError);
      ASSERT_TRUE(error);
      EXPECT_EQ(error->kind, ErrorKind::kModel);
      EXPECT_EQ(answer.num_tokens, failing_step);
      EXPECT_TRUE(crowd.alone(index).text.starts_with(answer.text));
    }
    // Nothing of it was remembered: the same request again finds only what is finite.
    TextStream again = engine.submit(crowd.world.requests[3].request, nullptr).value();
    while (engine.step()) {}
    EXPECT_EQ(to_string(read_all(again)), to_string(crowd.alone(3)));
    EXPECT_EQ(engine.stats().num_failed, 1u);
    EXPECT_EQ(echo.num_bad_reads(), 0u);
  }
}

// Half of them with one prompt, in a pool that holds few of them: they wait for, cut off and succeed one another.
TEST(Simulation, a_storm_of_waiting_and_preemption_comes_to_an_end) {
  Crowd crowd(24);
  crowd.world.options.num_blocks = 20;
  for (size_t i = 0; i < 12; ++i) crowd.world.requests[i].request.prompt = crowd.world.requests[0].request.prompt;
  EchoExecutor echo(crowd.echo_options());
  Engine engine(crowd.world.options, echo, crowd.pool, &crowd.table, Clock::manual(&crowd.clock_ns));
  std::vector<TextStream> streams;
  for (const WorldRequest& asked : crowd.world.requests)
    streams.push_back(engine.submit(asked.request, nullptr).value());
  for (uint32_t steps = 0; engine.step(); ++steps) {
    if (steps % 5 == 0) engine.clear_cache();
    ASSERT_EQ(engine.check(), "");
    echo.poison(engine.blank_blocks());
    ASSERT_LT(steps, 24u * 58u);
  }
  for (size_t index = 0; index < streams.size(); ++index) {
    EXPECT_EQ(to_string(read_all(streams[index])), to_string(crowd.alone(index))) << index;
  }
  EXPECT_EQ(echo.num_bad_reads(), 0u);
  EXPECT_GT(engine.stats().num_preemptions, 20u);
  EXPECT_GT(engine.stats().num_passed_over, 20u);
}

TEST(Simulation, a_storm_of_preemptions_comes_to_an_end) {
  Crowd crowd(24);
  crowd.world.options.num_blocks = 16;  // one of the longest
  crowd.world.options.prefix_cache = false;
  EchoExecutor echo(crowd.echo_options());
  Engine engine(crowd.world.options, echo, crowd.pool, &crowd.table, Clock::manual(&crowd.clock_ns));
  std::vector<TextStream> streams;
  for (const WorldRequest& asked : crowd.world.requests)
    streams.push_back(engine.submit(asked.request, nullptr).value());
  uint32_t steps = 0;
  while (engine.step()) {
    ASSERT_EQ(engine.check(), "");
    ASSERT_LT(++steps, 24u * 58u);
  }
  for (size_t index = 0; index < streams.size(); ++index) {
    EXPECT_EQ(to_string(read_all(streams[index])), to_string(crowd.alone(index))) << index;
  }
  EXPECT_GT(engine.stats().num_preemptions, 20u);
}

// How many steps the last of a crowd waits for its first token.
uint32_t steps_to_first_token_of_last(Crowd& crowd) {
  EchoExecutor echo(crowd.echo_options());
  Engine engine(crowd.world.options, echo, crowd.pool, &crowd.table, Clock::manual(&crowd.clock_ns));
  std::vector<TextStream> streams;
  for (const WorldRequest& asked : crowd.world.requests)
    streams.push_back(engine.submit(asked.request, nullptr).value());
  uint32_t steps = 0;
  Answer last;
  for (; last.num_tokens == 0; ++steps) {
    engine.step();
    if (steps < 200) {
      EXPECT_EQ(engine.check(), "");
    }
    last = read_all(streams.back());
  }
  while (engine.step()) {}
  last.text += read_all(streams.back()).text;
  EXPECT_EQ(last.text, crowd.alone(streams.size() - 1).text);
  return steps;
}

TEST(Simulation, a_lone_request_beside_a_thousand_of_another_client_waits_for_a_turn_of_them) {
  Crowd crowd(1000);
  crowd.world.options.num_blocks = 100;
  crowd.world.options.max_num_seqs = 4;
  crowd.world.options.num_clients = 2;
  crowd.world.options.turn_tokens = 100;
  crowd.world.options.prefix_cache = false;  // else most would wait for what all begin with
  EXPECT_GT(steps_to_first_token_of_last(crowd), 249u * 40);  // four at a time, forty steps each
  crowd.world.requests.back().request.client = 1;
  EXPECT_EQ(steps_to_first_token_of_last(crowd), 1u);  // a turn of 100 tokens is one of the crowd; the lone one is next
}

TEST(Simulation, a_crowd_that_starts_alike_shares_what_it_starts_with) {
  Crowd crowd(8);
  EchoExecutor echo(crowd.echo_options());
  Engine engine(crowd.world.options, echo, crowd.pool, &crowd.table, Clock::manual(&crowd.clock_ns));
  std::vector<TextStream> streams;
  for (const WorldRequest& asked : crowd.world.requests) {
    streams.push_back(engine.submit(asked.request, nullptr).value());
    engine.step();  // the next one finds four full blocks
  }
  while (engine.step()) {}
  for (size_t index = 0; index < streams.size(); ++index) {
    EXPECT_EQ(to_string(read_all(streams[index])), to_string(crowd.alone(index))) << index;
  }
  // Four blocks; and a token of the fifth, once the first one's is full.
  EXPECT_EQ(engine.stats().num_cached_tokens, 2u * 16u + 5u * 17u);
}

// Eight at once, as they come with one new system prompt: a burst.
TEST(Simulation, a_burst_with_one_prompt_of_4000_tokens_computes_it_once) {
  Crowd crowd(8);
  crowd.world.options.block_tokens = 64;
  crowd.world.options.max_model_len = 4100;
  crowd.world.options.num_blocks = 100;
  for (WorldRequest& asked : crowd.world.requests) {
    asked.request.prompt.clear();
    for (uint32_t i = 0; i < 4000; ++i) asked.request.prompt.push_back((i * i + i / 7) % 31);
    asked.request.max_tokens = 10;
  }
  EchoExecutor echo(crowd.echo_options());
  Engine engine(crowd.world.options, echo, crowd.pool, &crowd.table, Clock::manual(&crowd.clock_ns));
  std::vector<TextStream> streams;
  for (const WorldRequest& asked : crowd.world.requests)
    streams.push_back(engine.submit(asked.request, nullptr).value());
  while (engine.step()) ASSERT_EQ(engine.check(), "");
  for (size_t index = 0; index < streams.size(); ++index) {
    EXPECT_EQ(to_string(read_all(streams[index])), to_string(crowd.alone(index))) << index;
  }
  const CacheCounts counts = engine.stats().cache;
  EXPECT_EQ(counts.misses, 1u);
  EXPECT_EQ(counts.prefix_hits, 7u);
  EXPECT_EQ(counts.tokens_reused, 7u * 62 * 64);
  // Once, but for what is not a whole block; and nine of each answer, whose tenth token nobody computes.
  EXPECT_EQ(counts.tokens_computed, 4000u + 7 * (4000 - 62 * 64) + 8 * 9);
  EXPECT_EQ(engine.stats().num_steps, 2u + 1 + 9);  // the prompt's two chunks, one step of waiting, the answers
}

}  // namespace
}  // namespace slipstream
