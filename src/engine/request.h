// What a client asked, already tokens and checked numbers; never changes after submit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cache/sequence_keys.h"
#include "sample/sampling_params.h"

namespace slipstream {

struct Request {
  std::vector<TokenId> prompt;         // >= 1 token, all < vocab_size
  SamplingParams sampling;
  uint32_t max_tokens = 0;             // the engine shortens it to what the context leaves; 0: the prompt alone
  uint32_t min_tokens = 0;             // nothing ends the answer before it has so many
  std::vector<std::string> stop;       // none empty
  std::vector<TokenId> stop_tokens;    // these end it like an end-of-turn token, also with ignore_eos
  bool include_stop = false;           // the stop string, or the stop token's text, is part of the answer
  bool ignore_eos = false;
  bool report_tokens = false;          // TextEvent::tokens
  std::optional<uint32_t> top_logprobs;  // TextEvent::logprobs, with so many likeliest each; <= kMaxTopLogprobs
  bool prompt_logprobs = false;        // TextEvent::prompt_logprobs too; needs top_logprobs
  uint32_t choice = 0;                 // index among the prompt's n
  uint32_t client = 0;                 // whose it is, < EngineOptions::num_clients: clients wait in lines of their own
  ExtraKey cache_key = {};             // only requests with the same one share what is in the cache
  std::optional<ExtraKey> wider_cache_key = {};  // under which a reason may look (KvLedger::explain); nothing is shared
  uint64_t arrived_ns = 0;             // Clock time at which it was asked for; 0: now. Latencies count from it
};

}  // namespace slipstream
