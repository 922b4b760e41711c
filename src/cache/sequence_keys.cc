#include "cache/sequence_keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>

namespace slipstream {

ExtraKey extra_key_of_block(const SequenceKeys& keys, uint32_t begin, uint32_t block_tokens) {
  const auto is_before = [begin](const RangeKey& range) { return range.end <= begin; };
  const uint64_t block_end = uint64_t{begin} + block_tokens;
  ExtraKey key = keys.base;
  for (auto range = std::ranges::partition_point(keys.ranges, is_before);
       range != keys.ranges.end() && range->begin < block_end; ++range) {
    // What stands before the block is negative, and wraps: still one number for one place.
    const uint64_t parts[] = {key.low,          key.high,      uint64_t{range->begin} - begin,
                              uint64_t{range->end} - begin, range->key.low, range->key.high};
    const XXH128_hash_t mixed = XXH3_128bits(parts, sizeof parts);
    key = {mixed.low64, mixed.high64};
  }
  return key;
}

}  // namespace slipstream
