#include "engine/prompt_lookup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace slipstream {
namespace {

using Tokens = std::vector<TokenId>;

Tokens guess(const PromptLookup& lookup, const Tokens& tokens, size_t num) {
  Tokens next(num);
  lookup.guess(tokens, next);
  return next;
}

TEST(PromptLookup, there_is_no_guess_where_the_last_three_tokens_never_stood_before) {
  EXPECT_EQ(PromptLookup().chance(), 0);
  EXPECT_EQ(PromptLookup(Tokens{}, 10).chance(), 0);
  EXPECT_EQ(PromptLookup(Tokens{1, 1}, 10).chance(), 0);
  EXPECT_EQ(PromptLookup(Tokens{1, 2, 3, 4, 2, 3}, 10).chance(), 0);
  EXPECT_GT(PromptLookup(Tokens{1, 2, 3, 4, 1, 2, 3}, 10).chance(), 0);
}

TEST(PromptLookup, the_guess_is_what_followed_the_last_time) {
  const Tokens prompt{1, 2, 3, 4, 5, 1, 2, 3, 6, 7, 1, 2, 3};
  const PromptLookup lookup(prompt, 100);
  EXPECT_EQ(guess(lookup, prompt, 4), (Tokens{6, 7, 1, 2}));
}

TEST(PromptLookup, where_it_reaches_the_end_it_goes_on_with_itself) {
  const Tokens prompt{9, 1, 2, 3, 4, 1, 2, 3, 4};
  const PromptLookup lookup(prompt, 100);
  EXPECT_EQ(guess(lookup, prompt, 9), (Tokens{1, 2, 3, 4, 1, 2, 3, 4, 1}));
  const Tokens one(5, 7);
  EXPECT_EQ(guess(PromptLookup(one, 100), one, 4), Tokens(4, 7));
}

TEST(PromptLookup, a_right_guess_is_followed_on_and_a_wrong_one_looked_up_anew) {
  Tokens tokens{1, 2, 3, 4, 5, 6, 7, 8, 2, 3, 4, 20, 30, 1, 2, 3};
  PromptLookup lookup(tokens, 100);
  EXPECT_EQ(guess(lookup, tokens, 2), (Tokens{4, 5}));
  tokens.push_back(4);  // 2, 3, 4 stood later too, before 20
  lookup.read(tokens);
  EXPECT_EQ(guess(lookup, tokens, 2), (Tokens{5, 6}));
  tokens.push_back(7);
  lookup.read(tokens);
  EXPECT_EQ(lookup.chance(), 0);
  for (const TokenId token : {4, 20, 30}) tokens.push_back(token);
  lookup.read(tokens);  // several at a time
  EXPECT_EQ(guess(lookup, tokens, 3), (Tokens{1, 2, 3}));
}

TEST(PromptLookup, the_chance_is_learned_from_the_answer_and_not_from_the_prompt) {
  Tokens tokens;
  for (int i = 0; i < 10; ++i) tokens.insert(tokens.end(), {1, 2, 3, 4});
  const PromptLookup fresh(tokens, 1000);
  EXPECT_EQ(fresh.chance(), 0.5);
  PromptLookup right = fresh;
  Tokens longer = tokens;
  double before = 0.5;
  for (int i = 0; i < 40; ++i) {
    longer.push_back(1 + i % 4);
    right.read(longer);
    EXPECT_GT(right.chance(), before);
    before = right.chance();
  }
  EXPECT_GT(before, 0.9);
  PromptLookup wrong = fresh;
  for (int i = 0; i < 10; ++i) {
    tokens.insert(tokens.end(), {9, 1, 2, 3});  // 4 was to be expected at first, then 9
    wrong.read(tokens);
  }
  EXPECT_GT(wrong.chance(), 0.5);
  for (TokenId token = 100; token < 130; ++token) {
    tokens.insert(tokens.end(), {token, 1, 2, 3});
    wrong.read(tokens);
  }
  EXPECT_LT(wrong.chance(), 0.1);
}

TEST(PromptLookup, once_stopped_it_has_no_guess) {
  Tokens tokens{1, 2, 3, 4, 1, 2, 3};
  PromptLookup lookup(tokens, 100);
  lookup.stop();
  EXPECT_EQ(lookup.chance(), 0);
  for (const TokenId token : {4, 1, 2, 3, 4, 1, 2, 3}) tokens.push_back(token);
  lookup.read(tokens);
  EXPECT_EQ(lookup.chance(), 0);
}

// Where is the guess of these tokens? By its definition, token for token; 0: nowhere.
size_t slow_source(const Tokens& tokens) {
  size_t source = 0;
  for (size_t num = 1; num <= tokens.size(); ++num) {
    if (source != 0) source = tokens[source] == tokens[num - 1] ? source + 1 : 0;
    for (size_t before = num - 1; source == 0 && before >= 3; --before) {
      if (std::equal(&tokens[before - 3], &tokens[before], &tokens[num - 3])) source = before;
    }
  }
  return source;
}

TEST(PromptLookup, it_finds_what_a_search_from_the_end_finds) {
  Tokens tokens;
  PromptLookup lookup(tokens, 3000);
  uint32_t num_guesses = 0;
  for (uint64_t i = 0; i < 600; ++i) {
    tokens.push_back(static_cast<TokenId>(splitmix64(7, i) % 4));
    if (i % 5 == 0) continue;
    lookup.read(tokens);
    const size_t source = slow_source(tokens);
    ASSERT_EQ(lookup.chance() > 0, source > 0) << i;
    if (source == 0) continue;
    ++num_guesses;
    ASSERT_EQ(guess(lookup, tokens, 1)[0], tokens[source]) << i;
  }
  EXPECT_GT(num_guesses, 300u);
}

TEST(PromptLookup, with_few_places_it_misses_guesses_and_makes_none_up) {
  Tokens tokens;
  PromptLookup lookup(tokens, 4);  // eight places for 64 threes
  EXPECT_EQ(PromptLookup::memory_tokens(4), 8u);
  EXPECT_EQ(PromptLookup::memory_tokens(0), 2u);
  EXPECT_EQ(PromptLookup::memory_tokens(1u << 31), 65536u);
  uint32_t num_guesses = 0;
  uint32_t num_new = 0;
  for (uint64_t i = 0; i < 600; ++i) {
    const bool had_guess = lookup.chance() > 0;
    const TokenId expected = had_guess ? guess(lookup, tokens, 1)[0] : 0;
    tokens.push_back(static_cast<TokenId>(splitmix64(7, i) % 4));
    lookup.read(tokens);
    if (lookup.chance() == 0) continue;
    ++num_guesses;
    if (had_guess && expected == tokens.back()) continue;
    ++num_new;  // the last three stood before what is guessed
    const TokenId next = guess(lookup, tokens, 1)[0];
    const Tokens four{tokens.end()[-3], tokens.end()[-2], tokens.end()[-1], next};
    ASSERT_NE(std::search(tokens.begin(), tokens.end(), four.begin(), four.end()), tokens.end()) << i;
  }
  EXPECT_GT(num_new, 20u);
  EXPECT_LT(num_guesses, 400u);
}

}  // namespace
}  // namespace slipstream
