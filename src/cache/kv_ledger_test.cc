#include "cache/kv_ledger.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace slipstream {
namespace {

constexpr uint32_t kBlockTokens = 4;

KvLedgerOptions options(uint32_t num_blocks) {
  return {.num_blocks = num_blocks, .block_tokens = kBlockTokens, .prefix_cache = true, .hash_seed = 1};
}

// first, first + 1, ...
std::vector<TokenId> tokens(TokenId first, uint32_t count) {
  std::vector<TokenId> result;
  for (uint32_t i = 0; i < count; ++i) result.push_back(first + i);
  return result;
}

// One sequence as the engine leads it.
struct Holding {
  std::vector<TokenId> all;
  BlockTable table;
  uint32_t num_computed = 0;
  ExtraKey extra = 0;

  // Finds what is remembered, computes the rest.
  bool compute(KvLedger& ledger) {
    num_computed = ledger.match(all, extra, table);
    if (!ledger.grow(table, static_cast<uint32_t>(all.size()))) {
      ledger.release(table);
      num_computed = 0;
      return false;
    }
    num_computed = static_cast<uint32_t>(all.size());
    ledger.remember(all, extra, table);
    return true;
  }
  void release(KvLedger& ledger) {
    ledger.release(table);
    num_computed = 0;
  }
};

std::string check(const KvLedger& ledger, std::initializer_list<const Holding*> holdings) {
  std::vector<KvLedger::Holder> holders;
  for (const Holding* holding : holdings) {
    holders.push_back({holding->table, std::span(holding->all).first(holding->num_computed), holding->extra});
  }
  return ledger.check(holders);
}

TEST(KvLedger, grow_takes_a_block_for_each_beginning_of_block_tokens) {
  KvLedger ledger(options(4));
  BlockTable table;
  EXPECT_TRUE(ledger.grow(table, 1));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_TRUE(ledger.grow(table, 4));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_TRUE(ledger.grow(table, 5));
  EXPECT_EQ(table.size(), 2u);
  EXPECT_TRUE(ledger.grow(table, 3));  // never shrinks
  EXPECT_EQ(table.size(), 2u);
}

TEST(KvLedger, grow_that_fails_changes_nothing) {
  KvLedger ledger(options(3));
  Holding remembered{tokens(1, 4), {}, 0, 0};
  ASSERT_TRUE(remembered.compute(ledger));
  remembered.release(ledger);
  ledger.clear_changes();
  BlockTable table;
  ASSERT_TRUE(ledger.grow(table, 4));
  const BlockTable before = table;
  EXPECT_FALSE(ledger.grow(table, 4 * kBlockTokens));
  EXPECT_EQ(table, before);
  EXPECT_EQ(ledger.num_free(), 2u);
  EXPECT_EQ(ledger.num_remembered(), 1u);
  EXPECT_TRUE(ledger.changes().empty());
}

TEST(KvLedger, a_prefix_is_shared_and_not_taken_anew) {
  KvLedger ledger(options(8));
  Holding first{tokens(1, 10), {}, 0, 0};
  ASSERT_TRUE(first.compute(ledger));
  Holding second{tokens(1, 9), {}, 0, 0};
  second.all.push_back(99);
  BlockTable table;
  EXPECT_EQ(ledger.match(second.all, 0, table), 8u);
  EXPECT_EQ(table, BlockTable(first.table.begin(), first.table.begin() + 2));
  EXPECT_EQ(ledger.num_free(), 5u);
}

TEST(KvLedger, the_whole_of_the_tokens_is_never_matched) {
  KvLedger ledger(options(8));
  Holding first{tokens(1, 8), {}, 0, 0};
  ASSERT_TRUE(first.compute(ledger));
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 8), 0, table), 4u);
  ledger.release(table);
  EXPECT_EQ(ledger.match(tokens(1, 9), 0, table), 8u);
  ledger.release(table);
  EXPECT_EQ(ledger.match(tokens(1, 4), 0, table), 0u);
  EXPECT_EQ(ledger.match(tokens(1, 1), 0, table), 0u);
}

TEST(KvLedger, only_full_blocks_are_remembered) {
  KvLedger ledger(options(8));
  Holding first{tokens(1, 7), {}, 0, 0};
  ASSERT_TRUE(first.compute(ledger));
  EXPECT_EQ(ledger.num_remembered(), 1u);
  first.all.push_back(8);  // as the next token comes, the block is full and computed
  first.num_computed = 8;
  ledger.remember(first.all, 0, first.table);
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(check(ledger, {&first}), "");
}

TEST(KvLedger, a_block_without_holders_stays_remembered_until_its_place_is_needed) {
  KvLedger ledger(options(3));
  Holding old{tokens(1, 8), {}, 0, 0};
  ASSERT_TRUE(old.compute(ledger));
  old.release(ledger);
  EXPECT_EQ(ledger.num_free(), 3u);
  Holding other{tokens(100, 7), {}, 0, 0};
  ASSERT_TRUE(other.compute(ledger));  // takes the blank block, then the leaf of the old ones
  EXPECT_EQ(check(ledger, {&other}), "");
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 9), 0, table), 4u);  // its parent is still known
}

TEST(KvLedger, a_forgotten_block_is_never_found_again) {
  KvLedger ledger(options(2));
  Holding old{tokens(1, 8), {}, 0, 0};
  ASSERT_TRUE(old.compute(ledger));
  old.release(ledger);
  Holding other{tokens(100, 8), {}, 0, 0};
  ASSERT_TRUE(other.compute(ledger));
  other.release(ledger);
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 9), 0, table), 0u);
  EXPECT_EQ(ledger.match(tokens(5, 9), 0, table), 0u);  // nor a former child under a new meaning of its parent's number
  EXPECT_EQ(ledger.match(tokens(100, 9), 0, table), 8u);
  ledger.release(table);
  EXPECT_EQ(check(ledger, {}), "");
}

TEST(KvLedger, leaves_are_forgotten_before_their_parents) {
  KvLedger ledger(options(4));
  Holding old{tokens(1, 16), {}, 0, 0};
  ASSERT_TRUE(old.compute(ledger));
  old.release(ledger);
  for (uint32_t left = 3; left > 0; --left) {
    BlockTable one;
    ASSERT_TRUE(ledger.grow(one, (4 - left) * kBlockTokens));
    ledger.release(one);
    BlockTable table;
    EXPECT_EQ(ledger.match(tokens(1, 17), 0, table), left * kBlockTokens);
    ledger.release(table);
  }
}

TEST(KvLedger, whoever_computes_what_is_known_meanwhile_shares_it_and_frees_its_own) {
  KvLedger ledger(options(8));
  Holding first{tokens(1, 8), {}, 0, 0};
  Holding second{tokens(1, 8), {}, 0, 0};
  ASSERT_TRUE(ledger.grow(first.table, 8));
  ASSERT_TRUE(ledger.grow(second.table, 8));  // both start before either is remembered
  first.num_computed = second.num_computed = 8;
  ledger.remember(first.all, 0, first.table);
  ledger.remember(second.all, 0, second.table);
  EXPECT_EQ(first.table, second.table);
  EXPECT_EQ(ledger.num_free(), 6u);
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(check(ledger, {&first, &second}), "");
}

TEST(KvLedger, extra_keys_keep_equal_tokens_apart) {
  KvLedger ledger(options(8));
  Holding first{tokens(1, 8), {}, 0, 5};
  ASSERT_TRUE(first.compute(ledger));
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 9), 0, table), 0u);
  EXPECT_EQ(ledger.match(tokens(1, 9), 6, table), 0u);
  EXPECT_EQ(ledger.match(tokens(1, 9), 5, table), 8u);
}

TEST(KvLedger, without_a_prefix_cache_nothing_is_shared_or_remembered) {
  KvLedgerOptions without = options(8);
  without.prefix_cache = false;
  KvLedger ledger(without);
  Holding first{tokens(1, 8), {}, 0, 0};
  Holding second{tokens(1, 9), {}, 0, 0};
  ASSERT_TRUE(first.compute(ledger));
  ASSERT_TRUE(second.compute(ledger));
  EXPECT_EQ(ledger.num_free(), 3u);
  EXPECT_EQ(ledger.num_remembered(), 0u);
  EXPECT_EQ(check(ledger, {&first, &second}), "");
}

TEST(KvLedger, what_was_stored_and_removed_is_told_in_order) {
  KvLedger ledger(options(2));
  Holding first{tokens(1, 8), {}, 0, 0};
  ASSERT_TRUE(first.compute(ledger));
  const BlockTable table = first.table;
  ASSERT_EQ(ledger.changes().size(), 2u);
  EXPECT_EQ(ledger.changes()[0].block, table[0]);
  EXPECT_EQ(ledger.changes()[0].parent, kRoot);
  EXPECT_EQ(ledger.changes()[1].block, table[1]);
  EXPECT_EQ(ledger.changes()[1].parent, table[0]);
  EXPECT_EQ(ledger.tokens(table[1])[0], 5u);
  ledger.clear_changes();
  first.release(ledger);
  BlockTable other;
  ASSERT_TRUE(ledger.grow(other, 8));
  ASSERT_EQ(ledger.changes().size(), 2u);
  EXPECT_EQ(ledger.changes()[0].kind, CacheChange::Kind::kRemoved);
  EXPECT_EQ(ledger.changes()[0].block, table[1]);
  EXPECT_EQ(ledger.changes()[1].block, table[0]);
}

TEST(KvLedger, blank_blocks_are_those_that_are_neither_held_nor_remembered) {
  KvLedger ledger(options(4));
  Holding first{tokens(1, 6), {}, 0, 0};
  ASSERT_TRUE(first.compute(ledger));
  const BlockId tail = first.table[1];
  EXPECT_EQ(ledger.blank_blocks().size(), 2u);
  first.release(ledger);
  EXPECT_EQ(ledger.blank_blocks().size(), 3u);
  EXPECT_EQ(std::ranges::count(ledger.blank_blocks(), tail), 1);
}

TEST(KvLedger, check_finds_each_broken_invariant) {
  KvLedger ledger(options(8));
  Holding first{tokens(1, 10), {}, 0, 0};
  ASSERT_TRUE(first.compute(ledger));
  EXPECT_EQ(check(ledger, {&first}), "");
  EXPECT_NE(check(ledger, {}), "");                    // a block that nobody holds has a reference
  Holding changed = first;
  changed.all[2] = 77;
  EXPECT_NE(check(ledger, {&changed}), "");            // remembered for other tokens
  changed = first;
  changed.num_computed = 7;
  EXPECT_NE(check(ledger, {&changed}), "");            // remembered before it is computed
  changed = first;
  std::swap(changed.table[0], changed.table[1]);
  EXPECT_NE(check(ledger, {&changed}), "");            // not under its parent
  changed = first;
  changed.extra = 3;
  EXPECT_NE(check(ledger, {&changed}), "");
  changed = first;
  changed.all = tokens(1, 13);
  changed.num_computed = 13;
  EXPECT_NE(check(ledger, {&changed}), "");            // more computed than the table holds
}

// Sequences that come, go and grow in a pool that is too small for them.
TEST(KvLedger, its_invariants_hold_whatever_happens) {
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    KvLedger ledger(options(12));
    std::vector<Holding> holdings(5);
    for (int round = 0; round < 400; ++round) {
      Holding& holding = holdings[random() % holdings.size()];
      if (holding.table.empty()) {
        holding.all = tokens(random() % 2, 1 + random() % 30);
        if (random() % 2 == 0) holding.all.back() = 1000 + random() % 3;
        holding.compute(ledger);
      } else if (random() % 3 == 0) {
        holding.release(ledger);
      } else if (ledger.grow(holding.table, holding.num_computed + 1)) {
        holding.all.resize(holding.num_computed);
        holding.all.push_back(random() % 3);
        ++holding.num_computed;
        ledger.remember(holding.all, 0, holding.table);
      }
      std::vector<KvLedger::Holder> holders;
      for (const Holding& one : holdings)
        holders.push_back({one.table, std::span(one.all).first(one.num_computed), one.extra});
      ASSERT_EQ(ledger.check(holders), "");
      ledger.clear_changes();
    }
  }
}

}  // namespace
}  // namespace slipstream
