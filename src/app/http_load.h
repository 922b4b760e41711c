// A load on a running server, over OpenAI's API: every answer is a stream, read as it comes. What comes is only noted
// with its time while the load runs, and read afterwards, so that the client takes as little as can be of the machine
// that it measures.
#pragma once

#include <cstdint>
#include <string>

#include "app/load.h"
#include "base/result.h"
#include "http/http_client.h"

namespace slipstream {

struct HttpTarget {
  HttpAddress address;
  std::string api_key;              // "": none
  std::string model;                // what the server calls it
  bool chat = false;                // /v1/chat/completions with made-up words; else /v1/completions with made-up tokens
  uint32_t silence_timeout_s = 600; // a request that hears nothing for so long has failed
};

// Asks the server what its model is called. Error: nobody answers there, or somebody who has no model.
Result<HttpTarget> find_target(const HttpAddress& address, const std::string& api_key);

// The calling thread does all of it. A request that fails does not end the load. Error: the host cannot be found.
Result<Load> run_http_load(const LoadPlan& plan, const HttpTarget& target, const TokensDone& tokens_done);

// ---- its parts, for tests ----

// The body of a request.
std::string load_body(const LoadPlan& plan, const HttpTarget& target, uint32_t request);

// One event's data, and when it came.
struct TimedEvent {
  double came_s = 0;
  std::string data;
};
// Fills in what the events say: the times, the text, the number of tokens, a fault where the stream has one or has no
// end.
void read_events(std::span<const TimedEvent> events, LoadedRequest& request);

}  // namespace slipstream
