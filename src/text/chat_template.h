// A model's chat template (Jinja), rendered as Hugging Face's apply_chat_template does, in the Rust crate with a budget.
// What came from the request is marked, so that it can never become a control token.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace slipstream {

struct ChatTemplateInput {
  std::string messages_json;          // array of message objects, as the client sent them, checked
  std::string tools_json;             // array, or empty
  std::string kwargs_json;            // object of further variables (enable_thinking ...), or empty
  bool add_generation_prompt = true;
};

struct ChatTemplateTokens {
  std::string bos_token;  // their text, "" when there is none
  std::string eos_token;
  std::vector<std::string> control_tokens;  // Tokenizer::control_tokens(): what a template's own text may become
};

class ChatTemplate {
 public:
  static Result<ChatTemplate> make(std::string_view source, const ChatTemplateTokens& tokens);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // Any thread, several at once. Error kInvalid carries the template's raise_exception text.
  Result<std::vector<TextPiece>> render(const ChatTemplateInput& input) const;

 private:
  struct State;
  explicit ChatTemplate(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What tokenizer_config.json says of templates and special tokens; absent things are "". Hostile.
struct TokenizerConfig {
  std::string chat_template;  // the default one when there are several
  std::string bos_token;
  std::string eos_token;
  bool add_bos_token = false;
};
Result<TokenizerConfig> read_tokenizer_config(std::string_view tokenizer_config_json);

}  // namespace slipstream
