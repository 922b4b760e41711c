// Guesses how one sequence goes on, from its own tokens: where its last three stood before, and what followed there.
// Code that is changed a little, text that is quoted, tables and lists repeat themselves so. Where the guess is right
// it is followed on; where it is wrong the next one is looked up.
//
//   tokens   ... a  b  c  d  e  f ... x  a  b  c
//                         ^ source_               the guess: d, e, f, ...
//
// How often it is right it finds out by itself, from tokens that come whether or not anybody uses the guess: so a
// sequence that does not repeat itself costs a look-up for each token, and nothing else. A function of the tokens
// alone.
//
// All memory is taken at construction; one thread at a time.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"

namespace slipstream {

class PromptLookup {
 public:
  PromptLookup() = default;  // no room: never has a guess
  // Reads the prompt, of a sequence of at most so many tokens.
  PromptLookup(std::span<const TokenId> prompt, uint32_t most_tokens);
  // What it takes, in tokens of four bytes.
  static uint64_t memory_tokens(uint32_t most_tokens);

  // All tokens of the sequence: those that the last read() did not have yet are read, and the guess is held against
  // them.
  void read(std::span<const TokenId> tokens);
  // That the next token is the guessed one: 0 without a guess.
  double chance() const;
  // Of the sequence that was read last: its next tokens, as guessed. There is a guess.
  void guess(std::span<const TokenId> tokens, std::span<TokenId> next) const;

  // Never again a guess.
  void stop();

 private:
  void read_one(std::span<const TokenId> tokens);
  uint32_t find(std::span<const TokenId> tokens);

  std::vector<uint32_t> places_;  // by hash of three tokens: what followed them last stands here; 2^n; 0: none
  uint32_t num_read_ = 0;
  uint32_t source_ = 0;  // the token here is the guess, the next one's is behind it; 0: no guess
  // Of guesses that were held against tokens, and of those that were right, the newest for most.
  double num_tried_ = 0;
  double num_right_ = 0;
};

}  // namespace slipstream
