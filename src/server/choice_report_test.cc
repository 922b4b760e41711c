#include "server/choice_report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace slipstream {
namespace {

using nlohmann::json;

// Tokens 0-2 are "a", "b", "€"; 3 and 4 its first byte and the rest of it; 5 is "".
TokenTable table() {
  TokenTable table;
  for (const std::string_view token : {"a", "b", "\xe2\x82\xac", "\xe2", "\x82\xac", ""}) {
    table.begins.push_back(static_cast<uint32_t>(table.bytes.size()));
    table.bytes += token;
    table.special.push_back(0);
  }
  table.begins.push_back(static_cast<uint32_t>(table.bytes.size()));
  table.longest = 3;
  return table;
}

GenerationParams wishes(std::optional<uint32_t> top_logprobs, bool echo, bool tokens) {
  GenerationParams params;
  params.top_logprobs = top_logprobs;
  params.echo = echo;
  params.return_token_ids = tokens;
  return params;
}

TEST(ChoiceReport, without_wishes_it_is_the_text_alone) {
  const TokenTable tokens = table();
  ChoiceReport report(AnswerKind::kChat, wishes({}, false, false), &tokens, {}, "");
  EXPECT_EQ(report.add({.text = "ab", .num_tokens = 2}), "ab");
  const AnswerExtras extras = report.take();
  EXPECT_EQ(extras.logprobs, "");
  EXPECT_EQ(extras.token_ids, nullptr);
  EXPECT_EQ(report.prompt_token_ids(), nullptr);
}

TEST(ChoiceReport, tokens_are_given_once) {
  const TokenTable tokens = table();
  ChoiceReport report(AnswerKind::kText, wishes({}, false, true), &tokens, {1, 0}, "");
  report.add({.text = "", .num_tokens = 2, .tokens = {3, 4}});
  report.add({.text = "€", .num_tokens = 1, .tokens = {1}});
  EXPECT_EQ(*report.take().token_ids, (std::vector<TokenId>{3, 4, 1}));
  EXPECT_TRUE(report.take().token_ids->empty());
  EXPECT_EQ(*report.prompt_token_ids(), (std::vector<TokenId>{1, 0}));
}

TEST(ChoiceReport, chat_logprobs_have_bytes_and_the_likeliest) {
  const TokenTable tokens = table();
  ChoiceReport report(AnswerKind::kChat, wishes(1, false, false), &tokens, {}, "");
  report.add({.text = "a", .logprobs = {{0, -1.5f}, {3, -0.25f}}, .text_begins = {0}});
  EXPECT_EQ(json::parse(report.take().logprobs), json::parse(R"({"content":[{"token":"a","logprob":-1.5,"bytes":[97],
      "top_logprobs":[{"token":"\ufffd","logprob":-0.25,"bytes":[226]}]}],"refusal":null})"));
  EXPECT_EQ(report.take().logprobs, "");
}

TEST(ChoiceReport, the_older_form_has_offsets_in_characters_over_events_and_after_the_echo) {
  const TokenTable tokens = table();
  ChoiceReport report(AnswerKind::kText, wishes(1, true, false), &tokens, {2, 0}, "€a");
  TextEvent first{.text = "€b", .logprobs = {{3, -1.0f}, {2, -0.5f}, {4, -2.0f}, {4, -2.0f}, {1, -3.0f}, {0, -0.125f}},
                  .text_begins = {0, 0, 3}, .prompt_logprobs = {{0, -0.75f}, {5, -0.5f}}};
  EXPECT_EQ(report.add(first), "€a€b");
  EXPECT_EQ(report.add({.text = "a", .logprobs = {{0, -std::numeric_limits<float>::infinity()}, {0, 0}},
                        .text_begins = {4}}), "a");
  EXPECT_EQ(json::parse(report.take().logprobs), json::parse(R"({
      "tokens":["€","a","bytes:\\xe2","bytes:\\x82\\xac","b","a"],
      "token_logprobs":[null,-0.75,-1,-2,-3,-9999],
      "top_logprobs":[null,{"":-0.5,"a":-0.75},{"€":-0.5,"bytes:\\xe2":-1},{"bytes:\\x82\\xac":-2},{"a":-0.125,"b":-3},
                      {"a":0}],
      "text_offset":[0,1,2,2,3,4]})"));
}

TEST(ChoiceReport, an_echo_comes_with_the_first_event_alone) {
  const TokenTable tokens = table();
  ChoiceReport report(AnswerKind::kText, wishes({}, true, false), &tokens, {}, "before ");
  EXPECT_EQ(report.add({.text = ""}), "before ");
  EXPECT_EQ(report.add({.text = "a"}), "a");
}

}  // namespace
}  // namespace slipstream
