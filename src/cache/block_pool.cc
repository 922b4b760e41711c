#include "cache/block_pool.h"

#include "base/check.h"

namespace slipstream {

BlockPool::BlockPool(uint32_t num_blocks, uint32_t max_again)
    : max_again_(max_again),
      references_(num_blocks, 0),
      ring_(num_blocks, Ring::kBlank),
      rings_(num_blocks, 3),
      num_free_(num_blocks) {
  for (BlockId block = 0; block < num_blocks; ++block) rings_.push_back(number(Ring::kBlank), block);
}

BlockId BlockPool::take() {
  for (const Ring ring : {Ring::kBlank, Ring::kOnce, Ring::kAgain}) {
    const auto block = rings_.first(number(ring));
    if (!block) continue;
    share(*block);
    ring_[*block] = Ring::kOnce;
    return *block;
  }
  CHECK(false, "all {} blocks are held", num_blocks());
}

void BlockPool::share(BlockId block) {
  if (references_[block]++ == 0) remove(block);
}

void BlockPool::hit(BlockId block) {
  const bool is_free = references_[block] == 0;
  if (is_free) remove(block);
  ring_[block] = Ring::kAgain;
  if (is_free) add_last(block);
}

void BlockPool::refresh(BlockId block) {
  if (references_[block] > 0) return;
  remove(block);
  add_last(block);
}

void BlockPool::release(BlockId block, Keep keep) {
  CHECK(references_[block] > 0, "block {} is given back by someone who does not hold it", block);
  if (--references_[block] > 0) return;
  add_last(block);
  if (keep == Keep::kNo) make_blank(block);
}

void BlockPool::make_blank(BlockId block) {
  CHECK(references_[block] == 0, "block {} is held", block);
  remove(block);
  ring_[block] = Ring::kBlank;
  rings_.push_front(number(Ring::kBlank), block);
  ++num_free_;
}

void BlockPool::add_last(BlockId block) {
  rings_.push_back(number(ring_[block]), block);
  ++num_free_;
  if (ring_[block] != Ring::kAgain || ++num_again_ <= max_again_) return;
  const BlockId oldest = *rings_.first(number(Ring::kAgain));
  rings_.remove(oldest);
  rings_.push_back(number(Ring::kOnce), oldest);
  ring_[oldest] = Ring::kOnce;
  --num_again_;
}

void BlockPool::remove(BlockId block) {
  rings_.remove(block);
  --num_free_;
  if (ring_[block] == Ring::kAgain) --num_again_;
}

std::vector<BlockId> BlockPool::free_blocks() const {
  std::vector<BlockId> blocks;
  for (const Ring ring : {Ring::kBlank, Ring::kOnce, Ring::kAgain}) {
    for (auto block = rings_.first(number(ring)); block; block = rings_.next(*block)) blocks.push_back(*block);
  }
  return blocks;
}

}  // namespace slipstream
