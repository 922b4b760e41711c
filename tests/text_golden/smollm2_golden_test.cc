// The real model's own answers (tests/data/smollm2): its prompts are made of the chats, and its text of the tokens.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "text/detokenizer.h"
#include "text_golden/golden_files.h"
#include "text_golden/vocabularies.h"

namespace slipstream {
namespace {

TEST(SmolLm2Text, its_eight_chats_become_the_prompts_and_its_tokens_the_answers_of_the_golden_file) {
  const Vocabulary* vocabulary = find_vocabulary("smollm2");
  if (vocabulary == nullptr) GTEST_SKIP() << why_skipped("smollm2");
  const Tokenizer& tokenizer = vocabulary->tokenizer;
  const auto chat_template = ChatTemplate::make(
      vocabulary->chat_template, {vocabulary->bos_token, vocabulary->eos_token, tokenizer.control_tokens()});
  ASSERT_TRUE(chat_template.ok()) << chat_template.error().message;
  const auto golden = nlohmann::json::parse(read_whole_file(SLIPSTREAM_TEST_DATA "/smollm2/golden.json"));
  ASSERT_EQ(golden["chats"].size(), 8u);
  for (const auto& chat : golden["chats"]) {
    ChatTemplateInput input;
    input.messages_json = chat["messages"].dump();
    const std::vector<TextPiece> pieces = chat_template->render(input).value();
    std::string text;
    for (const TextPiece& piece : pieces) text += piece.text;
    EXPECT_EQ(text, chat["prompt_text"]);
    const auto prompt = chat["prompt_tokens"].get<std::vector<TokenId>>();
    EXPECT_EQ(tokenizer.encode_pieces(pieces, false).value(), prompt);

    const auto greedy = chat["greedy_tokens"].get<std::vector<TokenId>>();
    std::string answer;
    Detokenizer detokenizer(&tokenizer.table());
    for (const TokenId token : greedy) detokenizer.put(token, answer);
    detokenizer.finish(answer);
    EXPECT_EQ(answer, chat["greedy_text"]);
  }
}

TEST(SmolLm2Text, the_licence_text_of_the_perplexity_windows_has_the_golden_tokens) {
  const Vocabulary* vocabulary = find_vocabulary("smollm2");
  if (vocabulary == nullptr) GTEST_SKIP() << why_skipped("smollm2");
  const std::string text = read_whole_file("/usr/share/common-licenses/GPL-2");
  if (text.empty()) GTEST_SKIP() << "SKIPPED: no /usr/share/common-licenses/GPL-2";
  const auto golden = nlohmann::json::parse(read_whole_file(SLIPSTREAM_TEST_DATA "/smollm2/golden.json"));
  const auto expected = golden["perplexity"]["tokens"].get<std::vector<TokenId>>();
  std::vector<TokenId> tokens = vocabulary->tokenizer.encode(text, false).value();
  ASSERT_GE(tokens.size(), expected.size());
  tokens.resize(expected.size());
  EXPECT_EQ(tokens, expected);
}

}  // namespace
}  // namespace slipstream
