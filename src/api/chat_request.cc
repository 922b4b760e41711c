#include "api/chat_request.h"

#include "api/api_limits.h"
#include "api/generation_fields.h"
#include "api/ignored_fields.h"
#include "api/json_reader.h"
#include "sample/logprobs.h"

namespace slipstream {
namespace {

// Under its old name and its new one.
Status read_max_tokens(JsonFields& fields, GenerationParams& params) {
  ASSIGN_OR_RETURN(const std::optional<int64_t> old_name, fields.integer("max_tokens", 1, kMaxTokensLimit));
  ASSIGN_OR_RETURN(const std::optional<int64_t> new_name, fields.integer("max_completion_tokens", 1, kMaxTokensLimit));
  if (old_name && new_name && *old_name != *new_name) {
    return invalid_param("max_completion_tokens", "'max_completion_tokens' is {} and 'max_tokens' is {}; give one.",
                         *new_name, *old_name);
  }
  if (old_name || new_name) params.max_tokens = static_cast<uint32_t>(old_name ? *old_name : *new_name);
  return ok_status();
}

// Whether, and how many beside the token that came.
Status read_logprobs(JsonFields& fields, GenerationParams& params) {
  ASSIGN_OR_RETURN(const bool wanted, fields.boolean("logprobs", false));
  ASSIGN_OR_RETURN(const std::optional<int64_t> top, fields.integer("top_logprobs", 0, kMaxTopLogprobs));
  // 0 of none are none: so much is asked by clients that send their defaults.
  if (!wanted && top.value_or(0) > 0) {
    return invalid_param("top_logprobs", "'top_logprobs' is {}, but only 'logprobs': true asks for any.", *top);
  }
  if (wanted) params.top_logprobs = static_cast<uint32_t>(top.value_or(0));
  return ok_status();
}

}  // namespace

Result<ChatRequest> parse_chat_request(std::string_view body, const GenerationDefaults& defaults) {
  ASSIGN_OR_RETURN(const Json json, parse_json_object(body));
  JsonFields fields(json, "");
  return read_chat_request(fields, defaults);
}

Result<ChatRequest> read_chat_request(JsonFields& fields, const GenerationDefaults& defaults) {
  ChatRequest request;
  ASSIGN_OR_RETURN(request.model, fields.string("model"));
  ASSIGN_OR_RETURN(request.prompt, read_chat_prompt(fields));
  ASSIGN_OR_RETURN(request.generation, read_generation_params(fields, defaults));
  request.generation.max_tokens = defaults.max_tokens;
  RETURN_IF_ERROR(read_max_tokens(fields, request.generation));
  RETURN_IF_ERROR(read_min_tokens(fields, request.generation));
  RETURN_IF_ERROR(read_logprobs(fields, request.generation));
  RETURN_IF_ERROR(read_ignored_fields(fields, kIgnoredChatFields));
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterNames));
  return request;
}

}  // namespace slipstream
