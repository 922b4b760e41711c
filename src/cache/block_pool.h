// Which KV blocks are held, by how many, and which is given out next. Counts blocks; knows nothing of their content.
//
// A block without references is on the free list, a doubly linked list through two arrays: taken from the front, given
// back to the back (content worth keeping: the list's order is the LRU) or to the front (nothing worth keeping: goes
// first). Everything is O(1); nothing is allocated after construction. Engine thread.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/ids.h"

namespace slipstream {

class BlockPool {
 public:
  explicit BlockPool(uint32_t num_blocks);

  uint32_t num_blocks() const { return static_cast<uint32_t>(references_.size()); }
  uint32_t num_free() const { return num_free_; }
  uint32_t references(BlockId block) const { return references_[block]; }

  // The free block unused for longest, with one reference now. There must be one.
  BlockId take();
  // One more reference to a block, held or free.
  void share(BlockId block);
  enum class Keep : uint8_t { kYes, kNo };
  // One reference less; at none, back to the free list: kYes to the end of the LRU, kNo to be taken first.
  void release(BlockId block, Keep keep);

  // The free list in the order blocks will be taken: for check() and tests.
  std::optional<BlockId> first_free() const { return next_free(num_blocks()); }
  std::optional<BlockId> next_free(BlockId block) const {
    return next_[block] == num_blocks() ? std::nullopt : std::optional(next_[block]);
  }

  static constexpr uint64_t kBytesPerBlock = 3 * sizeof(uint32_t);

 private:
  void unlink(BlockId block);
  void link_between(BlockId before, BlockId block, BlockId after);

  std::vector<uint32_t> references_;  // [num_blocks]
  // [num_blocks + 1]: a ring through the free blocks; the last element is the anchor before the first and after the
  // last.
  std::vector<BlockId> next_;
  std::vector<BlockId> previous_;
  uint32_t num_free_ = 0;
};

}  // namespace slipstream
