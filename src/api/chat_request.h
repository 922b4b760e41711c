// POST /v1/chat/completions: its body, read and checked.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/generation_params.h"
#include "base/result.h"

namespace slipstream {

struct ChatRequest {
  std::optional<std::string> model;  // absent: the one that is served
  std::string messages_json;  // array of {"role", "content"}; content: a string, or an array of {"type":"text","text"}
  GenerationParams generation;
};

Result<ChatRequest> parse_chat_request(std::string_view body);

}  // namespace slipstream
