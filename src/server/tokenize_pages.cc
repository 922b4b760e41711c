#include "server/tokenize_pages.h"

#include <variant>

#include "api/api_error.h"
#include "api/api_limits.h"
#include "api/tokenization.h"
#include "server/prompt_tokens.h"

namespace slipstream {
namespace {

// A token may stand for much more text than its number takes in the request.
Status check_text_bytes(const std::vector<TokenId>& tokens, const Tokenizer& tokenizer) {
  size_t bytes = 0;
  for (const TokenId token : tokens) bytes += tokenizer.table().token(token).size();
  if (bytes <= kMaxDetokenizedBytes) return ok_status();
  return invalid_param("tokens", "'tokens' stand for {} bytes of text; at most {} are given.", bytes,
                       kMaxDetokenizedBytes);
}

}  // namespace

Result<std::string> tokenize_page(std::string_view body, const ServedModel& model, std::string_view served_name) {
  ASSIGN_OR_RETURN(const TokenizeRequest request, parse_tokenize_request(body));
  if (request.model && *request.model != served_name) return unknown_model(*request.model, served_name);
  const ChatPrompt* const chat = std::get_if<ChatPrompt>(&request.text);
  const bool add_special = request.add_special_tokens;
  ASSIGN_OR_RETURN(const std::vector<TokenId> tokens,
                   chat != nullptr ? encode_chat(*chat, model, add_special)
                                   : encode_text(std::get<std::string>(request.text), model, add_special));
  std::vector<std::string_view> token_strs;
  if (request.return_token_strs) {
    for (const TokenId token : tokens) token_strs.push_back(model.tokenizer->table().token(token));
  }
  return write_tokens(tokens, token_strs, model.max_model_len);
}

Result<std::string> detokenize_page(std::string_view body, const ServedModel& model, std::string_view served_name) {
  ASSIGN_OR_RETURN(const DetokenizeRequest request, parse_detokenize_request(body));
  if (request.model && *request.model != served_name) return unknown_model(*request.model, served_name);
  RETURN_IF_ERROR(check_vocabulary(request.tokens, model, "tokens"));
  RETURN_IF_ERROR(check_text_bytes(request.tokens, *model.tokenizer));
  ASSIGN_OR_RETURN(const std::string text, model.tokenizer->decode(request.tokens, /*skip_special=*/false));
  return write_detokenized(text);
}

}  // namespace slipstream
