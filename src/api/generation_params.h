// What chat and completion requests say about how to generate, checked. Names, types and ranges as OpenAI's and
// vLLM's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "sample/sampling_params.h"

namespace slipstream {

struct GenerationParams {
  SamplingParams sampling;              // its seed is set only with has_seed
  bool has_seed = false;
  std::optional<uint32_t> max_tokens;   // absent: the endpoint's default; 0 only with echo
  uint32_t min_tokens = 0;              // <= max_tokens; no end of text, stop string or stop token counts before
  std::vector<std::string> stop;
  std::vector<TokenId> stop_token_ids;  // their range is not known here
  bool ignore_eos = false;
  bool include_stop_str_in_output = false;
  uint32_t num_choices = 1;             // n
  std::optional<uint32_t> top_logprobs; // absent: no logprobs; 0: of the token that came, and no others beside it
  bool echo = false;                    // completions: the answer begins with the prompt
  bool return_token_ids = false;
  std::optional<std::string> cache_salt;  // not empty: only requests with the same one share what is cached
  bool stream = false;
  bool include_usage = false;           // stream_options.include_usage: a last chunk with the usage
  bool continuous_usage = false;        // stream_options.continuous_usage_stats: the usage so far in every chunk
};

// What holds where a request says nothing: OpenAI's defaults, or what the model's makers suggest.
struct GenerationDefaults {
  SamplingParams sampling = {};
  std::optional<uint32_t> max_tokens = std::nullopt;  // of chats; >= 1
};

}  // namespace slipstream
