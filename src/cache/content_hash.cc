#include "cache/content_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace slipstream {

uint64_t content_hash(uint64_t parent, const ExtraKey& extra, std::span<const TokenId> tokens, uint64_t seed) {
  const uint64_t place[3] = {parent, extra.low, extra.high};
  const uint64_t place_hash = XXH3_64bits_withSeed(place, sizeof place, seed);
  return XXH3_64bits_withSeed(tokens.data(), tokens.size_bytes(), place_hash);
}

}  // namespace slipstream
