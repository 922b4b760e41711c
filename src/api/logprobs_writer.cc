#include "api/logprobs_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "api/json_text.h"

namespace slipstream {
namespace {

constexpr float kLeastLogprob = -9999.0f;

void append_logprob(std::string& out, float logprob) {
  fmt::format_to(std::back_inserter(out), "{}", std::max(logprob, kLeastLogprob));
}

// "token":...,"logprob":...,"bytes":[...]
void append_chat_token(std::string& out, std::string_view bytes, float logprob) {
  out += R"("token":)";
  append_json_string(out, bytes);
  out += R"(,"logprob":)";
  append_logprob(out, logprob);
  out += R"(,"bytes":[)";
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (i > 0) out += ',';
    fmt::format_to(std::back_inserter(out), "{}", static_cast<unsigned char>(bytes[i]));
  }
  out += ']';
}

// The older form has no bytes beside the string: what is not whole characters is spelt, so that no two become one.
std::string spelt(std::string_view bytes) {
  if (is_utf8(bytes)) return std::string(bytes);
  std::string out = "bytes:";
  for (const char byte : bytes) fmt::format_to(std::back_inserter(out), "\\x{:02x}", static_cast<unsigned char>(byte));
  return out;
}

void add_comma(std::string& members) {
  if (!members.empty()) members += ',';
}

}  // namespace

void LogprobsWriter::add(const ScoredToken& token) {
  if (kind_ == AnswerKind::kChat) add_to_chat(token);
  else add_to_text(token);
}

void LogprobsWriter::add_to_chat(const ScoredToken& token) {
  add_comma(tokens_);
  tokens_ += '{';
  append_chat_token(tokens_, token.bytes, token.logprob.value_or(0));
  tokens_ += R"(,"top_logprobs":[)";
  for (size_t rank = 0; rank < token.top.size(); ++rank) {
    tokens_ += rank == 0 ? "{" : ",{";
    append_chat_token(tokens_, token.top[rank].bytes, token.top[rank].logprob);
    tokens_ += '}';
  }
  tokens_ += "]}";
}

// The likeliest, and the token itself where it is none of them. Two tokens may have the same text: the likelier stands.
void LogprobsWriter::add_to_text(const ScoredToken& token) {
  add_comma(tokens_);
  add_comma(logprobs_);
  add_comma(top_);
  add_comma(offsets_);
  append_json_string(tokens_, spelt(token.bytes));
  fmt::format_to(std::back_inserter(offsets_), "{}", token.text_offset);
  if (!token.logprob) {
    logprobs_ += "null";
    top_ += "null";
    return;
  }
  append_logprob(logprobs_, *token.logprob);
  std::vector<std::string> names;
  const auto add_member = [&](std::string_view bytes, float logprob) {
    std::string name = spelt(bytes);
    if (std::ranges::find(names, name) != names.end()) return;
    top_ += names.empty() ? '{' : ',';
    append_json_string(top_, name);
    top_ += ':';
    append_logprob(top_, logprob);
    names.push_back(std::move(name));
  };
  for (const TokenChance& one : token.top) add_member(one.bytes, one.logprob);
  add_member(token.bytes, *token.logprob);
  top_ += '}';
}

std::string LogprobsWriter::take() {
  std::string object;
  if (kind_ == AnswerKind::kChat) {
    object = R"({"content":[)" + tokens_ + R"(],"refusal":null})";
  } else {
    object = R"({"tokens":[)" + tokens_ + R"(],"token_logprobs":[)" + logprobs_ + R"(],"top_logprobs":[)" + top_ +
             R"(],"text_offset":[)" + offsets_ + "]}";
  }
  for (std::string* const members : {&tokens_, &logprobs_, &top_, &offsets_}) members->clear();
  return object;
}

}  // namespace slipstream
