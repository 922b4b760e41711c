// Token by token -> text that is always whole UTF-8 characters. Joining what put() and finish() give equals
// Tokenizer::decode(all tokens, skip_special = true), for every sequence of tokens.
#pragma once

#include <string>
#include <string_view>

#include "base/ids.h"
#include "text/token_table.h"

namespace slipstream {

class Detokenizer {
 public:
  explicit Detokenizer(const TokenTable* table);  // outlives it

  // Appends to `out` the text that is now certain. At most 3 bytes of an unfinished character are held back.
  void put(TokenId token, std::string& out);
  // Appends what is held back, as U+FFFD where it is no character.
  void finish(std::string& out);

 private:
  const TokenTable* table_;
  char held_[4] = {};
  uint32_t num_held_ = 0;
  bool at_start_ = true;  // some tokenizers drop the first token's leading space
};

}  // namespace slipstream
