// Sampled tokens of one sequence -> text, and why it ends: end-of-turn token, stop string, length.
//
//   text   0 ................ | ...............
//          certain: readable    held: may be the beginning of a stop string
//
// A stop string never gets out; what was held back and was none is never lost. Made at submit with all the memory it
// needs; then engine thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "engine/stop_matcher.h"
#include "engine/text_stream.h"
#include "text/detokenizer.h"

namespace slipstream {

struct OutputRules {
  std::vector<std::string> stop;        // none empty
  std::span<const TokenId> eos_tokens;  // outlive it; empty: none ends the answer
  uint32_t max_tokens = 1;
  uint32_t tokens_per_take = 1;         // tokens between two take()s, for memory
};

class Output {
 public:
  // table: outlives it; null: no text at all.
  Output(const TokenTable* table, OutputRules rules);

  // The next token. Says why the answer ends with it, if it does; then nothing may follow. The token that ends a turn
  // has no text.
  std::optional<FinishReason> put(TokenId token);

  // Text that is certain and was not taken yet: whole characters.
  std::string_view text() const { return std::string_view(text_).substr(0, text_.size() - num_held_); }
  // Forgets what text() gave.
  void take();

  uint32_t num_tokens() const { return num_tokens_; }
  uint32_t num_tokens_since_take() const { return num_tokens_ - num_tokens_taken_; }
  size_t text_capacity() const { return text_.capacity(); }

 private:
  bool read_text(size_t begin);

  // Constant after construction.
  std::span<const TokenId> eos_tokens_;
  uint32_t max_tokens_ = 0;

  // Engine thread.
  std::optional<Detokenizer> detokenizer_;  // none: no text
  StopMatcher stops_;
  std::string text_;
  size_t num_held_ = 0;  // last bytes of text_
  uint32_t num_tokens_ = 0;
  uint32_t num_tokens_taken_ = 0;
};

}  // namespace slipstream
