// How a token is chosen from logits. Checked numbers; ranges as OpenAI's and vLLM's.
#pragma once

#include <cstdint>

namespace slipstream {

struct SamplingParams {
  double temperature = 1.0;  // [0, 2]; 0 = greedy: the largest logit, the lowest id among equals
  double top_p = 1.0;        // (0, 1]
  uint32_t top_k = 0;        // 0 = off
  double min_p = 0.0;        // [0, 1]
  uint64_t seed = 0;         // always set when the request is made: a client's, or drawn for it
};

}  // namespace slipstream
