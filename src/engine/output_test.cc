#include "engine/output.h"

#include <gtest/gtest.h>

#include "engine/counting_executor.h"

namespace slipstream {
namespace {

// Tokens 0-25 are letters; 26-28 are the three bytes of the euro sign; 29 ends a turn.
TokenTable letters() {
  TokenTable table = letter_table(26);
  for (const char byte : {'\xe2', '\x82', '\xac', '!'}) {
    table.bytes.push_back(byte);
    table.begins.push_back(static_cast<uint32_t>(table.bytes.size()));
    table.special.push_back(0);
  }
  return table;
}

constexpr TokenId kEos[] = {29};

struct Told {
  std::vector<std::string> deltas;
  std::optional<FinishReason> finish;
  std::string joined() const {
    std::string text;
    for (const std::string& delta : deltas) text += delta;
    return text;
  }
};

Told tell(const TokenTable& table, const OutputRules& rules, std::initializer_list<TokenId> tokens) {
  Output output(&table, rules);
  Told told;
  for (const TokenId token : tokens) {
    EXPECT_FALSE(told.finish) << "a token after the last";
    told.finish = output.put(token);
    told.deltas.emplace_back(output.text());
    output.take();
  }
  return told;
}

OutputRules rules(std::vector<std::string> stop, uint32_t max_tokens = 100) {
  return {.stop = std::move(stop), .eos_tokens = kEos, .max_tokens = max_tokens};
}

TEST(Output, each_token_gives_its_text) {
  const TokenTable table = letters();
  const Told told = tell(table, rules({}), {0, 1, 2});
  EXPECT_EQ(told.deltas, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_FALSE(told.finish);
}

TEST(Output, the_token_that_ends_a_turn_is_counted_and_has_no_text) {
  const TokenTable table = letters();
  Output output(&table, rules({}));
  output.put(0);
  EXPECT_EQ(output.put(29), FinishReason::kStop);
  EXPECT_EQ(output.text(), "a");
  EXPECT_EQ(output.num_tokens(), 2u);
}

TEST(Output, with_ignore_eos_it_is_a_token_like_any_other) {
  const TokenTable table = letters();
  OutputRules ignoring = rules({});
  ignoring.eos_tokens = {};
  const Told told = tell(table, ignoring, {0, 29, 1});
  EXPECT_EQ(told.joined(), "a!b");
  EXPECT_FALSE(told.finish);
}

TEST(Output, max_tokens_ends_with_length) {
  const TokenTable table = letters();
  const Told told = tell(table, rules({}, 2), {0, 1});
  EXPECT_EQ(told.finish, FinishReason::kLength);
  EXPECT_EQ(told.joined(), "ab");
}

TEST(Output, a_turn_that_ends_at_max_tokens_ends_with_stop) {
  const TokenTable table = letters();
  EXPECT_EQ(tell(table, rules({}, 2), {0, 29}).finish, FinishReason::kStop);
  EXPECT_EQ(tell(table, rules({"b"}, 2), {0, 1}).finish, FinishReason::kStop);
}

TEST(Output, a_stop_string_never_leaks) {
  const TokenTable table = letters();
  const Told told = tell(table, rules({"bcd"}), {0, 1, 2, 3});
  EXPECT_EQ(told.deltas, (std::vector<std::string>{"a", "", "", ""}));
  EXPECT_EQ(told.finish, FinishReason::kStop);
}

TEST(Output, text_held_back_for_nothing_is_never_lost) {
  const TokenTable table = letters();
  EXPECT_EQ(tell(table, rules({"bcd"}), {0, 1, 2, 4}).deltas, (std::vector<std::string>{"a", "", "", "bce"}));
  EXPECT_EQ(tell(table, rules({"bcd"}), {0, 1, 2, 29}).joined(), "abc");
  EXPECT_EQ(tell(table, rules({"bcd"}, 3), {0, 1, 2}).joined(), "abc");
}

TEST(Output, a_character_is_never_split) {
  const TokenTable table = letters();
  EXPECT_EQ(tell(table, rules({}), {26, 27, 28}).deltas, (std::vector<std::string>{"", "", "\xe2\x82\xac"}));
}

TEST(Output, half_a_character_at_the_end_is_replaced_and_not_lost) {
  const TokenTable table = letters();
  const Told told = tell(table, rules({}, 3), {0, 26, 27});
  EXPECT_EQ(told.joined().substr(0, 4), "a\xef\xbf\xbd");
  EXPECT_EQ(told.finish, FinishReason::kLength);
}

TEST(Output, a_stop_string_may_be_a_character_of_several_tokens) {
  const TokenTable table = letters();
  const Told told = tell(table, rules({"\xe2\x82\xac"}), {0, 26, 27, 28});
  EXPECT_EQ(told.joined(), "a");
  EXPECT_EQ(told.finish, FinishReason::kStop);
}

TEST(Output, text_gathers_until_it_is_taken) {
  const TokenTable table = letters();
  Output output(&table, rules({"de"}));
  for (const TokenId token : {0, 1, 2, 3}) output.put(token);
  EXPECT_EQ(output.text(), "abc");
  EXPECT_EQ(output.num_tokens_since_take(), 4u);
  output.take();
  EXPECT_EQ(output.text(), "");
  EXPECT_EQ(output.num_tokens_since_take(), 0u);
  output.put(5);
  EXPECT_EQ(output.text(), "df");
}

TEST(Output, without_a_table_there_is_no_text_and_tokens_count) {
  Output output(nullptr, rules({}, 2));
  EXPECT_EQ(output.put(7), std::nullopt);
  EXPECT_EQ(output.put(7), FinishReason::kLength);
  EXPECT_EQ(output.text(), "");
}

// Logprobs of token t: itself at -t, then token t + 1.
std::vector<TokenLogprob> scores(TokenId token) {
  return {{token, -static_cast<float>(token)}, {token + 1, -0.5f}};
}

struct Scored {
  std::vector<std::vector<TokenId>> tokens;  // whose logprobs each take() gave
  std::vector<uint64_t> begins;
  std::string text;
};

Scored score(const TokenTable& table, OutputRules rules, std::initializer_list<TokenId> tokens) {
  rules.top_logprobs = 1;
  Output output(&table, rules);
  Scored scored;
  for (const TokenId token : tokens) {
    output.put(token, scores(token));
    scored.tokens.emplace_back();
    for (size_t i = 0; i < output.logprobs().size(); i += 2) {
      scored.tokens.back().push_back(output.logprobs()[i].token);
      EXPECT_EQ(output.logprobs()[i + 1].token, output.logprobs()[i].token + 1);
    }
    EXPECT_EQ(output.text_begins().size() * 2, output.logprobs().size());
    scored.begins.insert(scored.begins.end(), output.text_begins().begin(), output.text_begins().end());
    scored.text += output.text();
    output.take();
  }
  return scored;
}

using TokenLists = std::vector<std::vector<TokenId>>;

TEST(Output, logprobs_go_with_their_text) {
  const TokenTable table = letters();
  const Scored scored = score(table, rules({"bcd"}), {0, 1, 2, 4, 5});
  EXPECT_EQ(scored.tokens, (TokenLists{{0}, {}, {}, {1, 2, 4}, {5}}));
  EXPECT_EQ(scored.begins, (std::vector<uint64_t>{0, 1, 2, 3, 4}));
}

TEST(Output, half_a_character_has_logprobs_when_it_is_clear_that_no_stop_string_takes_it) {
  const TokenTable table = letters();
  EXPECT_EQ(score(table, rules({"\xe2\x82\xac"}), {0, 26, 27, 28}).tokens, (TokenLists{{0}, {}, {}, {}}));
  EXPECT_EQ(score(table, rules({}), {0, 26, 27, 28}).tokens, (TokenLists{{0}, {}, {}, {26, 27, 28}}));
  EXPECT_EQ(score(table, rules({}, 3), {0, 26, 27}).tokens, (TokenLists{{0}, {}, {26, 27}}));
}

TEST(Output, what_a_stop_string_takes_away_has_no_logprobs_nor_has_the_end_of_a_turn) {
  const TokenTable table = letters();
  EXPECT_EQ(score(table, rules({"bcd"}), {0, 1, 2, 3}).tokens, (TokenLists{{0}, {}, {}, {}}));
  EXPECT_EQ(score(table, rules({"bcd"}), {0, 1, 29}).tokens, (TokenLists{{0}, {}, {1}}));
  OutputRules including = rules({"bcd"});
  including.include_stop = true;
  EXPECT_EQ(score(table, including, {0, 1, 2, 3}).tokens, (TokenLists{{0}, {}, {}, {1, 2, 3}}));
}

TEST(Output, tokens_are_reported_once_each_also_while_their_text_is_held) {
  const TokenTable table = letters();
  OutputRules reporting = rules({"bcd"});
  reporting.report_tokens = true;
  Output output(&table, reporting);
  for (const TokenId token : {0u, 1u, 2u, 3u}) {
    output.put(token);
    EXPECT_EQ(std::vector(output.tokens().begin(), output.tokens().end()), std::vector<TokenId>{token});
    output.take();
  }
}

TEST(Output, a_stop_token_ends_it_also_where_the_turns_end_is_ignored) {
  const TokenTable table = letters();
  OutputRules stopping = rules({});
  stopping.eos_tokens = {};
  stopping.stop_tokens = {7, 2};
  Told told = tell(table, stopping, {0, 1, 2});
  EXPECT_EQ(told.joined(), "ab");
  EXPECT_EQ(told.finish, FinishReason::kStop);
  stopping.include_stop = true;
  told = tell(table, stopping, {0, 1, 2});
  EXPECT_EQ(told.joined(), "abc");
  EXPECT_EQ(told.finish, FinishReason::kStop);
}

TEST(Output, with_include_stop_the_stop_string_belongs_to_the_text_and_nothing_behind_it) {
  TokenTable table = letter_table(3);
  table.bytes = "abcd";  // token 0 is "ab", 1 "c", 2 "d"
  table.begins = {0, 2, 3, 4};
  OutputRules including = rules({"bc"});
  including.include_stop = true;
  const Told told = tell(table, including, {2, 0, 1});
  EXPECT_EQ(told.joined(), "dabc");
  EXPECT_EQ(told.finish, FinishReason::kStop);
  including.stop = {"a"};
  EXPECT_EQ(tell(table, including, {2, 0}).joined(), "da");
}

TEST(Output, before_min_tokens_no_stop_string_counts_and_nothing_may_end_it) {
  const TokenTable table = letters();
  OutputRules patient = rules({"b"});
  patient.min_tokens = 3;
  const Told told = tell(table, patient, {0, 1, 1, 0, 1});
  EXPECT_EQ(told.deltas, (std::vector<std::string>{"a", "b", "b", "a", ""}));
  EXPECT_EQ(told.finish, FinishReason::kStop);
  Output output(&table, patient);
  for (const TokenId token : {0, 0, 0}) {
    EXPECT_FALSE(output.may_end());
    output.put(token);
  }
  EXPECT_TRUE(output.may_end());
}

}  // namespace
}  // namespace slipstream
