// Lists of blocks from which any block is taken out, and to whose ends any is put, in O(1): rings through two arrays.
// A block is in one ring at most. Nothing is allocated after construction.
#pragma once

#include <cstdint>
#include <numeric>
#include <optional>
#include <vector>

#include "base/ids.h"

namespace slipstream {

class BlockRings {
 public:
  BlockRings(uint32_t num_blocks, uint32_t num_rings)
      : num_blocks_(num_blocks), next_(size_t{num_blocks} + num_rings) {
    std::iota(next_.begin(), next_.end(), 0);
    previous_ = next_;
  }

  bool contains(BlockId block) const { return next_[block] != block; }
  std::optional<BlockId> first(uint32_t ring) const { return next(num_blocks_ + ring); }
  // The one behind `block` in its ring.
  std::optional<BlockId> next(BlockId block) const {
    return next_[block] >= num_blocks_ ? std::nullopt : std::optional(next_[block]);
  }

  void push_front(uint32_t ring, BlockId block) { link(num_blocks_ + ring, block, next_[num_blocks_ + ring]); }
  void push_back(uint32_t ring, BlockId block) { link(previous_[num_blocks_ + ring], block, num_blocks_ + ring); }
  void remove(BlockId block) {
    next_[previous_[block]] = next_[block];
    previous_[next_[block]] = previous_[block];
    next_[block] = previous_[block] = block;
  }

  static constexpr uint64_t kBytesPerBlock = 2 * sizeof(BlockId);

 private:
  void link(BlockId before, BlockId block, BlockId after) {
    next_[before] = block;
    previous_[block] = before;
    next_[block] = after;
    previous_[after] = block;
  }

  uint32_t num_blocks_;
  // [num_blocks + num_rings]: an element for each block, itself where it is in no ring; then an anchor for each ring,
  // before its first and after its last.
  std::vector<BlockId> next_;
  std::vector<BlockId> previous_;
};

}  // namespace slipstream
