// Which blocks' content is known: a tree whose nodes are remembered blocks. A node is known by its parent *node* (not
// the parent's hash), its tokens and its extra key; it is found through a seeded hash of the three and then compared,
// so a hit is exact whatever collides, and nobody can craft a wrong one.
//
//        (root)
//        /    \          a path from the root = the tokens of a prefix, block by block
//      [A b]  [A c]      a node's number = the number of the block that holds its K and V
//       |
//      [d e]
//
// A node that has children cannot be forgotten, so a node's parent is always there and a child can never be reached
// through a number that means another block by now. (Why leaves always come first: kv_ledger.h.)
// find, insert, erase are O(1) in the number of nodes; nothing is allocated after construction. Engine thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"

namespace slipstream {

// What besides its tokens makes a block's content: a tenant's salt, an adapter, a picture. A number the caller keeps
// unique for each such thing; 0 for none.
using ExtraKey = uint64_t;

// Parent of the first block of a sequence.
inline constexpr BlockId kRoot = ~BlockId{0};

struct PrefixKey {
  BlockId parent = kRoot;
  std::span<const TokenId> tokens;  // [block_tokens]
  ExtraKey extra = 0;
};

class PrefixIndex {
 public:
  // seed: drawn at start, so that nobody outside can make keys collide.
  PrefixIndex(uint32_t num_blocks, uint32_t block_tokens, uint64_t seed);

  std::optional<BlockId> find(const PrefixKey& key) const;
  // `block` is not a node yet, no node has this key, and the parent is a node (or the root).
  void insert(const PrefixKey& key, BlockId block);
  // `block` is a node without children.
  void erase(BlockId block);

  bool contains(BlockId block) const { return nodes_[block].bucket != kNoBucket; }
  // Of a node.
  BlockId parent(BlockId block) const { return nodes_[block].parent; }
  ExtraKey extra(BlockId block) const { return nodes_[block].extra; }
  std::span<const TokenId> tokens(BlockId block) const {
    return {&tokens_[size_t{block} * block_tokens_], block_tokens_};
  }
  uint32_t num_children(BlockId block) const { return nodes_[block].num_children; }
  uint32_t size() const { return size_; }

  // The first thing that is wrong; empty when nothing is. O(blocks), for tests.
  std::string check() const;

  static uint64_t bytes_per_block(uint32_t block_tokens);

 private:
  static constexpr uint32_t kNoBucket = ~uint32_t{0};
  struct Node {
    BlockId parent = kRoot;
    uint32_t num_children = 0;
    uint32_t bucket = kNoBucket;  // where it stands in buckets_; kNoBucket: not a node
    uint32_t hash = 0;
    ExtraKey extra = 0;
  };

  uint32_t hash(const PrefixKey& key) const;
  bool equals(BlockId block, const PrefixKey& key) const;

  const uint32_t block_tokens_;
  const uint64_t seed_;
  uint32_t mask_ = 0;                    // buckets_.size() - 1
  // Open addressing with linear probing, at most half full; kRoot = empty.
  std::vector<BlockId> buckets_;
  std::vector<Node> nodes_;              // [num_blocks]
  std::unique_ptr<TokenId[]> tokens_;    // [num_blocks][block_tokens], not touched before use
  uint32_t size_ = 0;
};

}  // namespace slipstream
