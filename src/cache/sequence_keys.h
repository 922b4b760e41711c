// What besides its tokens makes the content of a sequence's blocks: a tenant's salt, an adapter, a picture.
#pragma once

#include <cstdint>
#include <span>

namespace slipstream {

// 128 bits that the caller keeps apart for each such thing (a digest); {} for none.
struct ExtraKey {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const ExtraKey&) const = default;
};

// Tokens [begin, end) of a sequence stand for something that their ids do not tell: a picture, a piece of video. The
// key is a digest of what it is, how it was prepared, and of which kind.
struct RangeKey {
  uint32_t begin = 0;
  uint32_t end = 0;
  ExtraKey key;
};

struct SequenceKeys {
  ExtraKey base = {};                     // of all its blocks
  std::span<const RangeKey> ranges = {};  // in order, none overlaps another
};

// The extra key of the block with tokens [begin, begin + block_tokens): the base where no range overlaps the block,
// else a mix of the base and each of those ranges: its begin and end as seen from the block's begin, and its key. So
// the same picture at the same place is the same key; at another place, or another picture, it is not. It is of the
// whole block also where only a part is computed, so that a block's key never changes as it is filled.
ExtraKey extra_key_of_block(const SequenceKeys& keys, uint32_t begin, uint32_t block_tokens);

}  // namespace slipstream
