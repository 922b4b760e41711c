#include "server/asked.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "api/api_error.h"
#include "api/chat_request.h"
#include "api/completion_request.h"

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

Result<std::vector<TokenId>> encode_chat(const ChatRequest& request, const ServedModel& model) {
  ChatTemplateInput input;
  input.messages_json = request.messages_json;
  Result<std::vector<TextPiece>> pieces = model.chat_template->render(input);
  if (!pieces.ok()) return clients_fault(std::move(pieces).error(), "messages");
  size_t text_bytes = 0;
  for (const TextPiece& piece : *pieces) text_bytes += piece.text.size();
  RETURN_IF_ERROR(check_length(text_bytes, model, "messages"));
  // The template wrote what special tokens there are.
  Result<std::vector<TokenId>> tokens = model.tokenizer->encode_pieces(*pieces, false);
  if (!tokens.ok()) return clients_fault(std::move(tokens).error(), "messages");
  return tokens;
}

Result<std::vector<TokenId>> encode_text(const std::string& text, const ServedModel& model) {
  RETURN_IF_ERROR(check_length(text.size(), model, "prompt"));
  Result<std::vector<TokenId>> tokens = model.tokenizer->encode(text, true);
  if (!tokens.ok()) return clients_fault(std::move(tokens).error(), "prompt");
  return tokens;
}

Status check_vocabulary(const std::vector<TokenId>& tokens, const ServedModel& model) {
  const auto wrong = std::ranges::find_if(tokens, [&](TokenId token) { return token >= model.vocab_size; });
  if (wrong == tokens.end()) return ok_status();
  return invalid_param("prompt", "'prompt' has the token id {}; this model's vocabulary ends at {}.", *wrong,
                       model.vocab_size - 1);
}

}  // namespace

Result<Asked> read_chat(std::string_view body, const ServedModel& model, std::string_view served_name) {
  ASSIGN_OR_RETURN(ChatRequest request, parse_chat_request(body));
  if (request.model && *request.model != served_name) return unknown_model(*request.model, served_name);
  if (model.chat_template == nullptr) {
    return invalid_param("messages", "This model has no chat template; use /v1/completions.");
  }
  Asked asked;
  asked.kind = AnswerKind::kChat;
  ASSIGN_OR_RETURN(std::vector<TokenId> tokens, encode_chat(request, model));
  asked.prompts.push_back(std::move(tokens));
  asked.generation = std::move(request.generation);
  if (!asked.generation.max_tokens) asked.generation.max_tokens = model.max_model_len;  // to the context's end
  return asked;
}

Result<Asked> read_completion(std::string_view body, const ServedModel& model, std::string_view served_name) {
  ASSIGN_OR_RETURN(CompletionRequest request, parse_completion_request(body));
  if (request.model && *request.model != served_name) return unknown_model(*request.model, served_name);
  Asked asked;
  asked.kind = AnswerKind::kText;
  for (CompletionPrompt& prompt : request.prompts) {
    if (std::vector<TokenId>* const tokens = std::get_if<std::vector<TokenId>>(&prompt)) {
      RETURN_IF_ERROR(check_vocabulary(*tokens, model));
      asked.prompts.push_back(std::move(*tokens));
    } else {
      ASSIGN_OR_RETURN(std::vector<TokenId> encoded, encode_text(std::get<std::string>(prompt), model));
      asked.prompts.push_back(std::move(encoded));
    }
  }
  asked.generation = std::move(request.generation);
  return asked;
}

}  // namespace slipstream
