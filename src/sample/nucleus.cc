#include "sample/nucleus.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "sample/lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kSampleSize = 1024;
constexpr uint32_t kFewTokens = 128;  // that are ranked without more ado
constexpr uint32_t kMostRounds = 6;   // each leaves about a tenth
constexpr float kDeviations = 4;      // of a sample, one side misses by more once in 30,000 times
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// A sum of weights, as we have it and as it is along the rank, differs from the true one by less than one rounding for
// each weight: 2^-53 of the sum at most. Twice that, and as much again.
double doubt(double sum, size_t num_weights) { return sum * static_cast<double>(num_weights) * 0x1p-51; }

// An integer in the order of the logits, and back.
int32_t ordered(float logit) {
  const auto bits = std::bit_cast<int32_t>(logit);
  return bits ^ ((bits >> 31) & 0x7fffffff);
}
float logit_of(int32_t value) { return std::bit_cast<float>(value ^ ((value >> 31) & 0x7fffffff)); }

// Tokens that the end may lie among.
struct Tokens {
  const float* logits;
  const float* weights;
  const TokenId* tokens;  // null: the vocabulary, 0, 1, 2 ...
  const float* maxima;    // of groups of their logits, or null
  uint32_t count;
};

// Some of them, at even distances.
class Sample {
 public:
  explicit Sample(const Tokens& from)
      : size_(std::min(from.count, kSampleSize)), scale_(static_cast<float>(from.count) / static_cast<float>(size_)) {
    const uint64_t step = (uint64_t{from.count} << 32) / size_;
    for (uint32_t i = 0; i < size_; ++i) {
      const auto index = static_cast<uint32_t>(i * step >> 32);
      const int32_t logit = ordered(from.logits[index]);
      logits_[i / kLanes][i % kLanes] = logit;
      weights_[i / kLanes][i % kLanes] = from.weights[index];
      least_ = std::min(least_, logit);
      most_ = std::max(most_, logit);
    }
    for (uint32_t i = size_; i % (2 * kLanes) != 0; ++i) weights_[i / kLanes][i % kLanes] = 0;
  }

  // The bracket outside of which the end hardly ever lies, if the tokens that come after it weigh `tail` in all.
  LogitBracket bracket(float tail) const {
    const int32_t low = last_within<+1>(tail), high = last_within<-1>(tail);
    return {low < least_ ? -kInfinity : logit_of(low), high >= most_ ? kInfinity : logit_of(high + 1)};
  }

 private:
  // What all tokens up to this logit weigh, judged by these: so many deviations above (+1) or below (-1) the likeliest.
  template <int kSign>
  float weight_until(int32_t last) const {
    const auto weights = [&](uint32_t i) { return where(logits_[i] <= last, weights_[i]); };
    Floats sums[2] = {}, squares[2] = {};  // two, because a chain of additions is slow
    for (uint32_t i = 0; i * kLanes < size_; i += 2) {
      const Floats even = weights(i), odd = weights(i + 1);
      sums[0] += even;
      sums[1] += odd;
      squares[0] += even * even;
      squares[1] += odd * odd;
    }
    float sum = 0, square = 0;
    for (uint32_t lane = 0; lane < kLanes; ++lane) {
      sum += sums[0][lane] + sums[1][lane];
      square += squares[0][lane] + squares[1][lane];
    }
    const float part_unseen = 1 - 1 / scale_;
    return scale_ * (sum + kSign * kDeviations * std::sqrt(square * part_unseen));
  }

  // Up to where they weigh no more than this.
  template <int kSign>
  int32_t last_within(float weight) const {
    int64_t within = int64_t{least_} - 1, beyond = int64_t{most_} + 1;
    for (int step = 0; step < 16 && beyond - within > 1; ++step) {
      const int64_t middle = (within + beyond) / 2;
      (weight_until<kSign>(static_cast<int32_t>(middle)) <= weight ? within : beyond) = middle;
    }
    return static_cast<int32_t>(kSign > 0 ? within : beyond - 1);
  }

  uint32_t size_;
  float scale_;  // tokens that each of these stands for
  int32_t least_ = std::numeric_limits<int32_t>::max();
  int32_t most_ = std::numeric_limits<int32_t>::min();
  Integers logits_[kSampleSize / kLanes];
  Floats weights_[kSampleSize / kLanes];
};

float sum(std::span<const float> weights) {
  float lanes[4] = {};
  size_t i = 0;
  for (; i + 4 <= weights.size(); i += 4) {
    for (size_t lane = 0; lane < 4; ++lane) lanes[lane] += weights[i + lane];
  }
  for (; i < weights.size(); ++i) lanes[0] += weights[i];
  return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

// Of `from`, what is inside the bracket goes to `inside`, which may be where `from` lies. Returns how many these are,
// and adds to `above`; none: there is no room for them.
std::optional<uint32_t> divide(const Tokens& from, const LogitBracket& bracket, const InsideScratch& inside,
                               const Kernels& kernels, double& above) {
  uint32_t count = 0;
  for (uint32_t begin = 0; begin < from.count; begin += kSumBlock) {
    const uint32_t end = std::min(from.count, begin + kSumBlock);
    uint32_t found[kSumBlock + 16];
    uint32_t num_found = 0;
    for (uint32_t group = begin; group < end;) {
      // As many groups at once as have something to say.
      const auto is_below = [&](uint32_t token) {
        return from.maxima != nullptr && !(from.maxima[token / kRankGroup] > bracket.low);
      };
      uint32_t group_end = group;
      while (group_end < end && !is_below(group_end)) group_end = std::min(end, group_end + kRankGroup);
      if (group_end > group) {
        num_found +=
            kernels.divide(from.logits, from.weights, {group, group_end}, bracket, found + num_found, &above);
      }
      group = group_end + kRankGroup;
    }
    if (count + num_found > inside.tokens.size()) return std::nullopt;
    for (uint32_t i = 0; i < num_found; ++i, ++count) {
      const uint32_t index = found[i];
      inside.logits[count] = from.logits[index];
      inside.weights[count] = from.weights[index];
      inside.tokens[count] = from.tokens == nullptr ? index : from.tokens[index];
    }
  }
  return count;
}

// None: not sure.
std::optional<RankKey> search_brackets(double enough, const NucleusSearch& search, const Kernels& kernels) {
  const auto vocab_size = static_cast<uint32_t>(search.logits.size());
  const InsideScratch& inside = search.inside;
  Tokens tokens{search.logits.data(), search.weights.data(), nullptr, search.ranking.maxima.data(), vocab_size};
  double above = 0;
  double mass = search.total;  // of the tokens
  for (uint32_t round = 0; round < kMostRounds && (round == 0 || tokens.count > kFewTokens); ++round) {
    const LogitBracket bracket = Sample(tokens).bracket(static_cast<float>(above + mass - enough));
    const std::optional<uint32_t> count = divide(tokens, bracket, inside, kernels, above);
    if (!count || above + doubt(above, vocab_size) >= enough) return std::nullopt;  // it ends above the bracket
    const bool no_fewer = *count == tokens.count;  // as when all are equal
    tokens = {inside.logits.data(), inside.weights.data(), inside.tokens.data(), nullptr, *count};
    if (no_fewer) break;
    mass = sum(inside.weights.first(*count));
  }
  for (uint32_t i = 0; i < tokens.count; ++i) {
    search.ranking.keys[i] = rank_key(inside.logits[i], inside.tokens[i]);
  }
  const double unsure = above > 0 ? doubt(enough, vocab_size) : 0;  // nothing above: the sum is that along the rank
  for (const RankKey key : sort_ranks(tokens.count, search.ranking)) {
    above += search.weights[ranked_token(key)];
    if (unsure > 0 && std::abs(above - enough) <= unsure) return std::nullopt;
    if (above >= enough) return key;
  }
  return std::nullopt;  // it ends below the bracket
}

}  // namespace

std::optional<RankKey> find_nucleus_end(double enough, std::span<const RankKey> ranks,
                                        std::span<const float> weights) {
  double sum = 0;
  for (const RankKey key : ranks) {
    sum += weights[ranked_token(key)];
    if (sum >= enough) return key;
  }
  return std::nullopt;
}

std::optional<RankKey> find_nucleus_end(double enough, const NucleusSearch& search, const Kernels& kernels) {
  if (const auto end = search_brackets(enough, search, kernels)) return end;
  const auto vocab_size = static_cast<uint32_t>(search.logits.size());
  return find_nucleus_end(enough, rank_best(search.logits, vocab_size, search.ranking), search.weights);
}

}  // namespace slipstream
