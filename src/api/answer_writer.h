// OpenAI's answers: whole (chat.completion, text_completion) and as a stream of chunks. One writer for one request:
// its id, time and model are the same in every chunk. Text is whole UTF-8 characters.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/answer_kind.h"
#include "base/ids.h"

namespace slipstream {

struct Usage {
  uint64_t prompt_tokens = 0;      // each prompt once
  uint64_t completion_tokens = 0;  // over all choices
  uint64_t cached_tokens = 0;      // of the prompts
};

// What a request may want beside the text.
struct AnswerExtras {
  std::string logprobs;                                    // LogprobsWriter::take(); empty: null
  const std::vector<TokenId>* token_ids = nullptr;         // null: not written
  const std::vector<TokenId>* prompt_token_ids = nullptr;  // the same; written beside a chat's choices, or in one
  const Usage* usage = nullptr;                            // a chunk's own; null: null if announced, else not written
  std::string cache;                                       // a chunk's own, JSON; empty: not written
};

struct AnswerChoice {
  std::string text;
  std::string_view finish_reason;  // "stop", "length"
  AnswerExtras extras = {};
};

class AnswerWriter {
 public:
  // id: without its prefix ("chatcmpl-", "cmpl-").
  AnswerWriter(AnswerKind kind, std::string_view id, int64_t created, std::string_view model);

  // Chunks of a stream then carry "usage": null, as OpenAI's do.
  void announce_usage() { announces_usage_ = true; }

  // cache: JSON that is written beside the usage; empty: nothing is.
  std::string whole(std::span<const AnswerChoice> choices, const Usage& usage, std::string_view cache = {}) const;

  // Chunks. A chat's first one for each choice gives the role.
  std::string role(uint32_t index, const AnswerExtras& extras = {}) const;
  std::string text(uint32_t index, std::string_view text, const AnswerExtras& extras = {}) const;
  std::string finish(uint32_t index, std::string_view finish_reason, const AnswerExtras& extras = {}) const;
  std::string usage(const Usage& usage, std::string_view cache = {}) const;

  AnswerKind kind() const { return kind_; }

 private:
  std::string chunk(uint32_t index, std::string_view delta, std::string_view finish_reason,
                    const AnswerExtras& extras) const;
  void append_extras(std::string& out, const AnswerExtras& extras) const;

  const AnswerKind kind_;
  bool announces_usage_ = false;
  std::string whole_head_;  // {"id":...,"object":...,"created":...,"model":...
  std::string chunk_head_;
};

// GET /v1/models and /v1/models/{id}.
std::string write_model(std::string_view id, int64_t created, uint32_t max_model_len);
std::string write_model_list(std::string_view id, int64_t created, uint32_t max_model_len);

}  // namespace slipstream
