#include <gtest/gtest.h>

#include <algorithm>

#include "cache/kv_ledger_holding.h"

namespace slipstream {
namespace {

TEST(KvLedger, grow_takes_a_block_for_each_beginning_of_block_tokens) {
  KvLedger ledger(ledger_options(4));
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
  KvLedger ledger(ledger_options(3));
  Holding remembered{tokens(1, 4), {}, 0};
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
  KvLedger ledger(ledger_options(8));
  Holding first{tokens(1, 10), {}, 0};
  ASSERT_TRUE(first.compute(ledger));
  Holding second{tokens(1, 9), {}, 0};
  second.all.push_back(99);
  BlockTable table;
  EXPECT_EQ(ledger.match(second.all, {}, table).num_tokens, 8u);
  EXPECT_EQ(table, BlockTable(first.table.begin(), first.table.begin() + 2));
  EXPECT_EQ(ledger.num_free(), 5u);
}

TEST(KvLedger, the_whole_of_the_tokens_is_never_matched) {
  KvLedger ledger(ledger_options(8));
  Holding first{tokens(1, 8), {}, 0};
  ASSERT_TRUE(first.compute(ledger));
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 8), {}, table).num_tokens, 4u);
  ledger.release(table);
  EXPECT_EQ(ledger.match(tokens(1, 9), {}, table).num_tokens, 8u);
  ledger.release(table);
  EXPECT_EQ(ledger.match(tokens(1, 4), {}, table).num_tokens, 0u);
  EXPECT_EQ(ledger.match(tokens(1, 1), {}, table).num_tokens, 0u);
}

TEST(KvLedger, only_full_blocks_are_remembered) {
  KvLedger ledger(ledger_options(8));
  Holding first{tokens(1, 7), {}, 0};
  ASSERT_TRUE(first.compute(ledger));
  EXPECT_EQ(ledger.num_remembered(), 1u);
  first.all.push_back(8);  // as the next token comes, the block is full and computed
  first.num_computed = 8;
  ledger.remember(first.all, {}, first.table);
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(check(ledger, {&first}), "");
}

TEST(KvLedger, a_block_without_holders_stays_remembered_until_its_place_is_needed) {
  KvLedger ledger(ledger_options(3));
  Holding old{tokens(1, 8), {}, 0};
  ASSERT_TRUE(old.compute(ledger));
  old.release(ledger);
  EXPECT_EQ(ledger.num_free(), 3u);
  Holding other{tokens(100, 7), {}, 0};
  ASSERT_TRUE(other.compute(ledger));  // takes the blank block, then the leaf of the old ones
  EXPECT_EQ(check(ledger, {&other}), "");
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 9), {}, table).num_tokens, 4u);  // its parent is still known
}

TEST(KvLedger, a_forgotten_block_is_never_found_again) {
  KvLedger ledger(ledger_options(2));
  Holding old{tokens(1, 8), {}, 0};
  ASSERT_TRUE(old.compute(ledger));
  old.release(ledger);
  Holding other{tokens(100, 8), {}, 0};
  ASSERT_TRUE(other.compute(ledger));
  other.release(ledger);
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 9), {}, table).num_tokens, 0u);
  // Nor a former child under a new meaning of its parent's number.
  EXPECT_EQ(ledger.match(tokens(5, 9), {}, table).num_tokens, 0u);
  EXPECT_EQ(ledger.match(tokens(100, 9), {}, table).num_tokens, 8u);
  ledger.release(table);
  EXPECT_EQ(check(ledger, {}), "");
}

TEST(KvLedger, leaves_are_forgotten_before_their_parents) {
  KvLedger ledger(ledger_options(4));
  Holding old{tokens(1, 16), {}, 0};
  ASSERT_TRUE(old.compute(ledger));
  old.release(ledger);
  for (uint32_t left = 3; left > 0; --left) {
    BlockTable one;
    ASSERT_TRUE(ledger.grow(one, (4 - left) * kBlockTokens));
    ledger.release(one);
    BlockTable table;
    EXPECT_EQ(ledger.match(tokens(1, 17), {}, table).num_tokens, left * kBlockTokens);
    ledger.release(table);
  }
}

TEST(KvLedger, whoever_computes_what_is_known_meanwhile_shares_it_and_frees_its_own) {
  KvLedger ledger(ledger_options(8));
  Holding first{tokens(1, 8), {}, 0};
  Holding second{tokens(1, 8), {}, 0};
  ASSERT_TRUE(ledger.grow(first.table, 8));
  ASSERT_TRUE(ledger.grow(second.table, 8));  // both start before either is remembered
  first.num_computed = second.num_computed = 8;
  ledger.remember(first.all, {}, first.table);
  ledger.remember(second.all, {}, second.table);
  EXPECT_EQ(first.table, second.table);
  EXPECT_EQ(ledger.num_free(), 6u);
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(check(ledger, {&first, &second}), "");
}

TEST(KvLedger, extra_keys_keep_equal_tokens_apart) {
  KvLedger ledger(ledger_options(8));
  Holding first{tokens(1, 8), {}, 0, {{5}}};
  ASSERT_TRUE(first.compute(ledger));
  BlockTable table;
  EXPECT_EQ(ledger.match(tokens(1, 9), {}, table).num_tokens, 0u);
  EXPECT_EQ(ledger.match(tokens(1, 9), {{6}}, table).num_tokens, 0u);
  EXPECT_EQ(ledger.match(tokens(1, 9), {{5}}, table).num_tokens, 8u);
}

TEST(KvLedger, without_a_prefix_cache_nothing_is_shared_or_remembered) {
  KvLedgerOptions without = ledger_options(8);
  without.prefix_cache = false;
  KvLedger ledger(without);
  Holding first{tokens(1, 8), {}, 0};
  Holding second{tokens(1, 9), {}, 0};
  ASSERT_TRUE(first.compute(ledger));
  ASSERT_TRUE(second.compute(ledger));
  EXPECT_EQ(ledger.num_free(), 3u);
  EXPECT_EQ(ledger.num_remembered(), 0u);
  EXPECT_EQ(check(ledger, {&first, &second}), "");
}

TEST(KvLedger, what_was_stored_and_removed_is_told_in_order) {
  KvLedger ledger(ledger_options(2));
  Holding first{tokens(1, 8), {}, 0};
  ASSERT_TRUE(first.compute(ledger));
  const BlockTable table = first.table;
  ASSERT_EQ(ledger.changes().size(), 2u);
  EXPECT_EQ(ledger.changes()[0].block, table[0]);
  EXPECT_EQ(ledger.changes()[0].parent, kRoot);
  EXPECT_EQ(ledger.changes()[1].block, table[1]);
  EXPECT_EQ(ledger.changes()[1].parent, table[0]);
  EXPECT_EQ(ledger.tokens(ledger.changes()[1])[0], 5u);
  ledger.clear_changes();
  first.release(ledger);
  BlockTable other;
  ASSERT_TRUE(ledger.grow(other, 8));
  ASSERT_EQ(ledger.changes().size(), 2u);
  EXPECT_EQ(ledger.changes()[0].kind, CacheChange::Kind::kEvicted);
  EXPECT_EQ(ledger.changes()[0].block, table[1]);
  EXPECT_EQ(ledger.changes()[0].parent, table[0]);
  EXPECT_EQ(ledger.tokens(ledger.changes()[0]).size(), 4u) << "what was evicted can still be read";
  EXPECT_EQ(ledger.tokens(ledger.changes()[0])[0], 5u);
  EXPECT_EQ(ledger.changes()[1].block, table[0]);
  EXPECT_EQ(ledger.num_stored(), 2u);
  EXPECT_EQ(ledger.num_removed(), 2u);
}

TEST(KvLedger, what_is_cleared_or_superseded_is_not_evicted) {
  KvLedger ledger(ledger_options(4));
  Holding first{tokens(1, 6), {}, 0};
  first.keys.base = {5, 6};
  ASSERT_TRUE(first.compute(ledger));
  first.end(ledger);
  Holding longer{tokens(1, 7), {}, 0};
  longer.keys.base = {5, 6};
  ASSERT_TRUE(longer.compute(ledger));
  longer.end(ledger);
  ledger.clear_changes();
  ledger.forget_all();
  ASSERT_EQ(ledger.changes().size(), 2u);
  for (const CacheChange& change : ledger.changes()) {
    EXPECT_EQ(change.kind, CacheChange::Kind::kRemoved);
    EXPECT_EQ(ledger.extra(change), (ExtraKey{5, 6}));
  }
  EXPECT_EQ(ledger.num_evictions(), 0u);
}

TEST(KvLedger, idle_blocks_are_told_parents_first_and_those_used_last_before_others) {
  KvLedger ledger(ledger_options(6));
  Holding first{tokens(1, 8), {}, 0};
  Holding second{tokens(20, 6), {}, 0};
  Holding held{tokens(40, 4), {}, 0};
  ASSERT_TRUE(first.compute(ledger));
  ASSERT_TRUE(second.compute(ledger));
  ASSERT_TRUE(held.compute(ledger));
  first.end(ledger);
  second.end(ledger);
  const auto idle = ledger.idle_blocks();
  ASSERT_EQ(idle.size(), 4u);
  const TokenId first_tokens[] = {20, 24, 1, 5};
  for (size_t i = 0; i < 4; ++i) EXPECT_EQ(ledger.tokens(idle[i])[0], first_tokens[i]) << i;
  EXPECT_EQ(idle[1].num_tokens, 2u);
  EXPECT_EQ(idle[3].parent, idle[2].block);
}

TEST(KvLedger, blank_blocks_are_those_that_are_neither_held_nor_remembered) {
  KvLedger ledger(ledger_options(4));
  Holding first{tokens(1, 6), {}, 0};
  ASSERT_TRUE(first.compute(ledger));
  const BlockId tail = first.table[1];
  EXPECT_EQ(ledger.blank_blocks().size(), 2u);
  first.release(ledger);
  EXPECT_EQ(ledger.blank_blocks().size(), 3u);
  EXPECT_EQ(std::ranges::count(ledger.blank_blocks(), tail), 1);
}

TEST(KvLedger, check_finds_each_broken_invariant) {
  KvLedger ledger(ledger_options(8));
  Holding first{tokens(1, 10), {}, 0};
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
  changed.keys.base = {3, 0};
  EXPECT_NE(check(ledger, {&changed}), "");
  changed = first;
  changed.all = tokens(1, 13);
  changed.num_computed = 13;
  EXPECT_NE(check(ledger, {&changed}), "");            // more computed than the table holds
}

}  // namespace
}  // namespace slipstream
