#include "cache/sibling_order.h"

#include "base/random.h"

namespace slipstream {

uint64_t SiblingOrder::priority(BlockId block) const { return splitmix64(seed_, block); }

// What points down to `block`.
BlockId& SiblingOrder::link_to(BlockId& top, BlockId block) {
  const BlockId up = links_[block].up;
  if (up == kRoot) return top;
  return links_[up].left == block ? links_[up].left : links_[up].right;
}

void SiblingOrder::attach(BlockId& top, BlockId block, BlockId up, bool is_left) {
  links_[block] = {.left = kRoot, .right = kRoot, .up = up};
  if (up == kRoot) {
    top = block;
    return;
  }
  (is_left ? links_[up].left : links_[up].right) = block;
  while (links_[block].up != kRoot && priority(block) > priority(links_[block].up)) rotate_up(top, block);
}

//        up             block
//       /  \            /   \          and its mirror; the order from left to right stays
//    block  c    ->    a     up
//    /  \                   /  \         .
//   a    b                 b    c
void SiblingOrder::rotate_up(BlockId& top, BlockId block) {
  const BlockId up = links_[block].up;
  const bool is_left = links_[up].left == block;
  link_to(top, up) = block;
  links_[block].up = links_[up].up;
  links_[up].up = block;
  BlockId& inner = is_left ? links_[block].right : links_[block].left;
  (is_left ? links_[up].left : links_[up].right) = inner;
  if (inner != kRoot) links_[inner].up = up;
  inner = up;
}

void SiblingOrder::erase(BlockId& top, BlockId block) {
  while (links_[block].left != kRoot || links_[block].right != kRoot) {
    const auto [left, right, up] = links_[block];
    const bool goes_left = right == kRoot || (left != kRoot && priority(left) > priority(right));
    rotate_up(top, goes_left ? left : right);
  }
  link_to(top, block) = kRoot;
  links_[block] = {};
}

BlockId SiblingOrder::first(BlockId top) const {
  while (top != kRoot && links_[top].left != kRoot) top = links_[top].left;
  return top;
}

BlockId SiblingOrder::next(BlockId block) const {
  if (links_[block].right != kRoot) return first(links_[block].right);
  while (links_[block].up != kRoot && links_[links_[block].up].right == block) block = links_[block].up;
  return links_[block].up;
}

bool SiblingOrder::is_in_place(BlockId block) const {
  const BlockId up = links_[block].up;
  return up == kRoot || priority(block) <= priority(up);
}

uint32_t SiblingOrder::depth(BlockId block) const {
  uint32_t depth = 0;
  for (; links_[block].up != kRoot; block = links_[block].up) ++depth;
  return depth;
}

}  // namespace slipstream
