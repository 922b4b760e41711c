// Token by token -> text that is always whole UTF-8 characters. Joining what put() and finish() give equals
// Tokenizer::decode(all tokens, skip_special = true), for every sequence of tokens, with the one exception below.
//
// What is no character becomes U+FFFD as Hugging Face's decoders have it, in two ways:
// - byte-level vocabularies: one for the longest beginning of a character, one for each other wrong byte (as Rust's
//   from_utf8_lossy); the beginning of a character, at most 3 bytes, is held back.
// - byte-fallback vocabularies ("<0xE2>" tokens among words): a run of such tokens is text only as a whole; one wrong
//   byte makes each byte of the run U+FFFD. So the run is held back until it ends, is wrong, or has kMaxHeld bytes;
//   then its whole characters are given out, and a byte that is wrong after that does not take them back (the
//   exception).
// No allocation of its own; `out` may grow.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "text/token_table.h"
#include "text/utf8_state.h"

namespace slipstream {

class Detokenizer {
 public:
  static constexpr uint32_t kMaxHeld = 128;

  explicit Detokenizer(const TokenTable* table);  // outlives it

  // Appends to `out` the text that is now certain.
  void put(TokenId token, std::string& out);
  // Appends what is held back, as U+FFFD where it is no character. The next put() begins a new text.
  void finish(std::string& out);
  // Bytes are held back that may become text.
  bool holds() const { return num_held_ > 0; }

 private:
  void put_bytes(std::string_view bytes, std::string& out);
  void put_run_byte(char byte, std::string& out);
  void end_run(std::string& out);
  void append(std::string_view text, std::string& out);
  void append_replacements(uint32_t count, std::string& out);

  const TokenTable* table_;
  Utf8State state_;
  char held_[kMaxHeld] = {};
  uint32_t num_held_ = 0;
  uint32_t num_whole_ = 0;     // of the held bytes of a run, those that are whole characters
  bool run_is_wrong_ = false;  // a byte of the present run was no part of a character
  uint32_t spaces_to_drop_;    // some vocabularies drop a text's leading space
};

}  // namespace slipstream
