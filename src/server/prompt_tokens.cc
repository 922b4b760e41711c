#include "server/prompt_tokens.h"

#include <algorithm>
#include <utility>

namespace slipstream {
namespace {

// Text that cannot fit, however it is cut into tokens, is refused before the work of cutting it: a token stands for
// at most `longest` bytes, and a normaliser makes of 4 bytes at least one.
Status check_length(size_t text_bytes, const ServedModel& model, std::string_view param) {
  const uint64_t bytes_per_token = uint64_t{4} * std::max<uint32_t>(model.tokenizer->table().longest, 1);
  const uint64_t least_tokens = text_bytes / bytes_per_token;
  if (least_tokens < model.max_model_len) return ok_status();
  Error error = invalid_param(
      param, "The prompt has {} bytes of text, which are at least {} tokens; this model's context holds {} tokens.",
      text_bytes, least_tokens, model.max_model_len);
  error.code = "context_length_exceeded";
  return error;
}

// What a template or a tokenizer says no to came from the client.
Error clients_fault(Error error, std::string_view param) {
  error.kind = ErrorKind::kInvalid;
  if (error.param.empty()) error.param = param;
  return error;
}

}  // namespace

Result<std::vector<TokenId>> encode_chat(const ChatPrompt& chat, const ServedModel& model, bool add_special) {
  if (model.chat_template == nullptr) {
    return invalid_param("messages", "This model has no chat template; use /v1/completions.");
  }
  ChatTemplateInput input;
  input.messages_json = chat.messages_json;
  input.kwargs_json = chat.template_kwargs_json;
  input.add_generation_prompt = chat.add_generation_prompt;
  input.continue_final_message = chat.continue_final_message;
  Result<std::vector<TextPiece>> pieces = model.chat_template->render(input);
  if (!pieces.ok()) return clients_fault(std::move(pieces).error(), "messages");
  size_t text_bytes = 0;
  for (const TextPiece& piece : *pieces) text_bytes += piece.text.size();
  RETURN_IF_ERROR(check_length(text_bytes, model, "messages"));
  Result<std::vector<TokenId>> tokens = model.tokenizer->encode_pieces(*pieces, add_special);
  if (!tokens.ok()) return clients_fault(std::move(tokens).error(), "messages");
  return tokens;
}

Result<std::vector<TokenId>> encode_text(const std::string& text, const ServedModel& model, bool add_special) {
  RETURN_IF_ERROR(check_length(text.size(), model, "prompt"));
  Result<std::vector<TokenId>> tokens = model.tokenizer->encode(text, add_special);
  if (!tokens.ok()) return clients_fault(std::move(tokens).error(), "prompt");
  return tokens;
}

Status check_vocabulary(const std::vector<TokenId>& tokens, const ServedModel& model, std::string_view param) {
  const auto wrong = std::ranges::find_if(tokens, [&](TokenId token) { return token >= model.vocab_size; });
  if (wrong == tokens.end()) return ok_status();
  return invalid_param(param, "'{}' has the token id {}; this model's vocabulary ends at {}.", param, *wrong,
                       model.vocab_size - 1);
}

}  // namespace slipstream
