#include "cache/prefix_index.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace slipstream {

PrefixIndex::PrefixIndex(uint32_t num_blocks, uint32_t block_tokens, uint64_t seed)
    : block_tokens_(block_tokens),
      seed_(seed),
      buckets_(std::bit_ceil(size_t{num_blocks} * 2), kRoot),
      nodes_(num_blocks),
      tokens_(std::make_unique_for_overwrite<TokenId[]>(size_t{num_blocks} * block_tokens)) {
  CHECK(num_blocks > 0 && block_tokens > 0, "{} blocks of {} tokens", num_blocks, block_tokens);
  CHECK(buckets_.size() <= (size_t{1} << 31), "{} blocks are more than the index can number", num_blocks);
  mask_ = static_cast<uint32_t>(buckets_.size() - 1);
}

std::optional<BlockId> PrefixIndex::find(const PrefixKey& key) const {
  const uint32_t key_hash = hash(key);
  for (uint32_t bucket = key_hash & mask_; buckets_[bucket] != kRoot; bucket = (bucket + 1) & mask_) {
    const BlockId block = buckets_[bucket];
    if (nodes_[block].hash == key_hash && equals(block, key)) return block;
  }
  return std::nullopt;
}

void PrefixIndex::insert(const PrefixKey& key, BlockId block) {
  CHECK(!contains(block), "block {} is remembered twice", block);
  CHECK(key.tokens.size() == block_tokens_, "a block has {} tokens, not {}", block_tokens_, key.tokens.size());
  CHECK(key.parent == kRoot || contains(key.parent), "block {}'s parent {} is not remembered", block, key.parent);
  Node& node = nodes_[block];
  node = Node{.parent = key.parent, .num_children = 0, .bucket = 0, .hash = hash(key), .extra = key.extra};
  std::copy(key.tokens.begin(), key.tokens.end(), &tokens_[size_t{block} * block_tokens_]);
  uint32_t bucket = node.hash & mask_;
  while (buckets_[bucket] != kRoot) bucket = (bucket + 1) & mask_;
  buckets_[bucket] = block;
  node.bucket = bucket;
  if (key.parent != kRoot) ++nodes_[key.parent].num_children;
  ++size_;
}

void PrefixIndex::erase(BlockId block) {
  Node& node = nodes_[block];
  CHECK(contains(block), "block {} is not remembered", block);
  CHECK(node.num_children == 0, "block {} is forgotten before its {} children", block, node.num_children);
  // Entries behind the hole move up when their probing would otherwise stop at it.
  uint32_t hole = node.bucket;
  for (uint32_t bucket = (hole + 1) & mask_; buckets_[bucket] != kRoot; bucket = (bucket + 1) & mask_) {
    const BlockId moved = buckets_[bucket];
    const uint32_t home = nodes_[moved].hash & mask_;
    if (((bucket - home) & mask_) < ((bucket - hole) & mask_)) continue;  // its home lies behind the hole
    buckets_[hole] = moved;
    nodes_[moved].bucket = hole;
    hole = bucket;
  }
  buckets_[hole] = kRoot;
  node.bucket = kNoBucket;
  if (node.parent != kRoot) --nodes_[node.parent].num_children;
  --size_;
}

std::string PrefixIndex::check() const {
  std::vector<uint32_t> children(nodes_.size(), 0);
  uint32_t count = 0;
  for (BlockId block = 0; block < nodes_.size(); ++block) {
    if (!contains(block)) continue;
    ++count;
    const Node& node = nodes_[block];
    if (buckets_[node.bucket] != block) return fmt::format("block {} is not in its bucket", block);
    const PrefixKey key{node.parent, tokens(block), node.extra};
    if (node.hash != hash(key)) return fmt::format("block {}'s content changed while it was remembered", block);
    if (find(key) != block) return fmt::format("block {} is not found by its own key", block);
    if (node.parent == kRoot) continue;
    if (!contains(node.parent)) return fmt::format("block {}'s parent {} is not remembered", block, node.parent);
    ++children[node.parent];
  }
  if (count != size_) return fmt::format("{} nodes are counted as {}", count, size_);
  for (BlockId block = 0; block < nodes_.size(); ++block) {
    if (contains(block) && children[block] != nodes_[block].num_children) {
      return fmt::format("block {} has {} children, counted as {}", block, children[block], nodes_[block].num_children);
    }
  }
  return {};
}

uint64_t PrefixIndex::bytes_per_block(uint32_t block_tokens) {
  // At worst four buckets a block: twice the blocks, rounded up to a power of two.
  return sizeof(Node) + 4 * sizeof(BlockId) + uint64_t{block_tokens} * sizeof(TokenId);
}

uint32_t PrefixIndex::hash(const PrefixKey& key) const {
  const uint64_t place[2] = {key.parent, key.extra};
  const uint64_t place_hash = XXH3_64bits_withSeed(place, sizeof place, seed_);
  return static_cast<uint32_t>(XXH3_64bits_withSeed(key.tokens.data(), key.tokens.size_bytes(), place_hash) >> 32);
}

bool PrefixIndex::equals(BlockId block, const PrefixKey& key) const {
  const Node& node = nodes_[block];
  return node.parent == key.parent && node.extra == key.extra && std::ranges::equal(tokens(block), key.tokens);
}

}  // namespace slipstream
