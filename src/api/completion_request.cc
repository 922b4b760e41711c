#include "api/completion_request.h"

#include "api/api_limits.h"
#include "api/generation_fields.h"
#include "api/ignored_fields.h"
#include "api/json_reader.h"
#include "sample/logprobs.h"

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
  if (array.empty()) return invalid_param("prompt", "'prompt' has an empty array; at least one token is expected.");
  return read_token_ids(array, "prompt");
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

// No new token at all is asked for only with echo: that is how the log-probabilities of a prompt are had.
Status read_max_tokens(JsonFields& fields, GenerationParams& params) {
  ASSIGN_OR_RETURN(params.echo, fields.boolean("echo", false));
  ASSIGN_OR_RETURN(const std::optional<int64_t> most, fields.integer("max_tokens", 0, kMaxTokensLimit));
  if (most && *most == 0 && !params.echo) {
    return invalid_param("max_tokens", "'max_tokens' is 0; it must be between 1 and {}, but with 'echo': true.",
                         kMaxTokensLimit);
  }
  params.max_tokens = static_cast<uint32_t>(most.value_or(kDefaultMaxTokens));
  return ok_status();
}

// How many beside the token that came; `false` is how routers say none.
Status read_logprobs(JsonFields& fields, GenerationParams& params) {
  const Json* const value = fields.find("logprobs");
  if (value != nullptr && *value == false) return ok_status();
  ASSIGN_OR_RETURN(const std::optional<int64_t> top, fields.integer("logprobs", 0, kMaxTopLogprobs));
  if (top) params.top_logprobs = static_cast<uint32_t>(*top);
  return ok_status();
}

}  // namespace

Result<CompletionRequest> parse_completion_request(std::string_view body, const GenerationDefaults& defaults) {
  ASSIGN_OR_RETURN(const Json json, parse_json_object(body));
  JsonFields fields(json, "");
  return read_completion_request(fields, defaults);
}

Result<CompletionRequest> read_completion_request(JsonFields& fields, const GenerationDefaults& defaults) {
  CompletionRequest request;
  ASSIGN_OR_RETURN(request.model, fields.string("model"));
  ASSIGN_OR_RETURN(request.prompts, read_prompts(fields));
  ASSIGN_OR_RETURN(request.generation, read_generation_params(fields, defaults));
  RETURN_IF_ERROR(read_max_tokens(fields, request.generation));
  RETURN_IF_ERROR(read_min_tokens(fields, request.generation));
  RETURN_IF_ERROR(read_logprobs(fields, request.generation));
  RETURN_IF_ERROR(read_ignored_fields(fields, kIgnoredCompletionFields));
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterNames));
  const size_t answers = request.prompts.size() * request.generation.num_choices;
  if (answers > kMaxAnswers) {
    return invalid_param("n", "{} prompts with 'n' {} are {} answers; at most {} are given to one request.",
                         request.prompts.size(), request.generation.num_choices, answers, kMaxAnswers);
  }
  return request;
}

}  // namespace slipstream
