// The engine with a store: what one process leaves there at its end, the next one finds.
#include <gtest/gtest.h>

#include "engine/counting_executor.h"
#include "engine/engine.h"
#include "engine/memory_store.h"

namespace slipstream {
namespace {

constexpr uint32_t kVocab = 40;

struct Process {
  explicit Process(MemoryStore& its_store) : store(its_store) {
    store.restart();
    store.clock_ns = &clock_ns;
    EngineOptions options;
    options.num_blocks = 8;
    options.block_tokens = 4;
    options.max_model_len = 32;
    engine.emplace(options, executor, pool, nullptr, Clock::manual(&clock_ns), &store);
  }

  // Tokens of the prompt that were not computed.
  uint32_t ask(const std::vector<TokenId>& prompt) {
    Request request;
    request.prompt = prompt;
    request.max_tokens = 1;
    request.sampling.temperature = 0;
    TextStream stream = engine->submit(std::move(request), nullptr).value();
    while (engine->step()) EXPECT_EQ(engine->check(), "");
    const auto event = stream.try_next();
    EXPECT_TRUE(event && event->finish);
    return event ? event->cached_tokens : 0;
  }
  void end() {
    engine->stop();
    engine->run();
  }

  MemoryStore& store;
  std::atomic<uint64_t> clock_ns{0};
  CountingExecutor executor{kVocab};
  ThreadPool pool{1};
  std::optional<Engine> engine;
};

std::vector<TokenId> prompt(TokenId first) {
  std::vector<TokenId> tokens;
  for (TokenId i = 0; i < 11; ++i) tokens.push_back(first + i);
  return tokens;
}

TEST(EngineStore, what_is_cached_at_the_end_is_there_at_the_next_start) {
  MemoryStore store(4, {});
  {
    Process first(store);
    EXPECT_EQ(first.ask(prompt(1)), 0u);
    EXPECT_TRUE(store.blocks().empty());
    first.end();
    EXPECT_EQ(store.blocks().size(), 3u);
  }
  Process second(store);
  EXPECT_EQ(second.engine->stats().disk.blocks, 3u) << "before its first step";
  EXPECT_EQ(second.ask(prompt(1)), 10u);
  EXPECT_EQ(second.executor.loaded.size(), 3u);
  EXPECT_EQ(second.engine->stats().disk.hits, 3u);
}

TEST(EngineStore, what_makes_room_for_others_comes_back) {
  MemoryStore store(4, {});
  Process process(store);
  for (const TokenId first : {1, 12, 23, 24, 25}) process.ask(prompt(first));
  EXPECT_EQ(process.ask(prompt(1)), 10u);
  EXPECT_GT(process.executor.loaded.size(), 0u);
}

TEST(EngineStore, a_cancelled_request_leaves_nobody_waiting_for_its_blocks) {
  MemoryStore store(4, {.waits_until_found = 3});
  {
    Process first(store);
    first.ask(prompt(1));
    first.end();
  }
  Process second(store);
  Request request;
  request.prompt = prompt(1);
  {
    const TextStream stream = second.engine->submit(request, nullptr).value();
    EXPECT_TRUE(second.engine->step()) << "it waits for its first block";
  }
  while (second.engine->step()) EXPECT_EQ(second.engine->check(), "");
  EXPECT_TRUE(second.engine->idle());
  EXPECT_EQ(second.ask(prompt(1)), 10u);
}

TEST(EngineStore, a_cleared_cache_is_not_there_at_the_next_start) {
  MemoryStore store(4, {});
  Process first(store);
  first.ask(prompt(1));
  first.engine->clear_cache();
  first.ask(prompt(12));
  first.end();
  EXPECT_EQ(Process(store).ask(prompt(1)), 0u);
}

}  // namespace
}  // namespace slipstream
