// KvLedger::check(): its invariants, one after the other, in O(all).
#include <fmt/core.h>

#include <algorithm>

#include "cache/kv_ledger.h"

namespace slipstream {

std::string KvLedger::check(std::span<const Holder> holders) const {
  std::vector<uint32_t> references(num_blocks(), 0);
  for (const Holder& holder : holders) {
    for (const BlockId block : holder.table) ++references[block];
    if (std::string fault = check_holder(holder); !fault.empty()) return fault;
  }
  uint32_t num_held = 0;
  for (BlockId block = 0; block < num_blocks(); ++block) {
    if (references[block] != pool_.references(block)) {
      return fmt::format("block {} is in {} tables and has {} references", block, references[block],
                         pool_.references(block));
    }
    num_held += references[block] > 0 ? 1 : 0;
  }
  if (num_held + num_free() != num_blocks()) {
    return fmt::format("{} blocks held and {} free are not {}", num_held, num_free(), num_blocks());
  }
  if (std::string fault = index_.check(); !fault.empty()) return fault;
  return check_order();
}

// What a table may say about remembered blocks: invariants (3) and (4).
std::string KvLedger::check_holder(const Holder& holder) const {
  if (holder.computed.size() > holder.table.size() * block_tokens()) {
    return fmt::format("{} tokens are computed in a table of {} blocks", holder.computed.size(), holder.table.size());
  }
  const size_t num_full = holder.computed.size() / block_tokens();
  for (size_t index = 0; index < holder.table.size(); ++index) {
    const BlockId block = holder.table[index];
    if (!index_.contains(block)) {
      if (options_.prefix_cache && index < num_full) {
        return fmt::format("block {} is full and computed, but not remembered", block);
      }
      continue;
    }
    if (index >= num_full) return fmt::format("block {} is remembered before it is computed", block);
    if (index_.is_tail(block)) return fmt::format("block {} is a tail, and held", block);
    const BlockId parent = index == 0 ? kRoot : holder.table[index - 1];
    if (index_.parent(block) != parent)
      return fmt::format("block {} hangs under a block its table does not hold", block);
    const auto begin = static_cast<uint32_t>(index * block_tokens());
    if (index_.extra(block) != extra_key_of_block(holder.keys, begin, block_tokens())) {
      return fmt::format("block {} is shared across extra keys", block);
    }
    if (!std::ranges::equal(index_.tokens(block), holder.computed.subspan(begin, block_tokens()))) {
      return fmt::format("block {} is remembered for other tokens than its table's", block);
    }
  }
  return {};
}

// Invariants (5) and (6): in which order free blocks are taken, and leaves forgotten.
std::string KvLedger::check_order() const {
  const std::vector<BlockId> free = pool_.free_blocks();
  if (free.size() != num_free()) return fmt::format("{} free blocks, counted as {}", free.size(), num_free());
  std::vector<size_t> place(num_blocks(), num_blocks());  // held: behind all
  for (size_t i = 0; i < free.size(); ++i) {
    if (pool_.references(free[i]) != 0) return fmt::format("block {} is held and in a ring", free[i]);
    if (index_.contains(free[i]) == (pool_.ring(free[i]) == BlockPool::Ring::kBlank)) {
      return fmt::format("block {} is blank and remembered, or neither", free[i]);
    }
    place[free[i]] = i;
  }
  uint32_t num_idle_leaves = 0;
  for (BlockId block = 0; block < num_blocks(); ++block) {
    const bool is_idle_leaf =
        index_.contains(block) && pool_.references(block) == 0 && index_.num_children(block) == 0;
    num_idle_leaves += is_idle_leaf ? 1 : 0;
    if (is_idle_leaf != idle_leaves_.contains(block)) {
      return fmt::format("block {} is a free leaf and not among them, or the other way round", block);
    }
    if (!index_.contains(block) || index_.parent(block) == kRoot) continue;
    const BlockId parent = index_.parent(block);
    if (pool_.ring(parent) < pool_.ring(block)) return fmt::format("block {} is worth more than its parent", block);
    if (pool_.references(parent) == 0 && place[parent] <= place[block]) {
      return fmt::format("block {} goes before block {}, which hangs under it", parent, block);
    }
  }
  if (options_.max_entries && num_entries() > *options_.max_entries && num_idle_leaves > 0) {
    return fmt::format("{} entries of at most {}, and {} are free", num_entries(), *options_.max_entries,
                       num_idle_leaves);
  }
  return {};
}

}  // namespace slipstream
