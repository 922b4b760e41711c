#include "engine/output.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace slipstream {
namespace {

// Text between two takes is rarely longer; where it is, the string grows.
constexpr size_t kMostReserved = 64 << 10;
// Tokens whose logprobs wait because their text may be a stop string; where they are more, the vectors grow.
constexpr size_t kHeldTokens = 16;

bool contains(std::span<const TokenId> tokens, TokenId token) {
  return std::ranges::find(tokens, token) != tokens.end();
}

}  // namespace

Output::Output(const TokenTable* table, OutputRules rules)
    : rules_(std::move(rules)),
      num_logprobs_(rules_.top_logprobs ? 1 + *rules_.top_logprobs : 0),
      stops_(std::move(rules_.stop)) {
  const size_t most_tokens = size_t{std::min(rules_.tokens_per_take, rules_.max_tokens)} + 1;
  if (rules_.report_tokens) tokens_.reserve(most_tokens);
  if (num_logprobs_ > 0) {
    begins_.reserve(most_tokens + kHeldTokens);
    has_text_.reserve(most_tokens + kHeldTokens);
    logprobs_.reserve((most_tokens + kHeldTokens) * num_logprobs_);
  }
  if (table == nullptr) return;
  detokenizer_.emplace(table);
  // A byte that is no character becomes U+FFFD, three bytes.
  const size_t most_bytes = 3 * (most_tokens * table->longest + Detokenizer::kMaxHeld);
  text_.reserve(std::min(kMostReserved, most_bytes) + stops_.longest());
}

std::optional<FinishReason> Output::put(TokenId token, std::span<const TokenLogprob> logprobs) {
  const std::optional<FinishReason> finish = judge(token, logprobs);
  ended_ = finish.has_value();
  return finish;
}

std::optional<FinishReason> Output::judge(TokenId token, std::span<const TokenLogprob> logprobs) {
  CHECK(logprobs.size() == num_logprobs_, "{} logprobs, {} expected", logprobs.size(), num_logprobs_);
  ++num_tokens_;
  if (rules_.report_tokens) tokens_.push_back(token);
  const bool ends_turn = contains(rules_.eos_tokens, token);
  const bool ends = ends_turn || contains(rules_.stop_tokens, token);
  const bool has_text = !ends || (rules_.include_stop && !ends_turn);
  const size_t begin = text_.size();
  if (has_text && num_logprobs_ > 0) {
    begins_.push_back(text_end());
    logprobs_.insert(logprobs_.end(), logprobs.begin(), logprobs.end());
  }
  if (detokenizer_ && has_text) detokenizer_->put(token, text_);
  if (has_text && num_logprobs_ > 0) {
    has_text_.push_back(text_.size() > begin || (detokenizer_ && detokenizer_->holds()));
  }
  if (read_text(begin)) return FinishReason::kStop;
  if (!ends && num_tokens_ < rules_.max_tokens) return std::nullopt;

  const size_t end = text_.size();
  if (detokenizer_) detokenizer_->finish(text_);
  if (read_text(end)) return FinishReason::kStop;
  num_held_ = 0;
  return ends ? FinishReason::kStop : FinishReason::kLength;
}

std::span<const TokenLogprob> Output::logprobs() const {
  return std::span(logprobs_).first(num_certain() * num_logprobs_);
}

void Output::take() {
  const size_t num_given = num_certain();
  begins_.erase(begins_.begin(), begins_.begin() + static_cast<ptrdiff_t>(num_given));
  has_text_.erase(has_text_.begin(), has_text_.begin() + static_cast<ptrdiff_t>(num_given));
  logprobs_.erase(logprobs_.begin(), logprobs_.begin() + static_cast<ptrdiff_t>(num_given * num_logprobs_));
  tokens_.clear();
  text_begin_ += text_.size() - num_held_;
  text_.erase(0, text_.size() - num_held_);
  num_tokens_taken_ = num_tokens_;
}

// Of begins_: those whose text does not reach into what is held. Half a character waits for the other: it may become a
// stop string's.
size_t Output::num_certain() const {
  size_t num = begins_.size();
  if (ended_) return num;
  const uint64_t certain_end = text_end() - num_held_;
  const bool half = detokenizer_ && detokenizer_->holds();
  for (uint64_t end = text_end(); num > 0 && (end > certain_end || (half && begins_[num - 1] == certain_end)); --num) {
    end = begins_[num - 1];
  }
  return num;
}

// A stop string takes away what begins at `byte` or behind it. Nothing of that was given: it was not certain.
void Output::drop_logprobs_from(uint64_t byte) {
  while (!begins_.empty() && (begins_.back() > byte || (begins_.back() == byte && has_text_.back() != 0))) {
    begins_.pop_back();
    has_text_.pop_back();
  }
  logprobs_.resize(begins_.size() * num_logprobs_);
}

// Looks for a stop string in what came from `begin` on; true, and the text ends before it, when there is one.
bool Output::read_text(size_t begin) {
  if (num_tokens_ <= rules_.min_tokens) return false;
  if (const auto found = stops_.read(std::string_view(text_).substr(begin))) {
    text_.resize(begin + found->end - (rules_.include_stop ? 0 : found->num_bytes));
    num_held_ = 0;
    drop_logprobs_from(text_end());
    return true;
  }
  num_held_ = stops_.num_held();
  return false;
}

}  // namespace slipstream
