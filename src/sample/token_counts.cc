#include "sample/token_counts.h"

#include <bit>

#include "base/check.h"

namespace slipstream {

TokenCounts::TokenCounts(uint32_t most_tokens) : places_(std::bit_ceil(size_t{most_tokens} * 2 + 1)) {
  counts_.reserve(most_tokens);
}

TokenCounts::Count* TokenCounts::find(TokenId token) {
  if (places_.empty()) return nullptr;
  const size_t mask = places_.size() - 1;
  // Multiplied by an odd constant near 2^32 / golden ratio: neighbouring ids go far apart.
  for (size_t place = token * 0x9e3779b1u & mask;; place = (place + 1) & mask) {
    uint32_t& index = places_[place];
    if (index != 0 && counts_[index - 1].token != token) continue;
    if (index == 0) {
      CHECK(counts_.size() < counts_.capacity(), "{} tokens counted, room for no more", counts_.size());
      counts_.push_back({token, 0});
      index = static_cast<uint32_t>(counts_.size());
    }
    return &counts_[index - 1];
  }
}

void TokenCounts::add_output(TokenId token) {
  if (Count* const count = find(token); count != nullptr) ++count->num_output;
}

}  // namespace slipstream
