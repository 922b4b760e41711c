// What a client asked, already tokens and checked numbers; never changes after submit.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/ids.h"
#include "sample/sampling_params.h"

namespace slipstream {

struct Request {
  std::vector<TokenId> prompt;         // >= 1 token, all < vocab_size
  SamplingParams sampling;
  uint32_t max_tokens = 0;             // >= 1; the engine shortens it to what the context leaves
  std::vector<std::string> stop;       // none empty
  bool ignore_eos = false;
  uint32_t choice = 0;                 // index among the prompt's n
};

}  // namespace slipstream
