#include "text/detokenizer.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace slipstream {
namespace {

// What a table's tokens are made of, in a test.
struct TestToken {
  std::string_view bytes;
  bool special = false;
  bool run_byte = false;
};

TokenTable table_of(std::initializer_list<TestToken> tokens, uint32_t spaces_dropped_first = 0) {
  TokenTable table;
  table.begins.push_back(0);
  table.spaces_dropped_first = spaces_dropped_first;
  bool any_run_byte = false;
  for (const TestToken& token : tokens) {
    table.bytes += token.bytes;
    table.begins.push_back(static_cast<uint32_t>(table.bytes.size()));
    table.special.push_back(token.special);
    table.run_byte.push_back(token.run_byte);
    any_run_byte |= token.run_byte;
  }
  if (!any_run_byte) table.run_byte.clear();
  return table;
}

// Each put()'s text, and finish()'s last.
std::vector<std::string> steps_of(const TokenTable& table, const std::vector<TokenId>& tokens) {
  Detokenizer detokenizer(&table);
  std::vector<std::string> steps;
  for (const TokenId token : tokens) detokenizer.put(token, steps.emplace_back());
  detokenizer.finish(steps.emplace_back());
  return steps;
}

using Steps = std::vector<std::string>;
constexpr const char* kReplacement = "\xEF\xBF\xBD";

TEST(Detokenizer, holds_back_a_character_until_it_is_whole) {
  const TokenTable table = table_of({{"a\xE2"}, {"\x82"}, {"\xAC!"}});
  EXPECT_EQ(steps_of(table, {0, 1, 2}), (Steps{"a", "", "\xE2\x82\xAC!", ""}));
}

TEST(Detokenizer, skips_control_tokens_and_ids_that_do_not_exist_even_inside_a_character) {
  const TokenTable table = table_of({{"\xC3"}, {"<|im_end|>", true}, {"\xA9"}});
  EXPECT_EQ(steps_of(table, {0, 1, 77, 2}), (Steps{"", "", "", "\xC3\xA9", ""}));
}

TEST(Detokenizer, replaces_the_longest_beginning_of_a_character_by_one_sign_and_other_bytes_by_one_each) {
  const TokenTable table = table_of({{"\xE2\x82"}, {"x"}, {"\x80\xFF"}, {"\xF0\x9F"}, {"\xED\xA0"}});
  EXPECT_EQ(steps_of(table, {0, 1}), (Steps{"", std::string(kReplacement) + "x", ""}));
  EXPECT_EQ(steps_of(table, {2}), (Steps{std::string(kReplacement) + kReplacement, ""}));
  EXPECT_EQ(steps_of(table, {3, 3}), (Steps{"", kReplacement, kReplacement}));
  EXPECT_EQ(steps_of(table, {4}),
            (Steps{std::string(kReplacement) + kReplacement, ""}));  // a surrogate: ED and A0 alone
  EXPECT_EQ(steps_of(table, {0}), (Steps{"", kReplacement}));
}

TEST(Detokenizer, a_run_of_byte_tokens_is_text_as_a_whole_or_not_at_all) {
  const TokenTable table = table_of({{"\xC3", false, true}, {"\xA9", false, true}, {"x"}, {"<s>", true}});
  const std::string r = kReplacement;
  EXPECT_EQ(steps_of(table, {0, 1, 2}), (Steps{"", "", "\xC3\xA9x", ""}));
  EXPECT_EQ(steps_of(table, {0, 3, 1, 2}), (Steps{"", "", "", "\xC3\xA9x", ""}));
  EXPECT_EQ(steps_of(table, {0, 1, 1, 0, 2, 0, 1}), (Steps{"", "", r + r + r, r, "x", "", "", "\xC3\xA9"}));
  EXPECT_EQ(steps_of(table, {0, 1, 0, 2}), (Steps{"", "", "", r + r + r + "x", ""}));
}

TEST(Detokenizer, a_run_longer_than_what_is_held_gives_out_its_whole_characters) {
  const TokenTable table = table_of({{"\xE2", false, true}, {"\x82", false, true}, {"\xAC", false, true}});
  std::vector<TokenId> tokens;
  std::string expected;
  for (uint32_t i = 0; i < Detokenizer::kMaxHeld; ++i) {
    tokens.insert(tokens.end(), {0, 1, 2});
    expected += "\xE2\x82\xAC";
  }
  std::string text;
  Detokenizer detokenizer(&table);
  size_t longest_wait = 0, waited = 0;
  for (const TokenId token : tokens) {
    const size_t before = text.size();
    detokenizer.put(token, text);
    waited = text.size() == before ? waited + 1 : 0;
    longest_wait = std::max(longest_wait, waited);
    ASSERT_EQ(text.size() % 3, 0u);
  }
  detokenizer.finish(text);
  EXPECT_EQ(text, expected);
  EXPECT_LT(longest_wait, Detokenizer::kMaxHeld);
}

TEST(Detokenizer, drops_leading_spaces_of_the_whole_text_only) {
  const TokenTable table = table_of({{" a"}, {"  b"}, {" ", false, true}, {"<s>", true}}, 1);
  EXPECT_EQ(steps_of(table, {3, 0, 0}), (Steps{"", "a", " a", ""}));
  EXPECT_EQ(steps_of(table, {1}), (Steps{" b", ""}));
  EXPECT_EQ(steps_of(table, {2, 0}), (Steps{"", " a", ""}));
  EXPECT_EQ(steps_of(table, {2}), (Steps{"", ""}));
}

TEST(Detokenizer, finish_begins_a_new_text) {
  const TokenTable table = table_of({{" a\xC3"}}, 1);
  Detokenizer detokenizer(&table);
  std::string text;
  for (int i = 0; i < 2; ++i) {
    detokenizer.put(0, text);
    detokenizer.finish(text);
  }
  EXPECT_EQ(text, std::string("a") + kReplacement + "a" + kReplacement);
}

}  // namespace
}  // namespace slipstream
