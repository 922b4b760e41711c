// POST /tokenize and /detokenize: their bodies, read and checked, and their answers. Names as vLLM's.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/chat_prompt.h"
#include "base/ids.h"
#include "base/result.h"

namespace slipstream {

struct TokenizeRequest {
  std::optional<std::string> model;  // absent: the one that is served
  std::variant<std::string, ChatPrompt> text;
  bool add_special_tokens = true;    // chats: false by default
  bool return_token_strs = false;    // also the text of each token
};
Result<TokenizeRequest> parse_tokenize_request(std::string_view body);

struct DetokenizeRequest {
  std::optional<std::string> model;
  std::vector<TokenId> tokens;       // their range is not known here
};
Result<DetokenizeRequest> parse_detokenize_request(std::string_view body);

// token_strs: as many as tokens, or none; bytes that are no whole character become U+FFFD.
std::string write_tokens(std::span<const TokenId> tokens, std::span<const std::string_view> token_strs,
                         uint32_t max_model_len);
std::string write_detokenized(std::string_view text);

}  // namespace slipstream
