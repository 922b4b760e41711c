// Which blocks' content is known: a tree whose nodes are remembered blocks. A node is known by its parent *node* (not
// the parent's hash), its tokens and its extra key; it is found through a seeded hash of the three and then compared,
// so a hit is exact whatever collides, and nobody can craft a wrong one.
//
//         (root)
//         /    .         a path from the root = the tokens of a prefix, block by block
//      [A b]  [A c]      a node's number = the number of the block that holds its K and V
//       |   .
//     [d e] [g]          [g]: a tail, the last block of a prefix, partly filled; it has no children
//
// A node that has children cannot be forgotten, so a node's parent is always there and a child can never be reached
// through a number that means another block by now. (Why leaves always come first: block_pool.h.)
//
// Siblings are also kept in order of (extra key, tokens). The one that begins most like some tokens is a neighbour of
// their place in this order, so it is found without looking at the others. No tail is the beginning of a sibling with
// the same extra key; the caller keeps it so.
//
// find, insert, erase are O(1) in the number of nodes, and O(log) in that of siblings; nothing is allocated after
// construction. Engine thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cache/sequence_keys.h"
#include "cache/sibling_order.h"

namespace slipstream {

struct PrefixKey {
  BlockId parent = kRoot;
  std::span<const TokenId> tokens;  // [block_tokens] of a full block, fewer of a tail
  ExtraKey extra = {};
};

class PrefixIndex {
 public:
  // seed: drawn at start, so that nobody outside can make keys collide.
  PrefixIndex(uint32_t num_blocks, uint32_t block_tokens, uint64_t seed);

  // The full block with this key.
  std::optional<BlockId> find(const PrefixKey& key) const;
  // The child of key.parent, with key.extra, whose tokens have the longest beginning in common with key.tokens; null
  // when none has the first token.
  struct Alike {
    BlockId block = kRoot;
    uint32_t num_common = 0;  // >= 1
  };
  std::optional<Alike> find_alike(const PrefixKey& key) const;

  // `block` is not a node yet, no node has this key, and the parent is a full node (or the root). Fewer than
  // block_tokens make a tail; then no child of the parent begins with them, and none is a beginning of them.
  void insert(const PrefixKey& key, BlockId block);
  // `block` is a node without children. Its extra key and its tokens can still be read until it is a node again.
  void erase(BlockId block);

  bool contains(BlockId block) const { return nodes_[block].num_tokens > 0; }
  // Of a node.
  BlockId parent(BlockId block) const { return nodes_[block].parent; }
  uint32_t num_tokens(BlockId block) const { return nodes_[block].num_tokens; }
  bool is_tail(BlockId block) const { return num_tokens(block) < block_tokens_; }
  std::span<const TokenId> tokens(BlockId block) const { return tokens(block, num_tokens(block)); }
  uint32_t num_children(BlockId block) const { return nodes_[block].num_children; }
  uint32_t size() const { return size_; }
  uint32_t num_leaves() const { return num_leaves_; }  // nodes without children
  // Of a node, or of what was the last one here.
  const ExtraKey& extra(BlockId block) const { return nodes_[block].extra; }
  std::span<const TokenId> tokens(BlockId block, uint32_t num_tokens) const {
    return {&tokens_[size_t{block} * block_tokens_], num_tokens};
  }

  // The first thing that is wrong; empty when nothing is. O(blocks), for tests.
  std::string check() const;

  static uint64_t bytes_per_block(uint32_t block_tokens);

 private:
  static constexpr uint32_t kNoBucket = ~uint32_t{0};
  struct Node {
    BlockId parent = kRoot;
    BlockId top_child = kRoot;    // of its children's order
    uint32_t num_children = 0;
    uint32_t num_tokens = 0;      // 0: not a node
    uint32_t bucket = kNoBucket;  // where a full one stands in buckets_
    uint32_t hash = 0;
    ExtraKey extra = {};
  };

  uint32_t hash(const PrefixKey& key) const;
  bool equals(BlockId block, const PrefixKey& key) const;
  // On which side of `block`, a child of key.parent, the key is: < 0 before it; and how many tokens they share.
  int side_of(BlockId block, const PrefixKey& key, uint32_t& num_common) const;
  BlockId& top_child(BlockId parent) { return parent == kRoot ? top_first_block_ : nodes_[parent].top_child; }
  void erase_bucket(Node& node);
  std::string check_siblings(BlockId top) const;

  const uint32_t block_tokens_;
  const uint64_t seed_;
  uint32_t mask_ = 0;                    // buckets_.size() - 1
  // Open addressing with linear probing, at most half full; kRoot = empty.
  std::vector<BlockId> buckets_;
  std::vector<Node> nodes_;              // [num_blocks]
  std::unique_ptr<TokenId[]> tokens_;    // [num_blocks][block_tokens], not touched before use
  SiblingOrder siblings_;
  BlockId top_first_block_ = kRoot;      // of the order of those whose parent is the root
  uint32_t size_ = 0;
  uint32_t num_leaves_ = 0;
};

}  // namespace slipstream
