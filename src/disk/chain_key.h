// The name of a block outside of the process that computed it: a keyed hash of everything its K and V depend on beside
// the model, which is its tokens and all before them, and its extra key. Block by block:
//
//   key(block) = SHA-256(secret, key(parent), extra, tokens), its first 128 bits
//
// In memory a block is known by its parent node and compared (cache/prefix_index.h); on disk nothing holds the parent
// still, so the parent's name stands for it. That is exact as long as nobody finds two texts with one SHA-256, and who
// does not know the secret cannot even try.
//
// A block that is not full, the end of a sequence, goes by the first of its tokens alone, since whoever asks for it
// does not know how many there are: of those that begin with one token under one parent, the last is kept.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "base/ids.h"

namespace slipstream {

struct ChainKey {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const ChainKey&) const = default;
};

// Parent of the first block of a sequence.
inline constexpr ChainKey kChainRoot{};

using Secret = std::array<std::byte, 32>;

struct BlockName {
  ChainKey parent;
  std::array<uint64_t, 2> extra{};  // cache/'s ExtraKey
  std::span<const TokenId> tokens;  // block_tokens of them; fewer, at least one: the end of a sequence
};

ChainKey chain_key(const Secret& secret, const BlockName& name, uint32_t block_tokens);

}  // namespace slipstream

template <>
struct std::hash<slipstream::ChainKey> {
  size_t operator()(const slipstream::ChainKey& key) const { return key.low; }  // is a hash already
};
