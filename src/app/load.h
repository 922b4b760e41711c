// A load: requests that are asked at once or at times of their own, and what came of them when. The same numbers are
// taken of an engine in this process (measured_engine.h) and of a server (http_load.h), so that one is the limit of the
// other.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"

namespace slipstream {

struct LoadPlan {
  uint32_t num_streams = 1;    // so many at a time: as one ends the next is asked
  double request_rate = 0;     // > 0: instead, so many a second, at random times
  uint32_t num_requests = 1;
  uint32_t prompt_tokens = 128;
  uint32_t max_tokens = 64;    // each answer has all of them
  uint32_t vocab_size = 0;     // prompts are made-up tokens below it
  uint64_t seed = 0;           // of prompts and times

  std::vector<TokenId> prompt(uint32_t request) const;
  // When each request is asked, in seconds from the start: Poisson arrivals. Only with a rate.
  std::vector<double> arrivals() const;
};

// Times in seconds of one clock.
struct LoadedRequest {
  double asked_s = 0;
  double first_event_s = 0;    // whatever came first of the answer
  std::vector<double> text_s;  // of each piece of text
  double ended_s = 0;
  uint32_t num_tokens = 0;
  std::string text;            // of a server; an engine gives tokens alone
  std::string fault;           // "": it was answered, whole
};
using Load = std::vector<LoadedRequest>;

// Told while a load runs: so many tokens more.
using TokensDone = std::function<void(uint64_t more)>;

// Output tokens a second of all streams together, from the first question to the last answer's end.
double tokens_per_second(const Load& load);

struct Spread {
  double p50_ms = 0;
  double p99_ms = 0;
};
struct LoadNumbers {
  Spread first_event;             // from the question on
  Spread first_text;
  Spread between;                 // of two pieces of text of one answer
  double pieces_per_token = 0;
  uint32_t num_faults = 0;
  std::string first_fault;        // "": none
};
// Of all loads together; what failed counts in num_faults alone.
LoadNumbers numbers_of(std::span<const Load> loads);

}  // namespace slipstream
