// The `logprobs` object of a choice, in OpenAI's two forms: chat's {"content":[{token, logprob, bytes, top_logprobs}]}
// and the older completions' {"tokens", "token_logprobs", "top_logprobs", "text_offset"}.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "api/answer_kind.h"

namespace slipstream {

struct TokenChance {
  std::string_view bytes;  // the token's; need not be UTF-8
  float logprob = 0;       // below -9999 it is written as that: JSON knows no infinity
};

struct ScoredToken {
  std::string_view bytes;
  std::optional<float> logprob;      // none: the first token of a prompt, which follows nothing
  std::span<const TokenChance> top;  // the likeliest, in order
  uint64_t text_offset = 0;          // characters of the choice's text before it
};

class LogprobsWriter {
 public:
  explicit LogprobsWriter(AnswerKind kind) : kind_(kind) {}

  void add(const ScoredToken& token);
  bool empty() const { return tokens_.empty(); }
  // The object with what was added since the last take().
  std::string take();

 private:
  void add_to_chat(const ScoredToken& token);
  void add_to_text(const ScoredToken& token);

  const AnswerKind kind_;
  // Members of JSON arrays, with commas between them. Chat uses the first alone.
  std::string tokens_;
  std::string logprobs_;
  std::string top_;
  std::string offsets_;
};

}  // namespace slipstream
