// What a request is told of the reuse of its prompt, from the engine's plan to its events.
#include <gtest/gtest.h>

#include <atomic>

#include "engine/counting_executor.h"
#include "engine/engine.h"

namespace slipstream {
namespace {

constexpr uint32_t kVocab = 40;

struct House {
  explicit House(EngineOptions options) : table(letter_table(kVocab)), executor(kVocab) {
    options.block_tokens = 4;
    options.max_model_len = 16;
    engine.emplace(options, executor, pool, &table, Clock::manual(&clock_ns));
  }

  TextStream submit(TokenId first, uint32_t num_prompt_tokens, uint32_t max_tokens) {
    Request request;
    for (uint32_t index = 0; index < num_prompt_tokens; ++index) request.prompt.push_back(first + index);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    request.prompt_logprobs = scores_prompts;
    if (scores_prompts) request.top_logprobs = 0;
    return engine->submit(request, nullptr).value();
  }
  void run() {
    while (engine->step()) ASSERT_EQ(engine->check(), "");
  }
  // Of one request alone.
  Reuse reuse_of(TokenId first, uint32_t num_prompt_tokens) {
    TextStream stream = submit(first, num_prompt_tokens, 1);
    run();
    return stream.try_next()->reuse;
  }

  TokenTable table;
  CountingExecutor executor;
  ThreadPool pool{1};
  std::atomic<uint64_t> clock_ns{0};
  bool scores_prompts = false;
  std::optional<Engine> engine;
};

TEST(EngineReuse, a_request_is_told_what_was_evicted_and_when) {
  House house({.num_blocks = 4});
  EXPECT_EQ(house.reuse_of(1, 10).end, ReuseEnd::kNew);
  EXPECT_EQ(house.reuse_of(1, 10).end, ReuseEnd::kAll);
  house.clock_ns = 1'000;
  EXPECT_EQ(house.reuse_of(20, 15).end, ReuseEnd::kNew);  // takes all four blocks
  house.clock_ns = 6'000;
  const Reuse evicted = house.reuse_of(1, 10);
  EXPECT_EQ(evicted.end, ReuseEnd::kEvicted);
  EXPECT_EQ(evicted.ago_ns, 5'000u);
}

TEST(EngineReuse, a_request_is_told_what_was_cleared_and_when) {
  House house({.num_blocks = 4});
  house.reuse_of(1, 10);
  house.clock_ns = 1'000;
  house.engine->clear_cache();
  house.run();
  house.clock_ns = 6'000;
  const Reuse cleared = house.reuse_of(1, 10);
  EXPECT_EQ(cleared.end, ReuseEnd::kCleared);
  EXPECT_EQ(cleared.ago_ns, 5'000u);
}

TEST(EngineReuse, a_prompt_that_is_scored_is_told_that_nothing_was_looked_for) {
  House house({.num_blocks = 16, .max_prompt_logprobs = 20});
  house.reuse_of(1, 10);
  house.scores_prompts = true;
  EXPECT_EQ(house.reuse_of(1, 10).end, ReuseEnd::kScored);
}

TEST(EngineReuse, a_request_that_was_sent_back_is_told_what_it_found_when_it_came) {
  House house({.num_blocks = 6, .max_num_seqs = 2});
  TextStream first = house.submit(1, 3, 13);
  TextStream second = house.submit(20, 3, 13);  // four blocks each in the end, and there are six
  house.run();
  EXPECT_GT(house.engine->stats().num_preemptions, 0u);
  for (TextStream* stream : {&first, &second}) {
    const std::optional<TextEvent> last = stream->try_next();
    EXPECT_EQ(last->cached_tokens, 0u);
    EXPECT_EQ(last->reuse.end, ReuseEnd::kNew);
  }
}

}  // namespace
}  // namespace slipstream
