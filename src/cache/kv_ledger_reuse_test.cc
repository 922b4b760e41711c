// What is reused beyond whole blocks, what is kept and for how long: tails, copies, media, entries, order.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "cache/kv_ledger_holding.h"

namespace slipstream {
namespace {

TEST(KvLedgerReuse, the_same_tokens_again_leave_one_to_compute_however_many_they_are) {
  for (uint32_t count = 1; count <= 13; ++count) {
    KvLedger ledger(ledger_options(12));
    remember(ledger, tokens(1, count));
    EXPECT_EQ(found(ledger, tokens(1, count)), count - 1) << count;
    EXPECT_EQ(found(ledger, tokens(1, count + 9)), count) << count;  // a conversation goes on
  }
}

TEST(KvLedgerReuse, the_common_beginning_of_a_block_that_goes_on_differently_is_found) {
  KvLedger ledger(ledger_options(12));
  remember(ledger, tokens(1, 12));
  EXPECT_EQ(found(ledger, joined(tokens(1, 6), {90, 91, 92, 93})), 6u);
  EXPECT_EQ(found(ledger, joined(tokens(1, 3), {90})), 3u);
  EXPECT_EQ(found(ledger, {90, 2, 3}), 0u);
}

TEST(KvLedgerReuse, of_several_siblings_the_one_with_most_in_common_is_copied) {
  KvLedger ledger(ledger_options(20));
  remember(ledger, {1, 2, 3, 4, 5});
  remember(ledger, {1, 2, 9, 9, 5});
  remember(ledger, {1, 2, 9, 8});
  remember(ledger, {1, 7});
  EXPECT_EQ(found(ledger, {1, 2, 9, 7, 7}), 3u);
  EXPECT_EQ(found(ledger, {1, 2, 3, 5}), 3u);
  EXPECT_EQ(found(ledger, {1, 7, 7}), 2u);
  EXPECT_EQ(found(ledger, {1, 3, 3}), 1u);
}

TEST(KvLedgerReuse, a_copy_goes_into_a_fresh_block_and_leaves_the_source_remembered) {
  KvLedger ledger(ledger_options(6));
  remember(ledger, tokens(1, 7));
  BlockTable table;
  const Match match = ledger.match(tokens(1, 9), {}, table);
  ASSERT_EQ(match.num_tokens, 4u);
  ASSERT_EQ(match.num_common, 3u);
  ledger.take_for_copy(match, table);
  ASSERT_EQ(table.size(), 2u);
  EXPECT_NE(table[1], *match.source);
  EXPECT_EQ(ledger.changes().back().num_tokens, 3u);
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(ledger.num_free(), 4u);
}

TEST(KvLedgerReuse, where_no_other_block_is_free_the_source_itself_is_taken) {
  KvLedger ledger(ledger_options(3));
  remember(ledger, tokens(1, 7));
  BlockTable other;
  ASSERT_TRUE(ledger.grow(other, 1));
  BlockTable table;
  const Match match = ledger.match(tokens(1, 9), {}, table);
  ASSERT_EQ(ledger.num_free(), 1u);
  ledger.take_for_copy(match, table);
  EXPECT_EQ(table[1], *match.source);
  EXPECT_EQ(ledger.num_remembered(), 1u);
  EXPECT_EQ(ledger.num_evictions(), 1u);
}

TEST(KvLedgerReuse, a_tail_that_others_begin_with_is_not_needed) {
  KvLedger ledger(ledger_options(12));
  remember(ledger, tokens(1, 7));
  EXPECT_EQ(ledger.num_remembered(), 2u);
  remember(ledger, tokens(1, 6));  // the beginning of a tail
  EXPECT_EQ(ledger.num_remembered(), 2u);
  remember(ledger, tokens(1, 7));
  EXPECT_EQ(ledger.num_remembered(), 2u);
  remember(ledger, tokens(1, 3));  // of a full block
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(ledger.num_entries(), 1u);
}

TEST(KvLedgerReuse, a_longer_one_takes_the_place_of_a_tail) {
  KvLedger ledger(ledger_options(12));
  remember(ledger, tokens(1, 5));
  remember(ledger, tokens(1, 6));
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(found(ledger, tokens(1, 9)), 6u);
  remember(ledger, tokens(1, 8));  // now full
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(found(ledger, tokens(1, 9)), 8u);
  remember(ledger, joined(tokens(1, 5), {90}));  // another continuation stands beside it
  EXPECT_EQ(ledger.num_entries(), 2u);
  EXPECT_EQ(ledger.num_evictions(), 0u);
}

TEST(KvLedgerReuse, what_is_released_without_its_tail_leaves_none) {
  KvLedger ledger(ledger_options(12));
  Holding failed{tokens(1, 7), {}, 0};
  ASSERT_TRUE(failed.compute(ledger));
  failed.release(ledger);
  EXPECT_EQ(found(ledger, tokens(1, 9)), 4u);
}

TEST(KvLedgerReuse, blocks_that_were_grown_and_not_computed_are_no_tail) {
  KvLedger ledger(ledger_options(12));
  Holding sent_back{tokens(1, 6), {}, 0};
  ASSERT_TRUE(sent_back.compute(ledger));
  ASSERT_TRUE(ledger.grow(sent_back.table, 12));
  sent_back.end(ledger);
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(found(ledger, tokens(1, 12)), 6u);
  EXPECT_EQ(check(ledger, {}), "");
}

TEST(KvLedgerReuse, another_key_finds_no_tail) {
  KvLedger ledger(ledger_options(12));
  remember(ledger, tokens(1, 7), {{5, 0}});
  EXPECT_EQ(found(ledger, tokens(1, 7)), 0u);
  EXPECT_EQ(found(ledger, tokens(1, 7), {{0, 5}}), 0u);
  EXPECT_EQ(found(ledger, tokens(1, 7), {{5, 0}}), 6u);
}

// Tokens 0 3 are text, 4 9 a picture, then text.
TEST(KvLedgerReuse, a_picture_is_told_by_its_key_and_its_place_and_not_by_its_token_ids) {
  std::vector<TokenId> all = tokens(1, 4);
  all.resize(10, 77);
  all = joined(all, tokens(20, 4));
  const RangeKey cat[] = {{4, 10, {1, 1}}};
  const RangeKey dog[] = {{4, 10, {2, 1}}};
  KvLedger ledger(ledger_options(30));
  remember(ledger, all, {{}, cat});
  EXPECT_EQ(found(ledger, all, {{}, cat}), 13u);
  EXPECT_EQ(found(ledger, all, {{}, dog}), 4u);  // the block before
  EXPECT_EQ(found(ledger, all), 4u);
  EXPECT_EQ(found(ledger, all, {{9, 0}, cat}), 0u);  // another tenant's
  const RangeKey shorter[] = {{4, 9, {1, 1}}};
  EXPECT_EQ(found(ledger, all, {{}, shorter}), 4u);

  // One token later, where its block also holds a token of text before it.
  const std::vector<TokenId> later = joined(joined(tokens(1, 4), {77}), std::vector<TokenId>(9, 77));
  const RangeKey cat_later[] = {{5, 11, {1, 1}}};
  EXPECT_EQ(found(ledger, later, {{}, cat_later}), 4u);
  // A whole block later, the block before being the same text: another parent.
  const RangeKey cat_next[] = {{8, 14, {1, 1}}};
  EXPECT_EQ(found(ledger, joined(tokens(1, 4), all), {{}, cat_next}), 4u);
}

TEST(KvLedgerReuse, two_pictures_in_one_block_are_both_part_of_its_key) {
  const std::vector<TokenId> all(9, 77);
  const RangeKey both[] = {{0, 2, {1, 1}}, {2, 4, {2, 1}}};
  const RangeKey swapped[] = {{0, 2, {2, 1}}, {2, 4, {1, 1}}};
  const RangeKey first[] = {{0, 2, {1, 1}}};
  KvLedger ledger(ledger_options(30));
  remember(ledger, all, {{}, both});
  EXPECT_EQ(found(ledger, all, {{}, both}), 8u);
  EXPECT_EQ(found(ledger, all, {{}, swapped}), 0u);
  EXPECT_EQ(found(ledger, all, {{}, first}), 0u);
}

TEST(KvLedgerReuse, beyond_max_entries_the_prompt_unused_for_longest_goes_up_to_where_another_goes_on) {
  KvLedgerOptions two = ledger_options(40);
  two.max_entries = 2;
  KvLedger ledger(two);
  remember(ledger, tokens(1, 14));                              // blocks a b c and a tail
  remember(ledger, joined(tokens(1, 4), tokens(50, 9)));        // a d e and a tail
  EXPECT_EQ(ledger.num_entries(), 2u);
  remember(ledger, tokens(200, 6));
  EXPECT_EQ(ledger.num_entries(), 2u);
  EXPECT_EQ(found(ledger, tokens(1, 14)), 4u);  // a is the other's too
  EXPECT_EQ(found(ledger, joined(tokens(1, 4), tokens(50, 9))), 12u);
  EXPECT_EQ(found(ledger, tokens(200, 6)), 5u);
  EXPECT_EQ(ledger.num_evictions(), 3u);
}

TEST(KvLedgerReuse, a_prompt_that_is_used_is_not_the_one_unused_for_longest) {
  KvLedgerOptions two = ledger_options(40);
  two.max_entries = 2;
  for (const uint32_t count : {4u, 6u, 8u}) {
    KvLedger ledger(two);
    remember(ledger, tokens(1, count));
    remember(ledger, tokens(100, count));
    remember(ledger, tokens(1, count));  // by copy, or shared
    remember(ledger, tokens(200, count));
    EXPECT_EQ(found(ledger, tokens(1, count)), count - 1) << count;
    EXPECT_EQ(found(ledger, tokens(100, count)), 0u) << count;
  }
}

TEST(KvLedgerReuse, a_tail_that_was_copied_from_is_used) {
  KvLedgerOptions two = ledger_options(40);
  two.max_entries = 2;
  KvLedger ledger(two);
  remember(ledger, tokens(1, 2));
  remember(ledger, tokens(100, 2));
  Holding goes_on{{1, 2, 50}, {}, 0};
  ASSERT_TRUE(goes_on.compute(ledger));
  goes_on.release(ledger);
  remember(ledger, tokens(200, 2));
  EXPECT_EQ(found(ledger, tokens(1, 3)), 2u);
  EXPECT_EQ(found(ledger, tokens(100, 3)), 0u);
}

TEST(KvLedgerReuse, a_tail_that_came_twice_is_not_pushed_out) {
  KvLedger ledger(ledger_options(10));
  remember(ledger, tokens(1, 3));
  remember(ledger, tokens(1, 3));
  for (TokenId first = 1000; first < 1400; first += 20) remember(ledger, tokens(first, 20));
  EXPECT_EQ(found(ledger, tokens(1, 3)), 2u);
}

TEST(KvLedgerReuse, what_somebody_holds_is_never_forgotten_for_its_number) {
  KvLedgerOptions none = ledger_options(40);
  none.max_entries = 0;
  KvLedger ledger(none);
  Holding held{tokens(1, 9), {}, 0};
  ASSERT_TRUE(held.compute(ledger));
  EXPECT_EQ(ledger.num_remembered(), 2u);
  Holding other{joined(tokens(1, 4), tokens(50, 5)), {}, 0};
  ASSERT_TRUE(other.compute(ledger));
  other.end(ledger);
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(check(ledger, {&held}), "");
  held.end(ledger);
  EXPECT_EQ(ledger.num_remembered(), 0u);
  EXPECT_EQ(check(ledger, {}), "");
}

TEST(KvLedgerReuse, forget_all_forgets_what_nobody_holds) {
  KvLedger ledger(ledger_options(40));
  remember(ledger, tokens(1, 14));
  remember(ledger, joined(tokens(1, 4), tokens(50, 9)));
  Holding held{tokens(100, 9), {}, 0};
  ASSERT_TRUE(held.compute(ledger));
  ledger.forget_all();
  EXPECT_EQ(ledger.num_remembered(), 2u);
  EXPECT_EQ(found(ledger, tokens(1, 14)), 0u);
  EXPECT_EQ(check(ledger, {&held}), "");
  EXPECT_EQ(ledger.num_evictions(), 0u);  // not for want of room
  held.end(ledger);
  EXPECT_EQ(found(ledger, tokens(100, 9)), 8u);
}

TEST(KvLedgerReuse, prompts_that_come_once_do_not_push_out_what_came_twice) {
  constexpr uint32_t kBlocks = 30;
  for (const bool plain_lru : {false, true}) {
    KvLedgerOptions with = ledger_options(kBlocks);
    with.plain_lru = plain_lru;
    KvLedger ledger(with);
    remember(ledger, tokens(1, 30));
    remember(ledger, tokens(1, 34));
    for (TokenId first = 1000; first < 1000 + 10 * kBlocks * kBlockTokens; first += 40)
      remember(ledger, tokens(first, 40));
    EXPECT_EQ(found(ledger, tokens(1, 34)), plain_lru ? 0u : 33u);
  }
}

TEST(KvLedgerReuse, what_came_twice_goes_when_nobody_comes_for_it_and_others_do) {
  KvLedger ledger(ledger_options(30));
  remember(ledger, tokens(1, 30));
  remember(ledger, tokens(1, 34));
  for (TokenId first = 1000; first < 1400; first += 40) {
    remember(ledger, tokens(first, 40));
    remember(ledger, tokens(first, 40));
  }
  EXPECT_EQ(found(ledger, tokens(1, 34)), 0u);
}

TEST(KvLedgerReuse, the_last_turn_of_a_conversation_is_kept_like_those_before) {
  KvLedger ledger(ledger_options(40));
  remember(ledger, tokens(1, 12));
  remember(ledger, tokens(1, 30));
  for (TokenId first = 1000; first < 3000; first += 20) remember(ledger, tokens(first, 20));
  EXPECT_EQ(found(ledger, tokens(1, 34)), 30u);
}

TEST(KvLedgerReuse, what_branches_off_from_a_system_prompt_is_not_kept_with_it) {
  KvLedger ledger(ledger_options(40));
  for (TokenId first = 100; first < 4000; first += 100) remember(ledger, joined(tokens(1, 12), tokens(first, 8)));
  EXPECT_EQ(found(ledger, joined(tokens(1, 12), {90})), 12u);
  EXPECT_EQ(found(ledger, joined(tokens(1, 12), tokens(100, 8))), 12u);
  for (TokenId first = 9000; first < 9800; first += 20) remember(ledger, tokens(first, 20));
  EXPECT_EQ(found(ledger, joined(tokens(1, 12), {90})), 12u);
  EXPECT_EQ(found(ledger, joined(tokens(1, 12), tokens(3900, 8))), 12u);
}

TEST(KvLedgerReuse, the_first_words_that_every_prompt_has_keep_nobodys_prompt) {
  KvLedger ledger(ledger_options(12));
  remember(ledger, joined({1, 2}, tokens(500, 20)));
  for (TokenId first = 1000; first < 1400; first += 20) remember(ledger, joined({1, 2}, tokens(first, 20)));
  EXPECT_EQ(found(ledger, joined({1, 2}, tokens(500, 20))), 2u);
}

// Sequences that come, go, are sent back and grow in a pool that is too small for them; with salts, pictures, limits.
TEST(KvLedgerReuse, its_invariants_hold_whatever_happens) {
  for (uint32_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    KvLedgerOptions small = ledger_options(10 + random() % 8);
    if (random() % 2 == 0) small.max_entries = random() % 5;
    small.plain_lru = random() % 4 == 0;
    KvLedger ledger(small);
    const RangeKey picture[] = {{3, 6, {random() % 2, 0}}};
    std::vector<Holding> holdings(5);
    for (int round = 0; round < 300; ++round) {
      Holding& holding = holdings[random() % holdings.size()];
      if (holding.table.empty()) {
        holding.all = tokens(random() % 2, 1 + random() % 30);
        if (random() % 2 == 0) holding.all.back() = 1000 + random() % 3;
        holding.keys = {{random() % 2, 0}};
        if (random() % 3 == 0) holding.keys.ranges = picture;
        holding.compute(ledger);
      } else if (random() % 3 == 0) {
        random() % 4 == 0 ? holding.release(ledger) : holding.end(ledger);
      } else {
        holding.append(ledger, random() % 3);
      }
      if (random() % 50 == 0) ledger.forget_all();
      std::vector<KvLedger::Holder> holders;
      for (const Holding& one : holdings)
        holders.push_back({one.table, std::span(one.all).first(one.num_computed), one.keys});
      ASSERT_EQ(ledger.check(holders), "");
      ledger.clear_changes();
    }
  }
}

// ---- why not more ----

Reuse explained(KvLedger& ledger, const std::vector<TokenId>& all, const SequenceKeys& keys = {},
                std::optional<ExtraKey> wider = {}) {
  BlockTable table;
  const Match match = ledger.match(all, keys, table);
  const Reuse reuse = ledger.explain(all, keys, wider, match, table);
  ledger.release(table);
  return reuse;
}

TEST(KvLedgerReuse, tells_why_no_more_was_found) {
  KvLedger ledger(ledger_options(12));
  remember(ledger, tokens(1, 10));
  EXPECT_EQ(explained(ledger, tokens(1, 10)).end, ReuseEnd::kAll);
  EXPECT_EQ(explained(ledger, tokens(1, 5)).end, ReuseEnd::kAll);
  EXPECT_EQ(explained(ledger, tokens(50, 10)).end, ReuseEnd::kNew);
  EXPECT_EQ(explained(ledger, joined(tokens(1, 6), {90, 91})).end, ReuseEnd::kDiffers);      // inside a block
  EXPECT_EQ(explained(ledger, joined(tokens(1, 4), {90, 91})).end, ReuseEnd::kDiffers);      // at its beginning
  EXPECT_EQ(explained(ledger, tokens(1, 14)).end, ReuseEnd::kEnds);                          // behind the tail
  remember(ledger, tokens(30, 8));
  EXPECT_EQ(explained(ledger, tokens(30, 14)).end, ReuseEnd::kEnds);                         // behind a whole block
  EXPECT_EQ(explained(ledger, {1}).end, ReuseEnd::kAll);                                     // nothing could be reused
  KvLedger forgetful({.num_blocks = 4, .block_tokens = kBlockTokens, .prefix_cache = false});
  EXPECT_EQ(explained(forgetful, tokens(1, 10)).end, ReuseEnd::kOff);
}

TEST(KvLedgerReuse, tells_what_was_evicted_and_when) {
  KvLedger ledger(ledger_options(4));
  remember(ledger, tokens(1, 10));
  ledger.set_time(1'000);
  remember(ledger, tokens(50, 16));  // takes all four
  ledger.set_time(5'000);
  const Reuse evicted = explained(ledger, tokens(1, 10));
  EXPECT_EQ(evicted.end, ReuseEnd::kEvicted);
  EXPECT_EQ(evicted.ago_ns, 4'000u);
  EXPECT_EQ(explained(ledger, tokens(1, 3)).end, ReuseEnd::kEvicted);  // a shorter one that began so
  EXPECT_EQ(explained(ledger, tokens(90, 10)).end, ReuseEnd::kNew);
  remember(ledger, tokens(1, 10));
  EXPECT_EQ(explained(ledger, tokens(1, 10)).end, ReuseEnd::kAll);  // it is back
}

TEST(KvLedgerReuse, tells_where_a_prompt_lost_only_its_end) {
  KvLedger ledger(ledger_options(4));
  remember(ledger, tokens(1, 12));
  remember(ledger, tokens(50, 7));  // one blank, and the leaf of the first
  const Reuse reuse = explained(ledger, tokens(1, 13));
  EXPECT_EQ(reuse.end, ReuseEnd::kEvicted);
  EXPECT_EQ(found(ledger, tokens(1, 13)), 8u);
}

TEST(KvLedgerReuse, tells_what_was_cleared_from_what_was_evicted) {
  KvLedger ledger(ledger_options(4));
  remember(ledger, tokens(1, 10));
  ledger.set_time(7'000);
  ledger.forget_all();
  ledger.set_time(9'000);
  const Reuse reuse = explained(ledger, tokens(1, 10));
  EXPECT_EQ(reuse.end, ReuseEnd::kCleared);
  EXPECT_EQ(reuse.ago_ns, 2'000u);
}

TEST(KvLedgerReuse, tells_what_was_forgotten_behind_these_tokens_and_not_behind_others) {
  KvLedger ledger(ledger_options(12));
  remember(ledger, joined(tokens(1, 4), tokens(30, 4)));
  ledger.forget_all();
  remember(ledger, tokens(1, 4));
  remember(ledger, tokens(50, 4));
  EXPECT_EQ(explained(ledger, joined(tokens(1, 4), tokens(30, 5))).end, ReuseEnd::kCleared);
  EXPECT_EQ(explained(ledger, joined(tokens(50, 4), tokens(30, 5))).end, ReuseEnd::kEnds);
}

TEST(KvLedgerReuse, tells_nothing_of_other_keys_but_of_the_wider_one) {
  KvLedger ledger(ledger_options(4));
  const SequenceKeys wide{{1, 0}, {}}, narrow{{2, 0}, {}}, stranger{{3, 0}, {}};
  remember(ledger, tokens(1, 10), wide);
  EXPECT_EQ(explained(ledger, tokens(1, 10), narrow, wide.base).end, ReuseEnd::kOtherKey);
  EXPECT_EQ(explained(ledger, tokens(1, 10), narrow).end, ReuseEnd::kNew);
  EXPECT_EQ(explained(ledger, tokens(1, 10), stranger, narrow.base).end, ReuseEnd::kNew);
  EXPECT_EQ(explained(ledger, tokens(60, 10), narrow, wide.base).end, ReuseEnd::kNew);
  EXPECT_EQ(explained(ledger, joined(tokens(1, 2), tokens(60, 8)), narrow, wide.base).end, ReuseEnd::kOtherKey);
  EXPECT_EQ(explained(ledger, joined(tokens(1, 1), tokens(60, 8)), narrow, wide.base).end, ReuseEnd::kNew);
  ledger.forget_all();
  EXPECT_EQ(explained(ledger, tokens(1, 10), stranger).end, ReuseEnd::kNew);  // nor of what is forgotten
  EXPECT_EQ(explained(ledger, tokens(1, 10), wide).end, ReuseEnd::kCleared);
}

}  // namespace
}  // namespace slipstream
