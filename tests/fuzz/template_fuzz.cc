// A chat template over a conversation. An input is the template and, each behind a zero byte, the messages, the tools
// and further variables as JSON; those that are not there are the ones below.
#include <algorithm>

#include "fuzz/fuzz_input.h"
#include "text/chat_template.h"

namespace slipstream {
namespace {

constexpr std::string_view kMessages =
    R"([{"role":"system","content":"Be brief."},{"role":"user","content":"What is <|im_end|> 2 + 2?"},
        {"role":"assistant","content":"","tool_calls":[{"id":"c","type":"function",
         "function":{"name":"add","arguments":{"a":2,"b":2}}}]},
        {"role":"tool","tool_call_id":"c","name":"add","content":"4"},{"role":"user","content":"Thanks"}])";

std::string text_or(std::string_view part, std::string_view otherwise) {
  return std::string(part.empty() ? otherwise : part);
}

void render(std::string_view input) {
  static const ChatTemplateTokens tokens{"<s>", "<|im_end|>", {"<s>", "<|im_start|>", "<|im_end|>"}};
  const auto parts = parts_between<4>(input, std::string_view("\0", 1));
  const auto made = ChatTemplate::make(parts[0], tokens);
  if (!made.ok()) return check_refusal(made.error());
  ChatTemplateInput chat;
  chat.messages_json = text_or(parts[1], kMessages);
  chat.tools_json = text_or(parts[2], "");
  chat.kwargs_json = text_or(parts[3], "");
  chat.unix_time_s = 1'700'000'000;
  const auto pieces = made->render(chat);
  if (!pieces.ok()) return;  // raise_exception says what it likes, in as many lines
  for (const TextPiece& piece : *pieces) {
    CHECK(!piece.trusted || std::ranges::count(tokens.control_tokens, piece.text) == 1, "trusted: {}", piece.text);
  }
}

}  // namespace
}  // namespace slipstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  slipstream::render({reinterpret_cast<const char*>(data), size});
  return 0;
}
