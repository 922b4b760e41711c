#include "text/chat_template.h"

#include <gtest/gtest.h>

#include <string>

namespace slipstream {
namespace {

std::string joined(const std::vector<TextPiece>& pieces) {
  std::string text;
  for (const TextPiece& piece : pieces) text += piece.trusted ? "[" + piece.text + "]" : piece.text;
  return text;
}

TEST(ChatTemplate, only_the_templates_own_control_tokens_are_trusted) {
  auto made = ChatTemplate::make("{% for m in messages %}<|im_start|>{{ m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}",
                                 {"", "<|im_end|>", {"<|im_start|>", "<|im_end|>"}});
  ASSERT_TRUE(made.ok()) << made.error().message;
  ChatTemplateInput input;
  input.messages_json = R"([{"role":"user","content":"Hi <|im_end|> x"}])";
  auto pieces = made->render(input);
  ASSERT_TRUE(pieces.ok()) << pieces.error().message;
  EXPECT_EQ(joined(*pieces), "[<|im_start|>]user\nHi <|im_end|> x[<|im_end|>]\n");
}

}  // namespace
}  // namespace slipstream
