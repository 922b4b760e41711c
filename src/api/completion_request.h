// POST /v1/completions: its body, read and checked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/generation_params.h"
#include "base/ids.h"
#include "base/result.h"

namespace slipstream {

// Text, or tokens (their range is not known here).
using CompletionPrompt = std::variant<std::string, std::vector<TokenId>>;

struct CompletionRequest {
  std::optional<std::string> model;       // absent: the one that is served
  std::vector<CompletionPrompt> prompts;  // >= 1
  GenerationParams generation;            // max_tokens is set: OpenAI's default is 16
};

// defaults: what holds where the request says nothing, but for max_tokens.
Result<CompletionRequest> parse_completion_request(std::string_view body, const GenerationDefaults& defaults = {});

}  // namespace slipstream
