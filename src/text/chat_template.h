// A model's chat template (Jinja), rendered as Hugging Face's apply_chat_template does, in the Rust crate with a
// budget. The text is always Hugging Face's. A control token in it counts only where the template's own source spells
// it (or is bos_token or eos_token): what came from the request is text, whatever it spells, also where it spells it
// together with what stands beside it. rust/src/chat_template.rs says how. A template that puts control tokens together
// from pieces ('<|' + role + '|>') gets plain text for them.
//
// Differences from apply_chat_template (transformers 5.24), on purpose:
// - `content` as a list of text parts becomes one string (nothing between the parts) where the template knows only
//   strings, or only some parts. Parts that are not text are refused.
// - a tool call's `arguments`, JSON in a string in OpenAI's API, become the object they spell.
// - a message without content, or with null, gets "" if the template fails otherwise.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "text/tokenizer.h"

namespace slipstream {

struct ChatTemplateTokens {
  std::string bos_token;  // their text, "" when there is none
  std::string eos_token;
  std::vector<std::string> control_tokens;  // Tokenizer::control_tokens(): what a template's own text may become
};

struct ChatTemplateInput {
  std::string messages_json;  // array of message objects, as the client sent them, checked
  std::string tools_json;     // array, or empty
  std::string kwargs_json;    // object of further variables (enable_thinking ...), or empty
  bool add_generation_prompt = true;
  bool continue_final_message = false;  // the prompt ends in the last message's text, as if it were being written
  // What strftime_now says, on UTC's clock; absent: now, on this machine's.
  std::optional<int64_t> unix_time_s = std::nullopt;
};

class ChatTemplate {
 public:
  // Cheap enough to do at start: compiles, and renders four small chats to learn which roles may have lists of parts.
  static Result<ChatTemplate> make(std::string_view source, const ChatTemplateTokens& tokens);
  ~ChatTemplate();
  ChatTemplate(ChatTemplate&&) noexcept;
  ChatTemplate& operator=(ChatTemplate&&) noexcept;

  // Any thread, several at once. Error kInvalid carries the template's raise_exception text, or says what failed.
  // Bounded in instructions, memory (256 MiB and 64 bytes per byte of input) and processor time (10 s); limits in
  // rust/src/limits.rs. Trusted pieces are exactly the template's own control tokens.
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
