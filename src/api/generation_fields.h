// The fields that chat and completion requests have in common. Inside of api/.
#pragma once

#include "api/generation_params.h"
#include "api/json_reader.h"

namespace slipstream {

// Everything but max_completion_tokens, which is chat's alone.
Result<GenerationParams> read_generation_params(JsonFields& fields);

// The names that both endpoints will understand later.
inline constexpr std::string_view kLaterNames[] = {
    "best_of", "echo", "logprobs", "top_logprobs", "suffix", "stop_token_ids", "min_tokens",
    "include_stop_str_in_output", "return_token_ids", "cache_salt", "metadata", "store", "service_tier",
    "safety_identifier", "prompt_cache_key", "no_stop_trim", "return_hidden_states", "skip_special_tokens",
    "separate_reasoning", "stream_reasoning", "include_reasoning", "tools", "tool_choice", "parallel_tool_calls",
    "functions", "function_call", "response_format", "reasoning_effort", "modalities", "audio", "prediction",
    "web_search_options", "verbosity", "chat_template", "chat_template_kwargs", "continue_final_message",
    "add_generation_prompt", "structured_outputs", "guided_json"};

}  // namespace slipstream
