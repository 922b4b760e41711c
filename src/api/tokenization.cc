#include "api/tokenization.h"

#include <fmt/ranges.h>

#include "api/generation_fields.h"
#include "api/json_reader.h"
#include "api/json_text.h"

namespace slipstream {
namespace {

constexpr std::string_view kLaterTokenizeNames[] = {"tools", "chat_template", "mm_processor_kwargs"};

}  // namespace

Result<TokenizeRequest> parse_tokenize_request(std::string_view body) {
  ASSIGN_OR_RETURN(const Json json, parse_json_object(body));
  JsonFields fields(json, "");
  TokenizeRequest request;
  ASSIGN_OR_RETURN(request.model, fields.string("model"));
  ASSIGN_OR_RETURN(std::optional<std::string> prompt, fields.string("prompt"));
  const bool is_chat = fields.find("messages") != nullptr;
  if (prompt && is_chat) return invalid_param("messages", "Both 'prompt' and 'messages' are given; give one.");
  if (!prompt && !is_chat) return invalid_param("prompt", "'prompt' is missing (or 'messages').");
  if (is_chat) {
    ASSIGN_OR_RETURN(request.text, read_chat_prompt(fields));
  } else {
    request.text = std::move(*prompt);
  }
  ASSIGN_OR_RETURN(request.add_special_tokens, fields.boolean("add_special_tokens", !is_chat));
  ASSIGN_OR_RETURN(request.return_token_strs, fields.boolean("return_token_strs", false));
  RETURN_IF_ERROR(fields.refuse_other_names(kLaterTokenizeNames));
  return request;
}

Result<DetokenizeRequest> parse_detokenize_request(std::string_view body) {
  ASSIGN_OR_RETURN(const Json json, parse_json_object(body));
  JsonFields fields(json, "");
  DetokenizeRequest request;
  ASSIGN_OR_RETURN(request.model, fields.string("model"));
  const Json* const tokens = fields.find("tokens");
  if (tokens == nullptr) return invalid_param("tokens", "'tokens' is missing.");
  ASSIGN_OR_RETURN(request.tokens, read_token_ids(*tokens, "tokens"));
  RETURN_IF_ERROR(fields.refuse_other_names({}));
  return request;
}

std::string write_tokens(std::span<const TokenId> tokens, std::span<const std::string_view> token_strs,
                         uint32_t max_model_len) {
  std::string out = fmt::format(R"({{"count":{},"max_model_len":{},"tokens":[{}],"token_strs":)", tokens.size(),
                                max_model_len, fmt::join(tokens, ","));
  if (token_strs.size() != tokens.size() || tokens.empty()) return out + "null}";
  for (size_t i = 0; i < token_strs.size(); ++i) {
    out += i == 0 ? '[' : ',';
    append_json_string(out, token_strs[i]);
  }
  return out + "]}";
}

std::string write_detokenized(std::string_view text) { return fmt::format(R"({{"prompt":{}}})", json_string(text)); }

}  // namespace slipstream
