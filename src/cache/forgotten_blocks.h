// What was remembered once: of blocks that were forgotten, when and why. It answers "was this here?" for the reason
// that a request is given, and for nothing else: no bit of an answer depends on it.
//
// A block is known by the fingerprint of all tokens up to it (and their extra keys), and so is each beginning of it
// whose length is a power of two: a later prompt may end in the middle of it. A fixed table, in which the newer entry
// takes the place of an older one: O(log) of the tokens in a block, no memory after construction. Fingerprints are 64
// bits under a seed; were two the same, one would be told for the other, and nothing else would come of it. Engine
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "cache/reuse.h"
#include "cache/sequence_keys.h"

namespace slipstream {

class ForgottenBlocks {
 public:
  // Room for the beginnings of about as many blocks as there are.
  ForgottenBlocks(uint32_t num_blocks, uint64_t seed);

  // Of a block with these tokens, or of a beginning of it; parent: its parent's, or root() where it has none.
  uint64_t fingerprint(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens) const;
  uint64_t root() const { return seed_; }

  // end: kEvicted or kCleared.
  void add(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens, ReuseEnd end, uint64_t now_ns);

  // Of a block that began with the longest beginning of `tokens` that is a power of two, or with half of it, and in any
  // case with more than num_common of them; nullopt when none did, or it is too long ago.
  std::optional<Reuse> find(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens,
                            uint32_t num_common, uint64_t now_ns) const;

  static constexpr uint64_t kBytesPerBlock = 2 * 8 * 16;  // at worst: the number of entries is a power of two

 private:
  struct Entry {
    uint64_t fingerprint = 0;
    uint64_t when = 0;  // 0: none; else twice the time, and 1 with kCleared
  };

  const uint64_t seed_;
  std::vector<Entry> entries_;
};

}  // namespace slipstream
