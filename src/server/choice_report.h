// What one choice gives beside what the model wrote: the echoed prompt, token ids, logprobs. I/O thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/answer_writer.h"
#include "api/generation_params.h"
#include "api/logprobs_writer.h"
#include "engine/text_stream.h"
#include "text/token_table.h"

namespace slipstream {

class ChoiceReport {
 public:
  // table: outlives it; null: tokens have no text. echo: what the answer begins with, or empty.
  ChoiceReport(AnswerKind kind, const GenerationParams& generation, const TokenTable* table,
               std::vector<TokenId> prompt, std::string echo);

  // The stream's next event; the text that comes with it. The prompt comes with the first one's.
  std::string add(const TextEvent& event);
  // What was reported since the last take(), but for the usage. Its pointers are valid until the next add() or take().
  AnswerExtras take();
  // The prompt's tokens, where the request wants them; once, in what goes out first.
  const std::vector<TokenId>* prompt_token_ids() const { return wants_tokens_ ? &prompt_ : nullptr; }

 private:
  void score_prompt(const TextEvent& event);
  void score_answer(const TextEvent& event);
  void score(const TokenLogprob* logprobs, uint64_t text_offset);
  std::string_view bytes_of(TokenId token) const;
  uint64_t characters_before(uint64_t byte);

  // Constant after construction.
  const TokenTable* const table_;
  const bool wants_tokens_;
  const uint32_t num_logprobs_;  // of each token: 1 + top_logprobs, or 0
  const bool echoes_;
  const std::vector<TokenId> prompt_;
  const std::string echo_;

  bool begun_ = false;
  LogprobsWriter logprobs_;
  std::vector<TokenId> tokens_;  // since the last take()
  std::vector<TokenId> given_;   // in the last take()
  // Where characters are counted: the answer's text from byte tail_begin_ on, and the characters before it, those of
  // the echoed prompt included.
  std::string tail_;
  uint64_t tail_begin_ = 0;
  uint64_t tail_characters_ = 0;
};

}  // namespace slipstream
