// The fields of chat and completion requests. Inside of api/.
#pragma once

#include "api/chat_request.h"
#include "api/completion_request.h"
#include "api/generation_params.h"
#include "api/json_reader.h"

namespace slipstream {

// A whole request: what parse_chat_request() and parse_completion_request() do with the object that a body is.
Result<ChatRequest> read_chat_request(JsonFields& fields, const GenerationDefaults& defaults);
Result<CompletionRequest> read_completion_request(JsonFields& fields, const GenerationDefaults& defaults);

// What both have: everything but max_tokens, min_tokens, logprobs and echo, which the two understand differently.
Result<GenerationParams> read_generation_params(JsonFields& fields, const GenerationDefaults& defaults);

// Once max_tokens is known.
Status read_min_tokens(JsonFields& fields, GenerationParams& params);

// An array of token ids; their range in the vocabulary is not known here.
Result<std::vector<TokenId>> read_token_ids(const Json& value, std::string_view param);

// The names that both endpoints will understand later.
inline constexpr std::string_view kLaterNames[] = {
    "audio", "prediction", "web_search_options", "chat_template", "structured_outputs", "guided_json",
    "guided_regex", "guided_choice", "guided_grammar", "guided_decoding_backend", "guided_whitespace_pattern",
    "prompt_logprobs", "truncate_prompt_tokens", "allowed_token_ids", "logits_processors", "mm_processor_kwargs",
    "kv_transfer_params", "vllm_xargs", "request_id", "regex", "ebnf", "json_schema", "lora_path", "session_params",
    "sampling_seed", "moderation"};

}  // namespace slipstream
