// Sampled tokens of one sequence -> text, and why it ends: end-of-turn or stop token, stop string, length.
//
//   text   0 ................ | ...............
//          certain: readable    held: may be the beginning of a stop string
//
// A stop string never gets out (unless it was asked for); what was held back and was none is never lost. What is
// reported beside the text, logprobs of tokens, goes with it. Made at submit with all the memory it needs; then engine
// thread.
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
#include "sample/logprobs.h"
#include "text/detokenizer.h"

namespace slipstream {

struct OutputRules {
  std::vector<std::string> stop;        // none empty
  std::span<const TokenId> eos_tokens;  // outlive it; empty: none ends the answer
  std::vector<TokenId> stop_tokens = {};  // end it too
  bool include_stop = false;            // the stop string or the stop token's text belongs to the answer
  uint32_t min_tokens = 0;              // stop strings that begin in earlier tokens are none; end tokens are banned
  uint32_t max_tokens = 1;              // 0: put() is never called
  uint32_t tokens_per_take = 1;         // tokens between two take()s, for memory
  bool report_tokens = false;
  std::optional<uint32_t> top_logprobs = std::nullopt;
};

class Output {
 public:
  // table: outlives it; null: no text at all.
  Output(const TokenTable* table, OutputRules rules);

  // The next token, with num_logprobs() of it. Says why the answer ends with it, if it does; then nothing may follow.
  // The token that ends a turn has no text.
  std::optional<FinishReason> put(TokenId token, std::span<const TokenLogprob> logprobs = {});

  // What is certain and was not taken yet; TextEvent says what each is.
  std::string_view text() const { return std::string_view(text_).substr(0, text_.size() - num_held_); }
  std::span<const TokenId> tokens() const { return tokens_; }
  std::span<const TokenLogprob> logprobs() const;
  std::span<const uint64_t> text_begins() const { return std::span(begins_).first(num_certain()); }
  // Forgets all that.
  void take();

  // Logprobs of a token that put() takes: 1 + top_logprobs, or 0.
  uint32_t num_logprobs() const { return num_logprobs_; }
  // False: the token that comes after num_more others must be none that ends the answer.
  bool may_end(uint32_t num_more = 0) const { return num_tokens_ + num_more >= rules_.min_tokens; }
  std::span<const TokenId> eos_tokens() const { return rules_.eos_tokens; }
  std::span<const TokenId> stop_tokens() const { return rules_.stop_tokens; }
  uint32_t max_tokens() const { return rules_.max_tokens; }

  uint32_t num_tokens() const { return num_tokens_; }
  uint32_t num_tokens_since_take() const { return num_tokens_ - num_tokens_taken_; }
  size_t text_capacity() const { return text_.capacity(); }
  size_t token_capacity() const { return tokens_.capacity(); }
  size_t logprob_capacity() const { return begins_.capacity(); }

 private:
  std::optional<FinishReason> judge(TokenId token, std::span<const TokenLogprob> logprobs);
  bool read_text(size_t begin);
  uint64_t text_end() const { return text_begin_ + text_.size(); }
  size_t num_certain() const;
  void drop_logprobs_from(uint64_t byte);

  // Constant after construction.
  OutputRules rules_;  // without `stop`
  uint32_t num_logprobs_ = 0;

  // Engine thread.
  std::optional<Detokenizer> detokenizer_;  // none: no text
  StopMatcher stops_;
  std::string text_;         // not taken yet
  uint64_t text_begin_ = 0;  // bytes taken before
  size_t num_held_ = 0;      // last bytes of text_
  std::vector<TokenId> tokens_;          // not taken yet
  std::vector<TokenLogprob> logprobs_;   // [begins_.size()][num_logprobs_], not taken yet
  std::vector<uint64_t> begins_;         // byte of the answer at which each token's text begins
  std::vector<uint8_t> has_text_;        // [begins_.size()]; 0: a token that gave none and never will (a control token)
  bool ended_ = false;
  uint32_t num_tokens_ = 0;
  uint32_t num_tokens_taken_ = 0;
};

}  // namespace slipstream
