#include "cache/forgotten_blocks.h"

#include <algorithm>
#include <bit>

#include "cache/content_hash.h"

namespace slipstream {

ForgottenBlocks::ForgottenBlocks(uint32_t num_blocks, uint64_t seed)
    : seed_(seed), entries_(std::bit_ceil(size_t{num_blocks} * 8)) {
  static_assert(sizeof(Entry) == 16, "kBytesPerBlock");
}

uint64_t ForgottenBlocks::fingerprint(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens) const {
  return content_hash(parent, extra, tokens, seed_);
}

void ForgottenBlocks::add(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens, ReuseEnd end,
                          uint64_t now_ns) {
  const uint64_t when = std::max<uint64_t>(now_ns, 1) << 1 | (end == ReuseEnd::kCleared ? 1 : 0);
  for (size_t length = 1; length <= tokens.size(); length *= 2) {
    const uint64_t its = fingerprint(parent, extra, tokens.first(length));
    entries_[its & (entries_.size() - 1)] = {its, when};
  }
}

std::optional<Reuse> ForgottenBlocks::find(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens,
                                           uint32_t num_common, uint64_t now_ns) const {
  const size_t longest = std::bit_floor(tokens.size());
  for (const size_t length : {longest, longest / 2}) {
    if (length <= num_common) break;
    const uint64_t its = fingerprint(parent, extra, tokens.first(length));
    const Entry& entry = entries_[its & (entries_.size() - 1)];
    if (entry.fingerprint != its || entry.when == 0) continue;
    const uint64_t then_ns = entry.when >> 1;
    return Reuse{(entry.when & 1) != 0 ? ReuseEnd::kCleared : ReuseEnd::kEvicted, now_ns - std::min(now_ns, then_ns)};
  }
  return std::nullopt;
}

}  // namespace slipstream
