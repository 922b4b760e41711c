#include "engine/output.h"

#include <algorithm>
#include <utility>

namespace slipstream {
namespace {

// Text between two takes is rarely longer; where it is, the string grows.
constexpr size_t kMostReserved = 64 << 10;

}  // namespace

Output::Output(const TokenTable* table, OutputRules rules)
    : eos_tokens_(rules.eos_tokens), max_tokens_(rules.max_tokens), stops_(std::move(rules.stop)) {
  if (table == nullptr) return;
  detokenizer_.emplace(table);
  // A byte that is no character becomes U+FFFD, three bytes.
  const size_t most_tokens = size_t{std::min(rules.tokens_per_take, rules.max_tokens)} + 1;
  const size_t most_bytes = 3 * (most_tokens * table->longest + Detokenizer::kMaxHeld);
  text_.reserve(std::min(kMostReserved, most_bytes) + stops_.longest());
}

std::optional<FinishReason> Output::put(TokenId token) {
  ++num_tokens_;
  const bool ends_turn = std::ranges::find(eos_tokens_, token) != eos_tokens_.end();
  const size_t begin = text_.size();
  if (detokenizer_ && !ends_turn) detokenizer_->put(token, text_);
  if (read_text(begin)) return FinishReason::kStop;
  if (!ends_turn && num_tokens_ < max_tokens_) return std::nullopt;

  const size_t end = text_.size();
  if (detokenizer_) detokenizer_->finish(text_);
  if (read_text(end)) return FinishReason::kStop;
  num_held_ = 0;
  return ends_turn ? FinishReason::kStop : FinishReason::kLength;
}

void Output::take() {
  text_.erase(0, text_.size() - num_held_);
  num_tokens_taken_ = num_tokens_;
}

// Looks for a stop string in what came from `begin` on; true, and the text ends before it, when there is one.
bool Output::read_text(size_t begin) {
  if (const auto found = stops_.read(std::string_view(text_).substr(begin))) {
    text_.resize(begin + found->end - found->num_bytes);
    num_held_ = 0;
    return true;
  }
  num_held_ = stops_.num_held();
  return false;
}

}  // namespace slipstream
