// Sets of blocks in an order that the caller compares by: a treap for each set (Seidel and Aragon, "Randomized search
// trees", Algorithmica 16, 1996), all in one array of links. What is looked for is found in O(log of the set's size)
// comparisons, expected; priorities come from a seeded hash of the block's number, so nobody outside can make a tree
// deep by the order in which he adds to it. Nothing is allocated after construction. Engine thread.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"

namespace slipstream {

// No block; and the parent of the first block of a sequence.
inline constexpr BlockId kRoot = ~BlockId{0};

class SiblingOrder {
 public:
  SiblingOrder(uint32_t num_blocks, uint64_t seed) : seed_(seed), links_(num_blocks) {}

  // A set is known by its top, which these keep up; an empty one's is kRoot.

  // Calls visit(block) for those blocks on the way to the place of what is looked for, the neighbours of that place
  // among them. visit says on which side of the block it is: < 0 before it, > 0 behind it, 0 to end there.
  template <class Visit>
  void descend(BlockId top, const Visit& visit) const {
    while (top != kRoot) {
      const int side = visit(top);
      if (side == 0) return;
      top = side < 0 ? links_[top].left : links_[top].right;
    }
  }

  // visit: as above, of the place where `block` belongs; never 0.
  template <class Visit>
  void insert(BlockId& top, BlockId block, const Visit& visit) {
    BlockId up = kRoot;
    bool is_left = false;
    descend(top, [&](BlockId other) {
      const int side = visit(other);
      up = other;
      is_left = side < 0;
      return side;
    });
    attach(top, block, up, is_left);
  }

  void erase(BlockId& top, BlockId block);

  // In order, for check(): kRoot when there is none.
  BlockId first(BlockId top) const;
  BlockId next(BlockId block) const;
  uint32_t depth(BlockId block) const;  // blocks above it in its treap
  bool is_in_place(BlockId block) const;  // its priority is not above that of the one over it

  static constexpr uint64_t kBytesPerBlock = 3 * sizeof(BlockId);

 private:
  struct Links {
    BlockId left = kRoot;
    BlockId right = kRoot;
    BlockId up = kRoot;
  };

  uint64_t priority(BlockId block) const;
  void attach(BlockId& top, BlockId block, BlockId up, bool is_left);
  void rotate_up(BlockId& top, BlockId block);
  BlockId& link_to(BlockId& top, BlockId block);

  const uint64_t seed_;
  std::vector<Links> links_;  // [num_blocks]
};

}  // namespace slipstream
