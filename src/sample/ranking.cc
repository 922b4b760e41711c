#include "sample/ranking.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "base/check.h"
#include "sample/lanes.h"

namespace slipstream {
namespace {

constexpr uint32_t kDigitBits = 11;
constexpr uint32_t kDigits = 3;           // of the key's upper 32 bits, the logit
constexpr uint32_t kDigitValues = 1u << kDigitBits;
constexpr uint32_t kSortByDigits = 1024;  // from here on counting digits beats comparing

uint32_t digit(RankKey key, uint32_t index) {
  return static_cast<uint32_t>(key >> (32 + index * kDigitBits)) % kDigitValues;
}

// Leaves the `count` best of scratch.keys[0, num_keys), still in order of id, and returns the worst of them.
RankKey keep_best(uint32_t count, uint32_t num_keys, const RankingScratch& scratch) {
  const std::span<RankKey> all = scratch.keys.first(num_keys);
  const std::span<RankKey> copy = scratch.spare.first(num_keys);
  std::copy(all.begin(), all.end(), copy.begin());
  std::nth_element(copy.begin(), copy.begin() + (count - 1), copy.end());
  const RankKey worst = copy[count - 1];
  std::remove_if(all.begin(), all.end(), [worst](RankKey key) { return key > worst; });
  return worst;
}

// A key that none of the `count` best is behind. Of the groups with the `count` largest maxima each has a logit as
// large as the smallest of these.
RankKey first_bar(uint32_t count, const RankingScratch& scratch) {
  const RankKey last_finite = rank_key(-std::numeric_limits<float>::infinity(), 0) - 1;
  const size_t num_groups = scratch.maxima.size();
  if (count > num_groups) return last_finite;
  for (size_t group = 0; group < num_groups; ++group) {
    const auto last_token = static_cast<TokenId>((group + 1) * kRankGroup - 1);
    scratch.keys[group] = rank_key(scratch.maxima[group], last_token);
  }
  const auto bar = scratch.keys.begin() + (count - 1);
  std::nth_element(scratch.keys.begin(), bar, scratch.keys.begin() + static_cast<ptrdiff_t>(num_groups));
  return std::min(*bar, last_finite);
}

}  // namespace

float largest_in_group(const float* logits) {
  Floats best[2] = {load_lanes(logits), load_lanes(logits + kLanes)};
  for (uint32_t i = 2 * kLanes; i < kRankGroup; i += 2 * kLanes) {
    const Floats even = load_lanes(logits + i);
    const Floats odd = load_lanes(logits + i + kLanes);
    best[0] = best[0] > even ? best[0] : even;
    best[1] = best[1] > odd ? best[1] : odd;
  }
  best[0] = best[0] > best[1] ? best[0] : best[1];
  float result = best[0][0];
  for (uint32_t lane = 1; lane < kLanes; ++lane) result = best[0][lane] > result ? best[0][lane] : result;
  return result;
}

TokenId first_rank(std::span<const float> logits, std::span<float> maxima) {
  CHECK(!logits.empty() && (maxima.empty() || maxima.size() == num_rank_groups(logits.size())), "{} logits, {} groups",
        logits.size(), maxima.size());
  const size_t size = logits.size();
  float best = logits[0];
  size_t begin = 0;  // of the first group that holds `best`
  for (size_t i = 0; i < size; i += kRankGroup) {
    const float value = i + kRankGroup <= size ? largest_in_group(logits.data() + i)
                                               : *std::ranges::max_element(logits.subspan(i));
    if (!maxima.empty()) maxima[i / kRankGroup] = value;
    if (value > best) {
      best = value;
      begin = i;
    }
  }
  const auto found = std::find(logits.begin() + static_cast<ptrdiff_t>(begin), logits.end(), best);
  CHECK(found != logits.end(), "logits that are not finite came to the sampler");
  return static_cast<TokenId>(found - logits.begin());
}

RankKey rank_key(float logit, TokenId token) {
  const uint32_t bits = std::bit_cast<uint32_t>(logit + 0.0f);  // -0 + 0 = 0
  const uint32_t ascending = (bits & 0x80000000) != 0 ? ~bits : bits | 0x80000000;
  return (RankKey{~ascending} << 32) | token;
}

// Counting sort keeps the order of equal logits, so only the logit's bits are looked at.
std::span<const RankKey> sort_ranks(uint32_t count, const RankingScratch& scratch) {
  std::span<RankKey> from = scratch.keys.first(count);
  if (count < kSortByDigits) {
    std::sort(from.begin(), from.end());
    return from;
  }
  std::fill(scratch.counts.begin(), scratch.counts.end(), 0u);
  for (const RankKey key : from) {
    for (uint32_t d = 0; d < kDigits; ++d) ++scratch.counts[d * kDigitValues + digit(key, d)];
  }
  std::span<RankKey> to = scratch.spare.first(count);
  for (uint32_t d = 0; d < kDigits; ++d) {
    const std::span<uint32_t> counts = scratch.counts.subspan(d * kDigitValues, kDigitValues);
    if (counts[digit(from[0], d)] == count) continue;
    uint32_t begin = 0;
    for (uint32_t& entry : counts) {
      const uint32_t size = entry;
      entry = begin;
      begin += size;
    }
    for (const RankKey key : from) to[counts[digit(key, d)]++] = key;
    std::swap(from, to);
  }
  return from;
}

std::span<const RankKey> rank_best(std::span<const float> logits, uint32_t count, const RankingScratch& scratch) {
  const uint32_t size = static_cast<uint32_t>(logits.size());
  CHECK(scratch.keys.size() >= size && scratch.spare.size() >= size && scratch.counts.size() >= kRankingCounts,
        "{} logits, room for {}", size, scratch.keys.size());
  count = std::min(count, size);
  if (count == 0) return {};

  // Candidates gather in keys, in order of id; when their room is full, all but the best `count` go and the worst of
  // these becomes the bar for those that follow. Room for many times `count` makes that rare.
  const uint32_t room = count > size / 4 ? size : std::min(size, std::max(4 * count, 4096u));
  uint32_t num_keys = 0;
  RankKey bar = first_bar(count, scratch);
  const auto consider = [&](TokenId token) {
    const RankKey key = rank_key(logits[token], token);
    if (key > bar) return;
    if (num_keys == room) {
      bar = keep_best(count, num_keys, scratch);
      num_keys = count;
      if (key > bar) return;
    }
    scratch.keys[num_keys++] = key;
  };
  for (TokenId begin = 0; begin < size; begin += kRankGroup) {
    const TokenId end = std::min(size, begin + kRankGroup);
    if (end - begin == kRankGroup) {
      const float most =
          scratch.maxima.empty() ? largest_in_group(logits.data() + begin) : scratch.maxima[begin / kRankGroup];
      if (rank_key(most, begin) > bar) continue;
    }
    for (TokenId token = begin; token < end; ++token) consider(token);
  }

  if (num_keys / 2 > count) {
    keep_best(count, num_keys, scratch);
    num_keys = count;
  }
  count = std::min(count, num_keys);  // fewer where some are -infinity
  return sort_ranks(num_keys, scratch).first(count);
}

}  // namespace slipstream
