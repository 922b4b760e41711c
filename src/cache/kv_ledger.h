// The book of KV memory: which sequence holds which block, and which blocks are remembered for later. It counts blocks
// and never touches their bytes (those are in model/kv_storage.h), and it knows no sequences: only spans of tokens and
// tables of blocks. Engine thread.
//
// Full blocks are remembered as soon as they are computed and shared by reference. The partly filled last block of a
// sequence, its tail, is remembered when its table is given back; it and the beginning of a block that goes on
// differently are shared by copy, so what is reused ends at a token, not at a block.
//
// What is kept when blocks run out is the pool's to say (block_pool.h); the ledger tells it what is used again: blocks
// that a later request shares or copies to their end, and blocks that go on from such a one where nothing did before.
//
// Invariants (checked by check()):
//   (1) A block's reference count is the number of tables that contain it.
//   (2) Referenced blocks and free blocks together are all blocks.
//   (3) A remembered block is computed, full or a tail with its number of tokens, and its content never changes while
//       it is remembered. A tail has no references and no children.
//   (4) A table that holds a remembered block holds, before it, its parent: remembered blocks are a beginning of each
//       table. Every full and computed block of a table is remembered.
//   (5) A free block is taken after those that continue it (block_pool.h): leaves go before their parents, and
//       forgetting never has to look for children.
//   (6) There are at most max_entries leaves, or none that is free.
//
//   tokens   0 ........ 63 | 64 ..... 127 | 128 .. 140
//   table    [17]            [4]            [9]
//            remembered,     remembered     ours alone, partly filled;
//            shared with     by us          a tail when we end
//            other tables
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cache/block_pool.h"
#include "cache/block_rings.h"
#include "cache/forgotten_blocks.h"
#include "cache/prefix_index.h"
#include "cache/reuse.h"

namespace slipstream {

// A sequence's blocks in order: the K and V of token t are in blocks[t / block_tokens], slot t % block_tokens. Whoever
// owns it has reserved its longest; only the ledger changes it.
using BlockTable = std::vector<BlockId>;

// What the ledger did, for whoever mirrors the tree.
struct CacheChange {
  enum class Kind : uint8_t {
    kStored,
    kEvicted,  // for want of room, or of entries
    kRemoved,  // for another reason: cleared, or a tail that is the beginning of another block now
  };
  Kind kind = Kind::kStored;
  BlockId block = 0;
  BlockId parent = kRoot;
  uint32_t num_tokens = 0;
};

struct KvLedgerOptions {
  uint32_t num_blocks = 0;
  uint32_t block_tokens = 64;
  bool prefix_cache = true;  // false: match() finds nothing and nothing is remembered
  uint64_t hash_seed = 0;
  std::optional<uint32_t> max_entries = std::nullopt;  // leaves of the tree; unset: as many as there are blocks
  bool plain_lru = false;    // for comparison: blocks that were hit are forgotten like all others
};

// What is remembered of some tokens.
struct Match {
  uint32_t num_tokens = 0;               // in whole blocks, which are in the table now
  std::optional<BlockId> source;         // a block that has the next num_common tokens too
  uint32_t num_common = 0;               // < block_tokens; 0 without a source
  bool is_hit = false;                   // all of the source, a tail, is used, or all of the tokens is found
};

class KvLedger {
 public:
  explicit KvLedger(const KvLedgerOptions& options);

  uint32_t num_blocks() const { return pool_.num_blocks(); }
  uint32_t num_free() const { return pool_.num_free(); }  // remembered ones without references included
  uint32_t num_remembered() const { return index_.size(); }
  uint32_t num_entries() const { return index_.num_leaves(); }
  uint64_t num_evictions() const { return num_evictions_; }  // blocks forgotten for want of room, or of entries
  uint32_t block_tokens() const { return options_.block_tokens; }
  bool shares() const { return options_.prefix_cache; }
  uint32_t blocks_for(uint32_t num_tokens) const { return (num_tokens + block_tokens() - 1) / block_tokens(); }

  // Puts the whole blocks that are remembered of a beginning of `tokens` into the empty table, shared, and says where
  // the tokens after them can be copied from. Never all of `tokens`: at least one remains to be computed, because
  // somebody wants its logits.
  Match match(std::span<const TokenId> tokens, const SequenceKeys& keys, BlockTable& table);

  // Why that match ended where it did; right after it. wider: another key under which the same would be of use to know
  // of, if there is one. Must not be anybody's whose cached prompts the asker may not know of.
  Reuse explain(std::span<const TokenId> tokens, const SequenceKeys& keys, const std::optional<ExtraKey>& wider,
                const Match& match, const BlockTable& table) const;
  // The time at which what is forgotten from now on is forgotten, and from which explain() counts back.
  void set_time(uint64_t now_ns) { now_ns_ = now_ns; }

  // Right after the match() that filled the table, which found a source; a block must be free. Appends a fresh block to
  // the table. Before anything of the step is computed, and before later copies, the first num_common slots of
  // *match.source are to be copied into it; nothing is to be done where it *is* the source, which happens when no other
  // was free (the source is then forgotten). The source may be taken by others from now on.
  void take_for_copy(const Match& match, BlockTable& table);

  // Makes the table hold num_tokens tokens. False when there are too few free blocks; then nothing has changed.
  bool grow(BlockTable& table, uint32_t num_tokens);

  // `computed`: the tokens of the sequence whose K and V are in the table's blocks now. Full blocks among them become
  // known to match(). Where the same content is remembered already, the table gets that block and gives its own back.
  void remember(std::span<const TokenId> computed, const SequenceKeys& keys, BlockTable& table);

  // Gives all blocks back and empties the table.
  void release(BlockTable& table);
  // The same; what is computed of the last block is remembered as a tail. All full blocks of `computed` are remembered
  // already. A tail that others begin with is not needed, nor is one that is a beginning of this one.
  void release_with_tail(std::span<const TokenId> computed, const SequenceKeys& keys, BlockTable& table);

  // Forgets everything that no table holds.
  void forget_all();

  // Since clear_changes(), in order; and what a change is about: to be read before a block that was removed is stored
  // again, which no step does with one that it took.
  std::span<const CacheChange> changes() const { return changes_; }
  void clear_changes() { changes_.clear(); }
  std::span<const TokenId> tokens(const CacheChange& change) const {
    return index_.tokens(change.block, change.num_tokens);
  }
  const ExtraKey& extra(const CacheChange& change) const { return index_.extra(change.block); }
  uint64_t num_stored() const { return num_stored_; }    // blocks, so far
  uint64_t num_removed() const { return num_removed_; }  // evicted ones included

  // Remembered blocks that nobody holds, as if just stored, the one that would be missed most first: a parent comes
  // before those that continue it. O(all), and allocates.
  std::vector<CacheChange> idle_blocks() const;

  // One holder of blocks, as check() sees it.
  struct Holder {
    std::span<const BlockId> table;
    std::span<const TokenId> computed;
    SequenceKeys keys = {};
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
  void share(BlockId block);
  void give_back(BlockId block);
  PrefixKey key_of_block(std::span<const TokenId> tokens, const SequenceKeys& keys, const BlockTable& table,
                         size_t index) const;
  void insert(const PrefixKey& key, BlockId block);
  void forget(BlockId block, CacheChange::Kind kind);
  void forget_free(BlockId block);
  void note_forgotten(BlockId block, ReuseEnd end);
  void evict(BlockId block);
  uint64_t fingerprint(BlockId parent) const { return parent == kRoot ? forgotten_.root() : fingerprints_[parent]; }
  void forget_beyond_limit();
  void remember_tail(const PrefixKey& key, BlockId block);
  void refresh_leaf(BlockId block);
  std::string check_holder(const Holder& holder) const;
  std::string check_order() const;

  const KvLedgerOptions options_;
  BlockPool pool_;
  PrefixIndex index_;
  BlockRings idle_leaves_;  // one ring: leaves that nobody holds, the one unused for longest first
  std::vector<uint64_t> fingerprints_;  // [num_blocks], of those that are remembered
  ForgottenBlocks forgotten_;
  uint64_t now_ns_ = 0;
  uint64_t num_evictions_ = 0;
  uint64_t num_stored_ = 0;
  uint64_t num_removed_ = 0;
  std::vector<CacheChange> changes_;
};

}  // namespace slipstream
