// The book of KV memory: which sequence holds which block, and which full blocks are remembered for later.
// It counts blocks and never touches their bytes (those are in model/kv_storage.h), and it knows no sequences: only
// spans of tokens and tables of blocks. Engine thread.
//
// Invariants (checked by check()):
//   (1) A block's reference count is the number of tables that contain it.
//   (2) Referenced blocks and free blocks together are all blocks.
//   (3) A remembered block is full and computed, and its content never changes while it is remembered.
//   (4) A table that holds a remembered block holds, before it, its parent: remembered blocks are a beginning of each
//       table.
//
// From (4), and because a table is given back tail first, a remembered block's children are always used less recently
// than itself: leaves are taken from the free list before their parents, and forgetting never has to look for children.
//
//   tokens   0 ........ 63 | 64 ..... 127 | 128 .. 140
//   table    [17]            [4]            [9]
//            remembered,     remembered     ours alone,
//            shared with     by us          partly filled
//            other tables
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cache/block_pool.h"
#include "cache/prefix_index.h"

namespace slipstream {

// A sequence's blocks in order: the K and V of token t are in blocks[t / block_tokens], slot t % block_tokens. Whoever
// owns it has reserved its longest; only the ledger changes it.
using BlockTable = std::vector<BlockId>;

// What the ledger did, for statistics and for whoever mirrors the tree.
struct CacheChange {
  enum class Kind : uint8_t { kStored, kRemoved };
  Kind kind = Kind::kStored;
  BlockId block = 0;
  BlockId parent = kRoot;
};

struct KvLedgerOptions {
  uint32_t num_blocks = 0;
  uint32_t block_tokens = 64;
  bool prefix_cache = true;  // false: match() finds nothing and remember() remembers nothing
  uint64_t hash_seed = 0;
};

class KvLedger {
 public:
  explicit KvLedger(const KvLedgerOptions& options);

  uint32_t num_blocks() const { return pool_.num_blocks(); }
  uint32_t num_free() const { return pool_.num_free(); }  // remembered ones without references included
  uint32_t num_remembered() const { return index_.size(); }
  uint32_t block_tokens() const { return options_.block_tokens; }
  uint32_t blocks_for(uint32_t num_tokens) const { return (num_tokens + block_tokens() - 1) / block_tokens(); }

  // Puts the longest remembered prefix of `tokens` into the empty table, shared, and returns its number of tokens.
  // Never all: at least one token remains to be computed, because somebody wants its logits.
  uint32_t match(std::span<const TokenId> tokens, ExtraKey extra, BlockTable& table);

  // Makes the table hold num_tokens tokens. False when there are too few free blocks; then nothing has changed.
  bool grow(BlockTable& table, uint32_t num_tokens);

  // `computed`: the tokens of the sequence whose K and V are in the table's blocks now. Full blocks among them become
  // known to match(). Where the same content is remembered already, the table gets that block and gives its own back.
  void remember(std::span<const TokenId> computed, ExtraKey extra, BlockTable& table);

  // Gives all blocks back and empties the table.
  void release(BlockTable& table);

  // Since clear_changes(), in order. The tokens of a stored block: tokens(block), as long as it is remembered.
  std::span<const CacheChange> changes() const { return changes_; }
  void clear_changes() { changes_.clear(); }
  std::span<const TokenId> tokens(BlockId block) const { return index_.tokens(block); }

  // One holder of blocks, as check() sees it.
  struct Holder {
    std::span<const BlockId> table;
    std::span<const TokenId> computed;
    ExtraKey extra = 0;
  };
  // The first invariant that does not hold, in words; empty when all do. `holders`: everyone there is. For tests:
  // O(all).
  std::string check(std::span<const Holder> holders) const;

  // Free and not remembered: blocks whose content nobody may read any more. For tests, which overwrite them.
  std::vector<BlockId> blank_blocks() const;

  // Of this book, beside the K and V.
  static uint64_t bytes_per_block(uint32_t block_tokens);

 private:
  BlockId take_block();
  void give_back(BlockId block);
  std::string check_holder(const Holder& holder) const;

  const KvLedgerOptions options_;
  BlockPool pool_;
  PrefixIndex index_;
  std::vector<CacheChange> changes_;
};

}  // namespace slipstream
