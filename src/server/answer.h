// One answer on its way: the streams of all its choices, and how they become one response, whole or as events. I/O
// thread. Destroyed before its streams have ended (the client is gone, something failed) it cancels them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/answer_writer.h"
#include "api/api_error.h"
#include "base/resume_queue.h"
#include "base/result.h"
#include "base/task.h"
#include "engine/engine.h"
#include "engine/text_stream.h"
#include "http/http_exchange.h"
#include "server/asked.h"
#include "server/cache_report.h"
#include "server/choice_report.h"

namespace slipstream {

// Numbers nobody can guess, one after the other: ids of answers, and seeds for requests that bring none.
class RandomDraws {
 public:
  explicit RandomDraws(uint64_t seed) : seed_(seed) {}
  uint64_t next();
  std::string next_id();  // 24 hexadecimal digits

 private:
  const uint64_t seed_;
  uint64_t drawn_ = 0;
};

class Answer {
 public:
  // Gives every choice of every prompt to the engine: all, or none and the reason.
  // table: of the model's tokens; outlives the answer.
  static Result<std::unique_ptr<Answer>> begin(Asked asked, Engine& engine, const TokenTable& table, RandomDraws& draws,
                                               ResumeQueue& reader);

  // Both return when the response has ended, or as soon as the client has left.
  Task<void> respond_whole(HttpExchange& exchange, const AnswerWriter& writer);
  Task<void> respond_events(HttpExchange& exchange, AnswerWriter writer);

 private:
  explicit Answer(Asked asked) : asked_(std::move(asked)) {}

  Task<void> pump(HttpExchange& exchange, const AnswerWriter& writer, uint32_t index);
  void count(const TextEvent& event, uint32_t index);
  Request make_request(uint32_t prompt, uint32_t choice, const SamplingParams& sampling) const;
  void interrupt_all();
  AnswerExtras first_extras(uint32_t index);
  AnswerExtras extras_now(uint32_t index);
  AnswerExtras last_extras(uint32_t index);

  Asked asked_;
  std::vector<TextStream> streams_;  // [prompts * num_choices]: choice c of prompt p is p * num_choices + c
  std::vector<ChoiceReport> reports_;  // the same
  Usage usage_;
  CacheReport cache_report_;
  uint32_t num_ended_ = 0;           // choices of a stream that came to their end
  bool failed_ = false;              // one choice had an error: the request ends
};

// A refusal as a whole response.
HttpResponse error_response(const ApiError& error);

}  // namespace slipstream
