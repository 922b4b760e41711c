#include "api/answer_writer.h"

#include <fmt/format.h>

#include <iterator>

#include "api/json_text.h"

namespace slipstream {
namespace {

std::string usage_object(const Usage& usage) {
  return fmt::format(
      R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
      R"("prompt_tokens_details":{{"cached_tokens":{}}}}})",
      usage.prompt_tokens, usage.completion_tokens, usage.prompt_tokens + usage.completion_tokens, usage.cached_tokens);
}

// What ends an answer: its usage, and beside it what the cache had.
std::string end_of(const Usage& usage, std::string_view cache) {
  return fmt::format(R"(,"usage":{}{}{}}})", usage_object(usage), cache.empty() ? "" : R"(,"cache":)", cache);
}

// ,"name":[1,2,3]; nothing where there are none to write.
void append_tokens(std::string& out, std::string_view name, const std::vector<TokenId>* tokens) {
  if (tokens != nullptr) fmt::format_to(std::back_inserter(out), R"(,"{}":[{}])", name, fmt::join(*tokens, ","));
}

std::string head(std::string_view prefix, std::string_view id, std::string_view object, int64_t created,
                 std::string_view model) {
  return fmt::format(R"({{"id":"{}{}","object":"{}","created":{},"model":{})", prefix, id, object, created,
                     json_string(model));
}

}  // namespace

AnswerWriter::AnswerWriter(AnswerKind kind, std::string_view id, int64_t created, std::string_view model)
    : kind_(kind) {
  const bool chat = kind == AnswerKind::kChat;
  const std::string_view prefix = chat ? "chatcmpl-" : "cmpl-";
  whole_head_ = head(prefix, id, chat ? "chat.completion" : "text_completion", created, model);
  chunk_head_ = head(prefix, id, chat ? "chat.completion.chunk" : "text_completion", created, model);
}

std::string AnswerWriter::whole(std::span<const AnswerChoice> choices, const Usage& usage,
                                std::string_view cache) const {
  std::string out = whole_head_;
  if (kind_ == AnswerKind::kChat) append_tokens(out, "prompt_token_ids", choices[0].extras.prompt_token_ids);
  out += R"(,"choices":[)";
  for (uint32_t index = 0; index < choices.size(); ++index) {
    if (index > 0) out += ',';
    fmt::format_to(std::back_inserter(out), R"({{"index":{},)", index);
    out += kind_ == AnswerKind::kChat ? R"("message":{"role":"assistant","content":)" : R"("text":)";
    append_json_string(out, choices[index].text);
    if (kind_ == AnswerKind::kChat) out += R"(,"refusal":null})";
    append_extras(out, choices[index].extras);
    fmt::format_to(std::back_inserter(out), R"(,"finish_reason":"{}"}})", choices[index].finish_reason);
  }
  out += ']';
  return out + end_of(usage, cache);
}

void AnswerWriter::append_extras(std::string& out, const AnswerExtras& extras) const {
  out += R"(,"logprobs":)";
  out += extras.logprobs.empty() ? "null" : extras.logprobs;
  append_tokens(out, "token_ids", extras.token_ids);
  if (kind_ == AnswerKind::kText) append_tokens(out, "prompt_token_ids", extras.prompt_token_ids);
}

std::string AnswerWriter::chunk(uint32_t index, std::string_view delta, std::string_view finish_reason,
                                const AnswerExtras& extras) const {
  std::string out = chunk_head_;
  if (kind_ == AnswerKind::kChat) append_tokens(out, "prompt_token_ids", extras.prompt_token_ids);
  fmt::format_to(std::back_inserter(out), R"(,"choices":[{{"index":{},{})", index, delta);
  append_extras(out, extras);
  out += R"(,"finish_reason":)";
  out += finish_reason.empty() ? std::string("null") : json_string(finish_reason);
  out += "}]";
  if (extras.usage != nullptr) out += R"(,"usage":)" + usage_object(*extras.usage);
  else if (announces_usage_) out += R"(,"usage":null)";
  if (!extras.cache.empty()) out += R"(,"cache":)" + extras.cache;
  out += '}';
  return out;
}

std::string AnswerWriter::role(uint32_t index, const AnswerExtras& extras) const {
  return chunk(index, R"("delta":{"role":"assistant","content":""})", "", extras);
}

std::string AnswerWriter::text(uint32_t index, std::string_view text, const AnswerExtras& extras) const {
  std::string delta = kind_ == AnswerKind::kChat ? R"("delta":{"content":)" : R"("text":)";
  append_json_string(delta, text);
  if (kind_ == AnswerKind::kChat) delta += '}';
  return chunk(index, delta, "", extras);
}

std::string AnswerWriter::finish(uint32_t index, std::string_view finish_reason, const AnswerExtras& extras) const {
  return chunk(index, kind_ == AnswerKind::kChat ? R"("delta":{})" : R"("text":"")", finish_reason, extras);
}

std::string AnswerWriter::usage(const Usage& usage, std::string_view cache) const {
  return chunk_head_ + R"(,"choices":[])" + end_of(usage, cache);
}

std::string write_model(std::string_view id, int64_t created, uint32_t max_model_len) {
  return fmt::format(R"({{"id":{},"object":"model","created":{},"owned_by":"slipstream","max_model_len":{}}})",
                     json_string(id), created, max_model_len);
}

std::string write_model_list(std::string_view id, int64_t created, uint32_t max_model_len) {
  return fmt::format(R"({{"object":"list","data":[{}]}})", write_model(id, created, max_model_len));
}

}  // namespace slipstream
