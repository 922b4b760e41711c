// How a token is chosen from logits. Checked numbers; ranges as OpenAI's and vLLM's.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"

namespace slipstream {

struct LogitBias {
  TokenId token = 0;
  float bias = 0;  // [-100, 100]

  bool operator==(const LogitBias&) const = default;
};

struct SamplingParams {
  double temperature = 1.0;  // [0, 2]; 0 = greedy: the largest logit, the lowest id among equals
  double top_p = 1.0;        // (0, 1]
  uint32_t top_k = 0;        // 0 = off
  double min_p = 0.0;        // [0, 1]
  double repetition_penalty = 1.0;    // (0, 10]; over prompt and answer; 1 = off
  double frequency_penalty = 0.0;     // [-2, 2]; over the answer, as the next
  double presence_penalty = 0.0;      // [-2, 2]
  std::vector<LogitBias> logit_bias = {};  // each token once
  uint64_t seed = 0;         // always set when the request is made: a client's, or drawn for it
};

}  // namespace slipstream
