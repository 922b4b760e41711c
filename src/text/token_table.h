// The bytes each token stands for, flat, so that the engine thread turns tokens into text without Rust and without
// allocating. Made by Tokenizer; constant after that; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"

namespace slipstream {

struct TokenTable {
  std::string bytes;             // all tokens' bytes, one after the other
  std::vector<uint32_t> begins;  // [num_tokens + 1]; token t is bytes[begins[t], begins[t + 1])
  std::vector<uint8_t> special;  // [num_tokens]; 1: a control token, skipped in an answer's text
  // [num_tokens], or empty where there are none. 1: one byte of a run of byte-fallback tokens ("<0xE2>" of a
  // SentencePiece vocabulary). Such a run is UTF-8 as a whole, or each of its bytes is U+FFFD.
  std::vector<uint8_t> run_byte;
  uint32_t longest = 0;               // bytes of the longest token
  uint32_t spaces_dropped_first = 0;  // at most so many spaces at the very start of a text are dropped

  uint32_t num_tokens() const { return begins.empty() ? 0 : static_cast<uint32_t>(begins.size() - 1); }
  // Empty for an id the table does not have (a padded vocabulary).
  std::string_view token(TokenId id) const {
    if (id >= num_tokens()) return {};
    return std::string_view(bytes).substr(begins[id], begins[id + 1] - begins[id]);
  }
  bool is_special(TokenId id) const { return id < special.size() && special[id] != 0; }
  bool is_run_byte(TokenId id) const { return id < run_byte.size() && run_byte[id] != 0; }
};

}  // namespace slipstream
