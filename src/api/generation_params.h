// What chat and completion requests say about how to generate, checked. Names, types and ranges as OpenAI's and
// vLLM's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sample/sampling_params.h"

namespace slipstream {

struct GenerationParams {
  SamplingParams sampling;             // its seed is set only with has_seed
  bool has_seed = false;
  std::optional<uint32_t> max_tokens;  // >= 1; absent: the endpoint's default
  std::vector<std::string> stop;
  bool ignore_eos = false;
  uint32_t num_choices = 1;            // n
  bool stream = false;
  bool include_usage = false;          // stream_options.include_usage
};

}  // namespace slipstream
