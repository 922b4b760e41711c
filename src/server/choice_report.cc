#include "server/choice_report.h"

#include <algorithm>
#include <utility>

#include "text/detokenizer.h"

namespace slipstream {
namespace {

// Of whole UTF-8 characters.
uint64_t num_characters(std::string_view text) {
  return static_cast<uint64_t>(std::ranges::count_if(text, [](char byte) { return (byte & 0xC0) != 0x80; }));
}

}  // namespace

ChoiceReport::ChoiceReport(AnswerKind kind, const GenerationParams& generation, const TokenTable* table,
                           std::vector<TokenId> prompt, std::string echo)
    : table_(table),
      wants_tokens_(generation.return_token_ids),
      num_logprobs_(generation.top_logprobs ? 1 + *generation.top_logprobs : 0),
      echoes_(generation.echo),
      prompt_(std::move(prompt)),
      echo_(std::move(echo)),
      logprobs_(kind),
      tail_characters_(num_characters(echo_)) {}

std::string ChoiceReport::add(const TextEvent& event) {
  const bool is_first = !std::exchange(begun_, true);
  if (wants_tokens_) tokens_.insert(tokens_.end(), event.tokens.begin(), event.tokens.end());
  if (num_logprobs_ > 0) {
    if (is_first && echoes_) score_prompt(event);
    score_answer(event);
  }
  return is_first ? echo_ + event.text : event.text;
}

AnswerExtras ChoiceReport::take() {
  AnswerExtras extras;
  if (!logprobs_.empty()) extras.logprobs = logprobs_.take();
  if (wants_tokens_) {
    given_ = std::exchange(tokens_, {});
    extras.token_ids = &given_;
  }
  return extras;
}

void ChoiceReport::score_prompt(const TextEvent& event) {
  std::optional<Detokenizer> detokenizer;
  if (table_ != nullptr) detokenizer.emplace(table_);
  std::string text;
  uint64_t characters = 0;
  for (size_t i = 0; i < prompt_.size(); ++i) {
    if (i == 0) {
      logprobs_.add({bytes_of(prompt_[i]), std::nullopt, {}, 0});
    } else if (i * num_logprobs_ <= event.prompt_logprobs.size()) {  // fewer where the answer was cut off
      score(event.prompt_logprobs.data() + (i - 1) * num_logprobs_, characters);
    }
    if (detokenizer) detokenizer->put(prompt_[i], text);
    characters += num_characters(text);
    text.clear();
  }
}

void ChoiceReport::score_answer(const TextEvent& event) {
  tail_ += event.text;
  for (size_t i = 0; i < event.text_begins.size(); ++i) {
    score(event.logprobs.data() + i * num_logprobs_, characters_before(event.text_begins[i]));
  }
}

// logprobs: [num_logprobs_], the token's own first.
void ChoiceReport::score(const TokenLogprob* logprobs, uint64_t text_offset) {
  TokenChance top[kMaxTopLogprobs];
  const uint32_t num_top = num_logprobs_ - 1;
  for (uint32_t i = 0; i < num_top; ++i) top[i] = {bytes_of(logprobs[1 + i].token), logprobs[1 + i].logprob};
  logprobs_.add({bytes_of(logprobs[0].token), logprobs[0].logprob, std::span(top).first(num_top), text_offset});
}

std::string_view ChoiceReport::bytes_of(TokenId token) const {
  return table_ == nullptr ? std::string_view() : table_->token(token);
}

// Bytes come in ascending order.
uint64_t ChoiceReport::characters_before(uint64_t byte) {
  const auto passed = static_cast<size_t>(std::min<uint64_t>(byte - tail_begin_, tail_.size()));
  tail_characters_ += num_characters(std::string_view(tail_).substr(0, passed));
  tail_.erase(0, passed);
  tail_begin_ += passed;
  return tail_characters_;
}

}  // namespace slipstream
