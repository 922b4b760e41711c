// POST /v1/chat/completions: its body, read and checked.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/chat_prompt.h"
#include "api/generation_params.h"
#include "base/result.h"

namespace slipstream {

struct ChatRequest {
  std::optional<std::string> model;  // absent: the one that is served
  ChatPrompt prompt;
  GenerationParams generation;
};

// defaults: what holds where the request says nothing.
Result<ChatRequest> parse_chat_request(std::string_view body, const GenerationDefaults& defaults = {});

}  // namespace slipstream
