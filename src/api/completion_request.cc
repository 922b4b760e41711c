#include "api/completion_request.h"

#include "api/api_limits.h"
#include "api/generation_fields.h"
#include "api/json_reader.h"

namespace slipstream {
namespace {

constexpr uint32_t kDefaultMaxTokens = 16;

Error not_a_prompt(const Json& value) {
  return invalid_param("prompt",
                       "'prompt' has {}; a string, an array of strings, an array of token ids or an array of such "
                       "arrays is expected.",
                       json_kind(value));
}

Result<std::vector<TokenId>> read_tokens(const Json& array) {
  std::vector<TokenId> tokens;
  tokens.reserve(array.size());
  for (const Json& token : array) {
    if (!token.is_number_integer()) return not_a_prompt(token);
    if (!token.is_number_unsigned() || token.get<uint64_t>() > UINT32_MAX) {
      return invalid_param("prompt", "'prompt' has the token id {}; ids are from 0 to below the vocabulary's size.",
                           token.dump());
    }
    tokens.push_back(token.get<TokenId>());
  }
  if (tokens.empty()) return invalid_param("prompt", "'prompt' has an empty array; at least one token is expected.");
  return tokens;
}

Result<std::vector<CompletionPrompt>> read_prompts(JsonFields& fields) {
  std::vector<CompletionPrompt> prompts;
  const Json* const prompt = fields.find("prompt");
  if (prompt == nullptr) return invalid_param("prompt", "'prompt' is missing.");
  if (prompt->is_string()) {
    prompts.emplace_back(prompt->get_ref<const std::string&>());
    return prompts;
  }
  if (!prompt->is_array()) return not_a_prompt(*prompt);
  if (prompt->empty() || prompt->front().is_number()) {
    ASSIGN_OR_RETURN(std::vector<TokenId> tokens, read_tokens(*prompt));
    prompts.emplace_back(std::move(tokens));
    return prompts;
  }
  if (prompt->size() > kMaxPrompts) {
    return invalid_param("prompt", "'prompt' has {} prompts; at most {} are taken.", prompt->size(), kMaxPrompts);
  }
  const bool of_strings = prompt->front().is_string();
  for (const Json& one : *prompt) {
    if (of_strings ? !one.is_string() : !one.is_array()) return not_a_prompt(one);
    if (of_strings) {
      prompts.emplace_back(one.get_ref<const std::string&>());
    } else {
      ASSIGN_OR_RETURN(std::vector<TokenId> tokens, read_tokens(one));
      prompts.emplace_back(std::move(tokens));
    }
  }
  return prompts;
}

}  // namespace

Result<CompletionRequest> parse_completion_request(std::string_view body) {
  ASSIGN_OR_RETURN(const Json json, parse_json_object(body));
  JsonFields fields(json, "");
  CompletionRequest request;
  ASSIGN_OR_RETURN(request.model, fields.string("model"));
  ASSIGN_OR_RETURN(request.prompts, read_prompts(fields));
  ASSIGN_OR_RETURN(request.generation, read_generation_params(fields));
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterNames));
  if (!request.generation.max_tokens) request.generation.max_tokens = kDefaultMaxTokens;
  const size_t answers = request.prompts.size() * request.generation.num_choices;
  if (answers > kMaxAnswers) {
    return invalid_param("n", "{} prompts with 'n' {} are {} answers; at most {} are given to one request.",
                         request.prompts.size(), request.generation.num_choices, answers, kMaxAnswers);
  }
  return request;
}

}  // namespace slipstream
