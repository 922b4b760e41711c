#include "engine/block_traffic.h"

#include <gtest/gtest.h>

#include "cache/kv_ledger_holding.h"
#include "engine/counting_executor.h"
#include "engine/memory_store.h"

namespace slipstream {
namespace {

constexpr uint32_t kNumBlocks = 6;

// One life of a process: blocks of four tokens, and a store that may be another life's too.
struct Life {
  explicit Life(MemoryStore& its_store, uint32_t num_blocks = kNumBlocks)
      : store(its_store),
        ledger(ledger_options(num_blocks)),
        traffic(ledger, executor, &store, Clock::manual(&clock_ns), 4 * num_blocks) {
    store.restart();
    store.clock_ns = &clock_ns;
  }

  // Its tokens are computed, and its end remembered; a block's K and V are its tokens' sum and their place.
  void compute(std::vector<TokenId> all, ExtraKey key = {}) {
    Holding holding{std::move(all), {}, 0};
    holding.keys.base = key;
    ASSERT_TRUE(holding.compute(ledger));
    traffic.follow();
    for (size_t index = 0; index < holding.table.size(); ++index) {
      executor.blocks[holding.table[index]] = content(holding.all, index);
    }
    holding.end(ledger);
    traffic.follow();
  }
  static uint64_t content(const std::vector<TokenId>& all, size_t index) {
    uint64_t sum = 1'000'000 * (index + 1);
    for (size_t i = index * kBlockTokens; i < std::min(all.size(), (index + 1) * kBlockTokens); ++i) sum += all[i];
    return sum;
  }
  // All that nobody holds makes room for something else.
  void evict_all() {
    BlockTable table;
    ASSERT_TRUE(ledger.grow(table, ledger.num_blocks() * kBlockTokens));
    traffic.follow();
    for (const BlockId block : table) executor.blocks[block] = 0;
    ledger.release(table);
  }

  Sequence& add(std::vector<TokenId> prompt, ExtraKey key = {}) {
    Sequence& sequence = sequences.emplace_back(Output(nullptr, {}), std::make_shared<StreamState>());
    sequence.number = sequences.size();
    sequence.tokens = std::move(prompt);
    sequence.extra = key;
    return sequence;
  }
  bool is_worth_waiting(Sequence& sequence) {
    const Match match = ledger.match(sequence.tokens, sequence.keys(), sequence.table);
    const bool is_worth = traffic.is_worth_waiting(sequence, match);
    ledger.release(sequence.table);
    return is_worth;
  }
  // Tokens that are found once nothing more is coming.
  uint32_t fetched(Sequence& sequence) {
    for (int step = 0; is_worth_waiting(sequence); ++step) {
      CHECK(step < 1000, "it waits for ever");
      traffic.take_arrivals();
      CHECK(check(ledger, {}).empty(), "{}", check(ledger, {}));
      traffic.wait();
    }
    const Match match = ledger.match(sequence.tokens, sequence.keys(), sequence.table);
    for (size_t index = 0; index < sequence.table.size(); ++index) {
      EXPECT_EQ(executor.blocks[sequence.table[index]], content(sequence.tokens, index)) << "block " << index;
    }
    ledger.release(sequence.table);
    return match.num_tokens + match.num_common;
  }
  uint32_t fetched(std::vector<TokenId> prompt, ExtraKey key = {}) { return fetched(add(std::move(prompt), key)); }

  MemoryStore& store;
  std::atomic<uint64_t> clock_ns{0};
  CountingExecutor executor{1000};
  KvLedger ledger;
  BlockTraffic traffic;
  SequenceList sequences;
};

TEST(BlockTraffic, what_is_evicted_comes_back_to_whoever_asks_for_it) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 12));
  EXPECT_TRUE(store.blocks().empty()) << "it is still in memory";
  life.evict_all();
  EXPECT_EQ(store.blocks().size(), 3u);
  EXPECT_EQ(life.fetched(tokens(1, 14)), 12u);
  EXPECT_EQ(life.executor.loaded.size(), 3u);
  EXPECT_EQ(life.fetched(tokens(1, 14)), 12u) << "now from memory";
  EXPECT_EQ(life.executor.loaded.size(), 3u);
  EXPECT_EQ(life.fetched(tokens(2, 14)), 0u);
}

TEST(BlockTraffic, all_but_the_last_token_comes_from_the_store) {
  for (const uint32_t num_tokens : {2u, 3u, 4u, 5u, 7u, 8u, 9u, 12u}) {
    MemoryStore store(kBlockTokens, {});
    Life life(store);
    life.compute(tokens(1, num_tokens));
    life.evict_all();
    EXPECT_EQ(life.fetched(tokens(1, num_tokens)), num_tokens - 1);
  }
}

TEST(BlockTraffic, the_end_of_a_sequence_comes_back_where_the_next_token_is_its_first) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 7));
  life.evict_all();
  EXPECT_EQ(life.fetched({1, 2, 3, 4, 9, 9}), 4u);
  EXPECT_EQ(life.executor.loaded.size(), 1u) << "an end that begins otherwise is not even asked for";
  EXPECT_EQ(life.fetched(tokens(1, 10)), 7u);
  life.evict_all();
  EXPECT_EQ(life.fetched({1, 2, 3, 4, 5, 6, 9, 9}), 6u);
}

TEST(BlockTraffic, a_prompt_shorter_than_a_block_comes_back) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 3));
  life.evict_all();
  EXPECT_EQ(life.fetched(tokens(1, 3)), 2u);
}

TEST(BlockTraffic, another_key_finds_nothing) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 12), {1, 2});
  life.evict_all();
  EXPECT_EQ(life.fetched(tokens(1, 13)), 0u);
  EXPECT_EQ(life.fetched(tokens(1, 13), {1, 3}), 0u);
  EXPECT_EQ(store.num_asked, 0u);
  EXPECT_EQ(life.fetched(tokens(1, 13), {1, 2}), 12u);
}

TEST(BlockTraffic, what_is_there_already_is_not_written_again_but_of_use) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  for (int i = 0; i < 2; ++i) {
    life.compute(tokens(1, 12));
    life.evict_all();
  }
  EXPECT_EQ(store.counts().writes, 3u);
  EXPECT_EQ(store.num_refreshed, 3u);
}

TEST(BlockTraffic, what_is_cleared_never_comes_back) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 12));
  life.evict_all();
  life.compute(tokens(40, 12));
  BlockTable table;
  ASSERT_TRUE(life.ledger.grow(table, 4 * kNumBlocks));  // evicts; it has not gone out when the cache is cleared
  life.ledger.release(table);
  life.traffic.forget_all();
  EXPECT_TRUE(store.blocks().empty());
  EXPECT_EQ(life.fetched(tokens(1, 13)), 0u);
  EXPECT_EQ(life.fetched(tokens(40, 13)), 0u);
  life.compute(tokens(1, 12));
  life.evict_all();
  EXPECT_EQ(life.fetched(tokens(1, 13)), 12u);
}

TEST(BlockTraffic, a_fetch_ends_when_the_cache_is_cleared) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 12));
  life.evict_all();
  Sequence& sequence = life.add(tokens(1, 13));
  EXPECT_TRUE(life.is_worth_waiting(sequence));
  life.traffic.forget_all();
  EXPECT_FALSE(life.traffic.is_waiting());
  EXPECT_EQ(life.fetched(sequence), 0u);
  EXPECT_TRUE(life.executor.loaded.empty());
}

TEST(BlockTraffic, a_block_that_is_lost_ends_the_fetch_at_it) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    MemoryStore store(kBlockTokens, {.loses_one_in = 3}, seed);
    Life life(store);
    life.compute(tokens(1, 20));
    life.evict_all();
    const uint32_t found = life.fetched(tokens(1, 22));
    EXPECT_EQ(found, 4 * life.executor.loaded.size());
    EXPECT_FALSE(life.traffic.is_waiting());
    EXPECT_EQ(life.fetched(tokens(60, 8)), 0u);
  }
}

TEST(BlockTraffic, a_store_that_refuses_costs_blocks_and_nothing_else) {
  uint64_t num_found = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    MemoryStore store(kBlockTokens, {.refuses_one_in = 3}, seed);
    Life life(store);
    life.compute(tokens(1, 20));
    life.evict_all();
    num_found += life.fetched(tokens(1, 22));
  }
  EXPECT_GT(num_found, 100u);
  EXPECT_LT(num_found, 40 * 20u);
}

TEST(BlockTraffic, a_store_that_hangs_is_waited_for_once) {
  MemoryStore store(kBlockTokens, {.hangs_after = 2});
  Life life(store);
  life.compute(tokens(1, 20));
  life.evict_all();
  Sequence& sequence = life.add(tokens(1, 22));
  EXPECT_EQ(life.fetched(sequence), 8u) << "what had come before it hung";
  const uint64_t num_waits = store.num_waits;
  EXPECT_GT(num_waits, 99u);
  EXPECT_LT(num_waits, 110u) << "two seconds of 20 ms";
  EXPECT_EQ(life.fetched(tokens(1, 22)), 8u);
  EXPECT_EQ(store.num_waits, num_waits) << "the next does not wait";
  store.habits.hangs_after = ~0u;  // it comes back to life: what is stale is dropped
  life.traffic.take_arrivals();
  EXPECT_EQ(life.executor.loaded.size(), 2u);
  EXPECT_EQ(life.fetched(tokens(1, 22)), 20u);
}

TEST(BlockTraffic, what_comes_late_is_dropped_also_when_the_cache_was_cleared_meanwhile) {
  MemoryStore store(kBlockTokens, {.hangs_after = 1});
  Life life(store);
  life.compute(tokens(1, 16));
  life.evict_all();
  EXPECT_EQ(life.fetched(tokens(1, 18)), 4u);  // the other three are given up
  life.traffic.forget_all();
  life.compute(tokens(50, 16));
  life.evict_all();
  store.habits.hangs_after = ~0u;
  EXPECT_EQ(life.fetched(tokens(50, 18)), 0u) << "something is still to come";
  life.traffic.take_arrivals();
  EXPECT_EQ(life.fetched(tokens(50, 18)), 16u);
}

TEST(BlockTraffic, one_that_tarries_is_waited_for) {
  MemoryStore store(kBlockTokens, {.waits_until_found = 50, .max_coming = 2});
  Life life(store);
  life.compute(tokens(1, 20));
  life.evict_all();
  EXPECT_EQ(life.fetched(tokens(1, 22)), 20u) << "five times a second";
}

TEST(BlockTraffic, the_next_waits_for_its_own_turn_if_the_store_has_something_for_it) {
  MemoryStore store(kBlockTokens, {.waits_until_found = 3});
  Life life(store);
  life.compute(tokens(1, 8));
  life.compute(tokens(50, 8));
  life.evict_all();
  Sequence& first = life.add(tokens(1, 9));
  Sequence& second = life.add(tokens(50, 9));
  Sequence& third = life.add(tokens(80, 9));
  EXPECT_TRUE(life.is_worth_waiting(first));
  EXPECT_TRUE(life.is_worth_waiting(second));
  EXPECT_FALSE(life.is_worth_waiting(third));
  EXPECT_FALSE(second.was_fetched);
  EXPECT_EQ(life.fetched(first), 8u);
  EXPECT_EQ(life.fetched(second), 8u);
  EXPECT_TRUE(second.was_fetched);
}

TEST(BlockTraffic, a_block_whose_parent_was_forgotten_meanwhile_is_dropped) {
  MemoryStore store(kBlockTokens, {.max_coming = 1});
  Life life(store);
  life.compute(tokens(1, 16));
  life.evict_all();
  Sequence& sequence = life.add(tokens(1, 18));
  ASSERT_TRUE(life.is_worth_waiting(sequence));
  life.traffic.take_arrivals();
  EXPECT_EQ(life.executor.loaded.size(), 1u);
  life.evict_all();
  EXPECT_EQ(life.fetched(sequence), 0u);
  EXPECT_EQ(life.executor.loaded.size(), 1u);
  EXPECT_EQ(life.fetched(tokens(1, 18)), 16u);
}

TEST(BlockTraffic, what_is_held_by_others_is_not_taken_for_an_arrival) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 16));
  life.evict_all();
  BlockTable held;
  ASSERT_TRUE(life.ledger.grow(held, 4 * (kNumBlocks - 1)));
  Sequence& sequence = life.add(tokens(1, 18));
  ASSERT_TRUE(life.is_worth_waiting(sequence));
  life.traffic.take_arrivals();
  EXPECT_EQ(life.executor.loaded.size(), 1u);
  EXPECT_FALSE(life.is_worth_waiting(sequence));
  life.ledger.release(held);
}

TEST(BlockTraffic, what_somebody_computes_meanwhile_is_shared) {
  MemoryStore store(kBlockTokens, {.waits_until_found = 2});
  Life life(store);
  life.compute(tokens(1, 12));
  life.evict_all();
  Sequence& sequence = life.add(tokens(1, 14));
  ASSERT_TRUE(life.is_worth_waiting(sequence));
  life.compute(tokens(1, 8));
  EXPECT_EQ(life.fetched(sequence), 12u);
  EXPECT_EQ(life.ledger.num_remembered(), 3u);
}

TEST(BlockTraffic, what_is_saved_at_the_end_is_there_in_the_next_life) {
  MemoryStore store(kBlockTokens, {});
  {
    Life life(store);
    life.compute(tokens(1, 14), {3, 4});
    life.compute(tokens(50, 5));
    EXPECT_TRUE(store.blocks().empty());
    life.traffic.save_all(1);
    EXPECT_EQ(store.blocks().size(), 6u);
  }
  Life life(store);
  EXPECT_EQ(life.fetched(tokens(1, 16), {3, 4}), 14u);
  EXPECT_EQ(life.fetched(tokens(1, 16)), 0u);
  EXPECT_EQ(life.fetched(tokens(50, 9)), 5u);
}

TEST(BlockTraffic, a_parent_is_saved_before_those_that_continue_it) {
  MemoryStore store(kBlockTokens, {.max_blocks = 2});
  {
    Life life(store);
    life.compute(tokens(50, 8));
    life.compute(tokens(1, 16));
    life.traffic.save_all(1);
  }
  Life life(store);
  EXPECT_EQ(life.fetched(tokens(1, 16)), 8u) << "the beginning of what was used last";
}

TEST(BlockTraffic, saving_ends_in_time_when_there_is_no_room) {
  MemoryStore store(kBlockTokens, {});
  Life life(store);
  life.compute(tokens(1, 12));
  store.is_full = true;
  life.traffic.save_all(1);
  EXPECT_TRUE(store.blocks().empty());
  EXPECT_LT(store.num_waits, 60u);
}

TEST(BlockTraffic, without_a_store_nobody_waits) {
  CountingExecutor executor{1000};
  KvLedger ledger(ledger_options(4));
  BlockTraffic traffic(ledger, executor, nullptr, Clock::real(), 16);
  Holding holding{tokens(1, 8), {}, 0};
  ASSERT_TRUE(holding.compute(ledger));
  traffic.take_arrivals();
  traffic.follow();
  EXPECT_TRUE(ledger.changes().empty());
  traffic.save_all(1);
  traffic.forget_all();
  EXPECT_FALSE(traffic.is_waiting());
}

}  // namespace
}  // namespace slipstream
