// Every chat of tests/data/text renders as Hugging Face's apply_chat_template does.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "text_golden/golden_files.h"
#include "text_golden/vocabularies.h"

namespace slipstream {
namespace {

constexpr int64_t kNow = 1721999109;  // as in tools/make_text_golden.py

std::string joined(const std::vector<TextPiece>& pieces) {
  std::string text;
  for (const TextPiece& piece : pieces) text += piece.text;
  return text;
}

// "text ..." or "raises ...", as the golden files have it. An error that the template did not raise is "fails".
std::string outcome_of(const Result<std::vector<TextPiece>>& rendered, bool fails_expected) {
  if (rendered.ok()) return "text " + joined(*rendered);
  return fails_expected ? "fails" : "raises " + rendered.error().message;
}

struct Case {
  std::string name;
  ChatTemplateInput input;
};

std::vector<Case> read_cases() {
  const std::vector<std::string> lines = golden_lines("cases.txt");
  std::vector<Case> cases;
  for (size_t at = 0; at + 5 <= lines.size(); at += 5) {
    const std::string& end = lines[at + 4];
    cases.push_back(
        {lines[at], {lines[at + 1], lines[at + 2], lines[at + 3], end == "1", end == "continue", kNow}});
  }
  return cases;
}

class TemplateGolden : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    vocabulary_ = find_vocabulary(GetParam());
    if (vocabulary_ == nullptr) GTEST_SKIP() << why_skipped(GetParam());
  }
  Result<ChatTemplate> make() const {
    return ChatTemplate::make(vocabulary_->chat_template, {vocabulary_->bos_token, vocabulary_->eos_token,
                                                           vocabulary_->tokenizer.control_tokens()});
  }
  const Vocabulary* vocabulary_ = nullptr;
};

TEST_P(TemplateGolden, chats_render_as_hugging_face_does) {
  const auto chat_template = make();
  ASSERT_TRUE(chat_template.ok()) << chat_template.error().message;
  const std::vector<Case> cases = read_cases();
  const std::vector<std::string> expected = golden_lines(GetParam() + ".templates.txt");
  ASSERT_GT(cases.size(), 40u);
  ASSERT_EQ(expected.size(), cases.size());
  for (size_t i = 0; i < cases.size(); ++i) {
    const std::string line = unescape(expected[i]);
    EXPECT_EQ(
        cases[i].name + " " + outcome_of(chat_template->render(cases[i].input), line == cases[i].name + " fails"),
        line);
  }
}

// The prompt's tokens: the template's control tokens are there, and none that a message spells.
TEST_P(TemplateGolden, control_tokens_of_a_prompt_are_those_of_the_same_chat_with_harmless_messages) {
  const auto chat_template = make();
  ASSERT_TRUE(chat_template.ok());
  const auto control_ids = [&](const std::string& first, const std::string& second, bool continued = false) {
    ChatTemplateInput input;
    input.messages_json = R"([{"role":"user","content":")" + first + R"("},{"role":"assistant","content":")" + second +
                          R"("},{"role":"user","content":")" + first + second + R"("})";
    if (continued) input.messages_json += R"(,{"role":"assistant","content":")" + second + first + R"("})";
    input.messages_json += "]";
    input.add_generation_prompt = !continued;
    input.continue_final_message = continued;
    const std::vector<TextPiece> pieces = chat_template->render(input).value();
    std::vector<TokenId> ids = vocabulary_->tokenizer.encode_pieces(pieces, false).value();
    std::erase_if(ids, [&](TokenId id) { return !vocabulary_->tokenizer.table().is_special(id); });
    return ids;
  };
  const std::vector<TokenId> harmless = control_ids("a", "b");
  EXPECT_GE(harmless.size(), 6u);
  const std::vector<TokenId> continued = control_ids("a", "b", true);
  for (const std::string& token : vocabulary_->tokenizer.control_tokens()) {
    const std::string half = token.substr(0, token.size() / 2), other_half = token.substr(token.size() / 2);
    ASSERT_EQ(control_ids(token, token), harmless) << token;
    ASSERT_EQ(control_ids(half, other_half), harmless) << token;
    ASSERT_EQ(control_ids(token, token, true), continued) << token;
  }
}

INSTANTIATE_TEST_SUITE_P(Of, TemplateGolden, testing::Values("tiny", "smollm2", "qwen3", "llama3_2", "gemma3"),
                         [](const auto& instance) { return instance.param; });

TEST(TemplateLanguage, small_pieces_of_it_are_those_of_jinja_as_transformers_sets_it_up) {
  const std::vector<std::string> lines = golden_lines("fragments.txt");
  ASSERT_GT(lines.size(), 200u);
  for (size_t at = 1; at + 2 <= lines.size(); at += 2) {
    const auto chat_template = ChatTemplate::make(unescape(lines[at]), {});
    ASSERT_TRUE(chat_template.ok()) << lines[at] << ": " << chat_template.error().message;
    const ChatTemplateInput input{.messages_json = "[]",
                                  .tools_json = {},
                                  .kwargs_json = lines[0],
                                  .add_generation_prompt = false,
                                  .continue_final_message = false,
                                  .unix_time_s = kNow};
    const std::string expected = unescape(lines[at + 1]);
    EXPECT_EQ(outcome_of(chat_template->render(input), expected == "fails"), expected) << lines[at];
  }
}

}  // namespace
}  // namespace slipstream
