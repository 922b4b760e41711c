// A request's body -> what is asked of the engine: prompts as tokens and checked numbers. Done on the text threads:
// parsing, rendering and encoding a long prompt take too long for the I/O thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/answer_writer.h"
#include "api/generation_params.h"
#include "base/ids.h"
#include "base/result.h"
#include "cache/sequence_keys.h"
#include "server/server.h"

namespace slipstream {

struct Asked {
  AnswerKind kind = AnswerKind::kChat;
  GenerationParams generation;
  std::vector<std::vector<TokenId>> prompts;  // >= 1, each >= 1 token or refused by the engine
  std::vector<std::string> echoes;            // [prompts] with generation.echo: what the answers begin with; else none
  uint32_t client = 0;                        // Request::client
  ExtraKey cache_key;                         // Request::cache_key
  std::optional<ExtraKey> wider_cache_key;    // Request::wider_cache_key
  uint64_t arrived_ns = 0;                    // Clock time at which the request was there

  std::string_view prompt_param() const { return kind == AnswerKind::kChat ? "messages" : "prompt"; }
};

// Any thread.
Result<Asked> read_chat(std::string_view body, const ServedModel& model, std::string_view served_name);
Result<Asked> read_completion(std::string_view body, const ServedModel& model, std::string_view served_name);

}  // namespace slipstream
