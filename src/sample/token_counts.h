// Which tokens stand in one sequence so far, and how often in its answer: what penalties are reckoned from. All memory
// is taken at construction; one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"

namespace slipstream {

class TokenCounts {
 public:
  TokenCounts() = default;                    // no room: add_*() does nothing
  explicit TokenCounts(uint32_t most_tokens);  // room for a sequence of so many

  void add_prompt(TokenId token) { find(token); }
  void add_output(TokenId token);

  struct Count {
    TokenId token = 0;
    uint32_t num_output = 0;  // 0: only in the prompt
  };
  std::span<const Count> counts() const { return counts_; }  // each token once, in order of appearance

 private:
  Count* find(TokenId token);  // null without room

  std::vector<Count> counts_;
  std::vector<uint32_t> places_;  // open addressing: index in counts_ plus 1, 0 = free; 2^n, at most half full
};

}  // namespace slipstream
