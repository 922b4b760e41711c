#include "cache/prefix_index.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "base/check.h"
#include "cache/content_hash.h"

namespace slipstream {

PrefixIndex::PrefixIndex(uint32_t num_blocks, uint32_t block_tokens, uint64_t seed)
    : block_tokens_(block_tokens),
      seed_(seed),
      buckets_(std::bit_ceil(size_t{num_blocks} * 2), kRoot),
      nodes_(num_blocks),
      tokens_(std::make_unique_for_overwrite<TokenId[]>(size_t{num_blocks} * block_tokens)),
      siblings_(num_blocks, seed) {
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

std::optional<PrefixIndex::Alike> PrefixIndex::find_alike(const PrefixKey& key) const {
  Alike best;
  siblings_.descend(key.parent == kRoot ? top_first_block_ : nodes_[key.parent].top_child, [&](BlockId block) {
    uint32_t num_common = 0;
    const int side = side_of(block, key, num_common);
    if (num_common > best.num_common) best = {block, num_common};
    return side;
  });
  return best.num_common > 0 ? std::optional(best) : std::nullopt;
}

int PrefixIndex::side_of(BlockId block, const PrefixKey& key, uint32_t& num_common) const {
  const ExtraKey& extra = nodes_[block].extra;
  if (key.extra != extra) return std::tie(key.extra.high, key.extra.low) < std::tie(extra.high, extra.low) ? -1 : 1;
  const std::span<const TokenId> its_tokens = tokens(block);
  const auto differs = std::ranges::mismatch(key.tokens, its_tokens);
  num_common = static_cast<uint32_t>(differs.in1 - key.tokens.begin());
  if (differs.in1 == key.tokens.end()) return differs.in2 == its_tokens.end() ? 0 : -1;
  if (differs.in2 == its_tokens.end()) return 1;
  return *differs.in1 < *differs.in2 ? -1 : 1;
}

void PrefixIndex::insert(const PrefixKey& key, BlockId block) {
  CHECK(!contains(block), "block {} is remembered twice", block);
  CHECK(key.tokens.size() >= 1 && key.tokens.size() <= block_tokens_, "a block has {} tokens, not {}", block_tokens_,
        key.tokens.size());
  CHECK(key.parent == kRoot || contains(key.parent), "block {}'s parent {} is not remembered", block, key.parent);
  CHECK(key.parent == kRoot || !is_tail(key.parent), "block {}'s parent {} is a tail", block, key.parent);
  siblings_.insert(top_child(key.parent), block, [&](BlockId other) {
    uint32_t num_common = 0;
    const int side = side_of(other, key, num_common);
    CHECK(num_common < std::min<size_t>(num_tokens(other), key.tokens.size()), "block {} begins like block {}", block,
          other);
    return side;
  });
  Node& node = nodes_[block];
  node = Node{.parent = key.parent, .num_tokens = static_cast<uint32_t>(key.tokens.size()), .extra = key.extra};
  std::copy(key.tokens.begin(), key.tokens.end(), &tokens_[size_t{block} * block_tokens_]);
  if (!is_tail(block)) {
    node.hash = hash(key);
    uint32_t bucket = node.hash & mask_;
    while (buckets_[bucket] != kRoot) bucket = (bucket + 1) & mask_;
    buckets_[bucket] = block;
    node.bucket = bucket;
  }
  ++size_;
  const bool parent_was_leaf = key.parent != kRoot && nodes_[key.parent].num_children++ == 0;
  if (!parent_was_leaf) ++num_leaves_;
}

void PrefixIndex::erase(BlockId block) {
  Node& node = nodes_[block];
  CHECK(contains(block), "block {} is forgotten without having been remembered", block);
  CHECK(node.num_children == 0, "block {} is forgotten before its {} children", block, node.num_children);
  siblings_.erase(top_child(node.parent), block);
  if (!is_tail(block)) erase_bucket(node);
  node.num_tokens = 0;
  --size_;
  const bool parent_is_leaf = node.parent != kRoot && --nodes_[node.parent].num_children == 0;
  if (!parent_is_leaf) --num_leaves_;
}

// Entries behind the hole move up when their probing would otherwise stop at it.
void PrefixIndex::erase_bucket(Node& node) {
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
}

std::string PrefixIndex::check() const {
  std::vector<uint32_t> children(nodes_.size(), 0);
  uint32_t count = 0;
  for (BlockId block = 0; block < nodes_.size(); ++block) {
    if (!contains(block)) continue;
    ++count;
    const Node& node = nodes_[block];
    const PrefixKey key{node.parent, tokens(block), node.extra};
    if (!is_tail(block)) {
      if (buckets_[node.bucket] != block) return fmt::format("block {} is not in its bucket", block);
      if (node.hash != hash(key)) return fmt::format("block {}'s content changed while it was remembered", block);
      if (find(key) != block) return fmt::format("block {} is not found by its own key", block);
    }
    const auto alike = find_alike(key);
    if (!alike || alike->block != block) return fmt::format("block {} is not the one most like itself", block);
    if (node.parent == kRoot) continue;
    if (!contains(node.parent)) return fmt::format("block {}'s parent {} is not remembered", block, node.parent);
    ++children[node.parent];
  }
  if (count != size_) return fmt::format("{} nodes are counted as {}", count, size_);
  uint32_t num_leaves = 0;
  for (BlockId block = 0; block < nodes_.size(); ++block) {
    if (!contains(block)) continue;
    num_leaves += children[block] == 0 ? 1 : 0;
    if (children[block] != nodes_[block].num_children) {
      return fmt::format("block {} has {} children, counted as {}", block, children[block], nodes_[block].num_children);
    }
    if (is_tail(block) && children[block] > 0) return fmt::format("block {} is a tail and has children", block);
    if (std::string fault = check_siblings(nodes_[block].top_child); !fault.empty()) return fault;
  }
  if (num_leaves != num_leaves_) return fmt::format("{} leaves are counted as {}", num_leaves, num_leaves_);
  return check_siblings(top_first_block_);
}

std::string PrefixIndex::check_siblings(BlockId top) const {
  BlockId last = kRoot;
  for (BlockId block = siblings_.first(top); block != kRoot; last = block, block = siblings_.next(block)) {
    if (!siblings_.is_in_place(block)) return fmt::format("block {} stands too deep among its siblings", block);
    if (last == kRoot) continue;
    uint32_t num_common = 0;
    if (side_of(last, {parent(block), tokens(block), extra(block)}, num_common) <= 0) {
      return fmt::format("blocks {} and {} are not in order", last, block);
    }
    if (num_common == num_tokens(last)) return fmt::format("tail {} is the beginning of block {}", last, block);
  }
  return {};
}

uint64_t PrefixIndex::bytes_per_block(uint32_t block_tokens) {
  // At worst four buckets a block: twice the blocks, rounded up to a power of two.
  return sizeof(Node) + 4 * sizeof(BlockId) + SiblingOrder::kBytesPerBlock + uint64_t{block_tokens} * sizeof(TokenId);
}

uint32_t PrefixIndex::hash(const PrefixKey& key) const {
  return static_cast<uint32_t>(content_hash(key.parent, key.extra, key.tokens, seed_) >> 32);
}

bool PrefixIndex::equals(BlockId block, const PrefixKey& key) const {
  const Node& node = nodes_[block];
  return node.parent == key.parent && node.extra == key.extra && std::ranges::equal(tokens(block), key.tokens);
}

}  // namespace slipstream
