#include "sample/ranking.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "base/check.h"

namespace slipstream {
namespace {

constexpr uint32_t kGroup = 128;          // logits of which only the largest is looked at first
constexpr uint32_t kDigitBits = 11;
constexpr uint32_t kDigits = 3;           // of the key's upper 32 bits, the logit
constexpr uint32_t kDigitValues = 1u << kDigitBits;
constexpr uint32_t kSortByDigits = 1024;  // from here on counting digits beats comparing

uint32_t digit(RankKey key, uint32_t index) {
  return static_cast<uint32_t>(key >> (32 + index * kDigitBits)) % kDigitValues;
}

// Sorts scratch.keys[0, count), which are in order of id, and returns where the result lies. Counting sort keeps the
// order of equal logits, so only the logit's bits are looked at.
std::span<const RankKey> sort_keys(uint32_t count, const RankingScratch& scratch) {
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

// Of kGroup logits, in lanes because a chain of maxima is slow.
float largest(const float* logits) {
  using Lanes = float __attribute__((vector_size(32)));
  constexpr uint32_t kLanes = 8;
  const auto load = [logits](uint32_t index) {
    Lanes lanes;
    std::memcpy(&lanes, logits + index * kLanes, sizeof(lanes));
    return lanes;
  };
  Lanes best[2] = {load(0), load(1)};
  for (uint32_t i = 2; i < kGroup / kLanes; i += 2) {
    const Lanes even = load(i);
    const Lanes odd = load(i + 1);
    best[0] = best[0] > even ? best[0] : even;
    best[1] = best[1] > odd ? best[1] : odd;
  }
  best[0] = best[0] > best[1] ? best[0] : best[1];
  float result = best[0][0];
  for (uint32_t lane = 1; lane < kLanes; ++lane) result = best[0][lane] > result ? best[0][lane] : result;
  return result;
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

}  // namespace

TokenId first_rank(std::span<const float> logits) {
  CHECK(!logits.empty());
  const size_t size = logits.size();
  float best = logits[0];
  size_t begin = 0;  // of the first group that holds `best`
  size_t i = 0;
  for (; i + kGroup <= size; i += kGroup) {
    if (const float value = largest(logits.data() + i); value > best) {
      best = value;
      begin = i;
    }
  }
  for (; i < size; ++i) {
    if (logits[i] > best) {
      best = logits[i];
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
  float bar = -std::numeric_limits<float>::infinity();
  const auto consider = [&](TokenId token) {
    if (!(logits[token] > bar)) return;  // an equal one has a higher id than those before it: a worse rank
    if (num_keys == room) {
      bar = logits[ranked_token(keep_best(count, num_keys, scratch))];
      num_keys = count;
      if (!(logits[token] > bar)) return;
    }
    scratch.keys[num_keys++] = rank_key(logits[token], token);
  };
  TokenId token = 0;
  for (; token + kGroup <= size; token += kGroup) {
    if (!(largest(logits.data() + token) > bar)) continue;
    for (uint32_t i = 0; i < kGroup; ++i) consider(token + i);
  }
  for (; token < size; ++token) consider(token);

  if (num_keys / 2 > count) {
    keep_best(count, num_keys, scratch);
    num_keys = count;
  }
  count = std::min(count, num_keys);  // fewer where some are -infinity
  return sort_keys(num_keys, scratch).first(count);
}

}  // namespace slipstream
