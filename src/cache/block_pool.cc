#include "cache/block_pool.h"

#include "base/check.h"

namespace slipstream {

BlockPool::BlockPool(uint32_t num_blocks)
    : references_(num_blocks, 0), next_(num_blocks + 1), previous_(num_blocks + 1), num_free_(num_blocks) {
  for (uint32_t block = 0; block <= num_blocks; ++block) {
    next_[block] = block == num_blocks ? 0 : block + 1;
    previous_[block] = block == 0 ? num_blocks : block - 1;
  }
}

BlockId BlockPool::take() {
  CHECK(num_free_ > 0, "all {} blocks are held", num_blocks());
  const BlockId block = next_[num_blocks()];
  share(block);
  return block;
}

void BlockPool::share(BlockId block) {
  if (references_[block]++ == 0) unlink(block);
}

void BlockPool::release(BlockId block, Keep keep) {
  CHECK(references_[block] > 0, "block {} is given back by someone who does not hold it", block);
  if (--references_[block] > 0) return;
  const BlockId anchor = num_blocks();
  if (keep == Keep::kYes) {
    link_between(previous_[anchor], block, anchor);
  } else {
    link_between(anchor, block, next_[anchor]);
  }
}

void BlockPool::unlink(BlockId block) {
  next_[previous_[block]] = next_[block];
  previous_[next_[block]] = previous_[block];
  --num_free_;
}

void BlockPool::link_between(BlockId before, BlockId block, BlockId after) {
  next_[before] = block;
  previous_[block] = before;
  next_[block] = after;
  previous_[after] = block;
  ++num_free_;
}

}  // namespace slipstream
