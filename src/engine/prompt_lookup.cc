#include "engine/prompt_lookup.h"

#include <algorithm>
#include <bit>

namespace slipstream {
namespace {

// Two tokens recur everywhere, so what follows them says little; with four a copy is found one token later. Measured on
// answers of a chat model and on edited source files: 3 gains most where a row costs little, 3 and 4 the same where it
// costs much.
constexpr uint32_t kAlike = 3;
// Of places that are half taken one in ten is overwritten by other tokens, and a guess missed; of a sequence longer
// than these, more.
constexpr uint32_t kMostPlaces = 1u << 16;
// What was right eight guesses ago counts a third: copying begins and ends suddenly.
constexpr double kMemory = 7.0 / 8;
// Before anything is known every other guess is right.
constexpr double kFirstTried = 1;
constexpr double kFirstRight = 0.5;

uint32_t num_places(uint32_t most_tokens) {
  return std::bit_ceil(2 * std::clamp(most_tokens, 1u, kMostPlaces / 2));
}

}  // namespace

PromptLookup::PromptLookup(std::span<const TokenId> prompt, uint32_t most_tokens) : places_(num_places(most_tokens)) {
  while (num_read_ < prompt.size()) read_one(prompt);
  num_tried_ = num_right_ = 0;  // what a prompt repeats is not the model's doing
}

uint64_t PromptLookup::memory_tokens(uint32_t most_tokens) { return num_places(most_tokens); }

void PromptLookup::read(std::span<const TokenId> tokens) {
  if (places_.empty()) return;
  while (num_read_ < tokens.size()) read_one(tokens);
}

void PromptLookup::read_one(std::span<const TokenId> tokens) {
  const TokenId token = tokens[num_read_++];
  if (source_ != 0) {
    const bool is_right = tokens[source_] == token;
    num_tried_ = kMemory * num_tried_ + 1;
    num_right_ = kMemory * num_right_ + (is_right ? 1 : 0);
    source_ = is_right ? source_ + 1 : 0;
  }
  if (num_read_ < kAlike) return;
  const uint32_t before = find(tokens.first(num_read_));
  if (source_ == 0) source_ = before;
}

// Where the last kAlike tokens stood before, the place after them; 0: nowhere that is known. Their place is this one
// from now on.
uint32_t PromptLookup::find(std::span<const TokenId> tokens) {
  const std::span<const TokenId> last = tokens.last(kAlike);
  uint64_t hash = 0;
  for (const TokenId token : last) hash = (hash ^ token) * 0x9e3779b97f4a7c15u;  // odd, 2^64 / golden ratio
  uint32_t& place = places_[hash >> (std::countl_zero(places_.size()) + 1)];  // its highest bits
  const uint32_t before = place;
  place = static_cast<uint32_t>(tokens.size());
  return before != 0 && std::ranges::equal(tokens.subspan(before - kAlike, kAlike), last) ? before : 0;
}

double PromptLookup::chance() const {
  return source_ == 0 ? 0 : (num_right_ + kFirstRight) / (num_tried_ + kFirstTried);
}

void PromptLookup::guess(std::span<const TokenId> tokens, std::span<TokenId> next) const {
  for (size_t i = 0; i < next.size(); ++i) {
    const size_t from = source_ + i;
    next[i] = from < tokens.size() ? tokens[from] : next[from - tokens.size()];
  }
}

void PromptLookup::stop() {
  places_.clear();
  source_ = 0;
}

}  // namespace slipstream
