#include "server/asked.h"

#include <utility>
#include <variant>

#include "api/api_error.h"
#include "api/chat_request.h"
#include "api/completion_request.h"
#include "server/prompt_tokens.h"

namespace slipstream {
namespace {

// What an answer begins with: the text as it came, or what the tokens say.
Result<std::string> echo_of(const CompletionPrompt& prompt, const ServedModel& model) {
  if (const std::string* const text = std::get_if<std::string>(&prompt)) return *text;
  return model.tokenizer->decode(std::get<std::vector<TokenId>>(prompt), true);
}

}  // namespace

Result<Asked> read_chat(std::string_view body, const ServedModel& model, std::string_view served_name) {
  ASSIGN_OR_RETURN(ChatRequest request, parse_chat_request(body, model.defaults));
  if (request.model && *request.model != served_name) return unknown_model(*request.model, served_name);
  RETURN_IF_ERROR(check_vocabulary(request.generation.stop_token_ids, model, "stop_token_ids"));
  Asked asked;
  asked.kind = AnswerKind::kChat;
  ASSIGN_OR_RETURN(std::vector<TokenId> tokens, encode_chat(request.prompt, model, false));
  asked.prompts.push_back(std::move(tokens));
  asked.generation = std::move(request.generation);
  if (!asked.generation.max_tokens) asked.generation.max_tokens = model.max_model_len;  // to the context's end
  return asked;
}

Result<Asked> read_completion(std::string_view body, const ServedModel& model, std::string_view served_name) {
  ASSIGN_OR_RETURN(CompletionRequest request, parse_completion_request(body, model.defaults));
  if (request.model && *request.model != served_name) return unknown_model(*request.model, served_name);
  RETURN_IF_ERROR(check_vocabulary(request.generation.stop_token_ids, model, "stop_token_ids"));
  Asked asked;
  asked.kind = AnswerKind::kText;
  for (CompletionPrompt& prompt : request.prompts) {
    std::vector<TokenId>* const tokens = std::get_if<std::vector<TokenId>>(&prompt);
    if (tokens != nullptr) RETURN_IF_ERROR(check_vocabulary(*tokens, model, "prompt"));
    if (request.generation.echo) {
      ASSIGN_OR_RETURN(asked.echoes.emplace_back(), echo_of(prompt, model));
    }
    if (tokens != nullptr) {
      asked.prompts.push_back(std::move(*tokens));
    } else {
      ASSIGN_OR_RETURN(std::vector<TokenId> encoded, encode_text(std::get<std::string>(prompt), model, true));
      asked.prompts.push_back(std::move(encoded));
    }
  }
  asked.generation = std::move(request.generation);
  return asked;
}

}  // namespace slipstream
