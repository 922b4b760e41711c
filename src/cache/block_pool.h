// Which KV blocks are held, by how many, and which is given out next. Counts blocks; knows nothing of their content.
//
// A block without references is free, and in one of three rings. take() gives the first of the first that is not empty:
//
//   blank   nothing in it is worth keeping
//   once    worth keeping; no request has used it but the one it was computed for
//   again   another request has used it too, or it goes on from what another used (kv_ledger.cc): hit()
//
// `once` and `again` are each in order of their last use: a segmented LRU (Karedla, Love, Wherry, "Caching strategies
// to improve disk system performance", IEEE Computer 27(3), 1994; 2Q's queue without the ghosts). What comes once, and
// ten times the pool of it, goes through `once` and pushes nothing out of `again`. `again` holds at most max_again free
// blocks; beyond them its oldest goes to the back of `once`, where it has one more chance, so an old conversation goes
// too at last, and what is new always finds room to be asked for a second time. max_again = 0 is plain LRU.
//
// Leaves before parents: a free block must not be taken before those that continue it. So a parent is never in an
// earlier ring than its child, nor before it in the same one. It holds when whoever hits a block has hit its parents
// before, holds them meanwhile, and gives its blocks back last one first: a child that goes to the back of a ring is
// then followed there, or in a later ring, by its parent; and the oldest of `again` has all its children in `once`
// already when it goes to the back of that. (Checked by KvLedger::check().)
//
// Everything is O(1); nothing is allocated after construction. Engine thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"
#include "cache/block_rings.h"

namespace slipstream {

class BlockPool {
 public:
  BlockPool(uint32_t num_blocks, uint32_t max_again);

  // In the order they are taken.
  enum class Ring : uint8_t { kBlank, kOnce, kAgain };

  uint32_t num_blocks() const { return static_cast<uint32_t>(references_.size()); }
  uint32_t num_free() const { return num_free_; }
  uint32_t references(BlockId block) const { return references_[block]; }

  // The free block that is missed least, with one reference now. There must be one.
  BlockId take();
  // One more reference to a block, held or free.
  void share(BlockId block);
  // Another request uses it. A free one is the last of `again` now.
  void hit(BlockId block);
  // A free one becomes the last of its ring.
  void refresh(BlockId block);
  enum class Keep : uint8_t { kYes, kNo };
  // One reference less; at none it is free: kYes the last of its ring, kNo blank.
  void release(BlockId block, Keep keep);
  // A free one becomes blank: taken before all others.
  void make_blank(BlockId block);

  // Where it is, or, while it is held, will go if it is kept.
  Ring ring(BlockId block) const { return ring_[block]; }
  // The free blocks in the order they will be taken: for check() and tests.
  std::vector<BlockId> free_blocks() const;

  static constexpr uint64_t kBytesPerBlock = sizeof(uint32_t) + sizeof(Ring) + BlockRings::kBytesPerBlock;

 private:
  static uint32_t number(Ring ring) { return static_cast<uint32_t>(ring); }
  void add_last(BlockId block);
  void remove(BlockId block);

  const uint32_t max_again_;
  std::vector<uint32_t> references_;  // [num_blocks]
  std::vector<Ring> ring_;            // [num_blocks]
  BlockRings rings_;                  // the free blocks
  uint32_t num_free_ = 0;
  uint32_t num_again_ = 0;            // of those, in `again`
};

}  // namespace slipstream
