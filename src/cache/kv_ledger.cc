#include "cache/kv_ledger.h"

#include <algorithm>

#include "base/check.h"

namespace slipstream {

KvLedger::KvLedger(const KvLedgerOptions& options)
    : options_(options),
      pool_(options.num_blocks),
      index_(options.num_blocks, options.block_tokens, options.hash_seed) {
  // Between two clear_changes() a block is taken (removed) while planning and stored while committing: once each.
  changes_.reserve(size_t{options.num_blocks} * 2);
}

uint32_t KvLedger::match(std::span<const TokenId> tokens, ExtraKey extra, BlockTable& table) {
  CHECK(table.empty(), "match() into a table of {} blocks", table.size());
  if (!options_.prefix_cache || tokens.empty()) return 0;
  const size_t most = (tokens.size() - 1) / block_tokens();
  BlockId parent = kRoot;
  while (table.size() < most) {
    const auto block = index_.find({parent, tokens.subspan(table.size() * block_tokens(), block_tokens()), extra});
    if (!block) break;
    pool_.share(*block);
    table.push_back(*block);
    parent = *block;
  }
  return static_cast<uint32_t>(table.size()) * block_tokens();
}

bool KvLedger::grow(BlockTable& table, uint32_t num_tokens) {
  const size_t wanted = blocks_for(num_tokens);
  if (wanted > table.size() + pool_.num_free()) return false;
  while (table.size() < wanted) table.push_back(take_block());
  return true;
}

void KvLedger::remember(std::span<const TokenId> computed, ExtraKey extra, BlockTable& table) {
  if (!options_.prefix_cache) return;
  const size_t num_full = computed.size() / block_tokens();
  size_t index = num_full;
  while (index > 0 && !index_.contains(table[index - 1])) --index;  // invariant (4): those before are remembered
  for (; index < num_full; ++index) {
    const BlockId parent = index == 0 ? kRoot : table[index - 1];
    const PrefixKey key{parent, computed.subspan(index * block_tokens(), block_tokens()), extra};
    if (const auto known = index_.find(key)) {
      // Somebody computed the same meanwhile: the same bits (P1). Sharing theirs keeps invariant (4) and frees a block.
      pool_.share(*known);
      give_back(table[index]);
      table[index] = *known;
    } else {
      index_.insert(key, table[index]);
      changes_.push_back({CacheChange::Kind::kStored, table[index], parent});
    }
  }
}

void KvLedger::release(BlockTable& table) {
  // Tail first, so that in the LRU a block comes before its parent.
  while (!table.empty()) {
    give_back(table.back());
    table.pop_back();
  }
}

BlockId KvLedger::take_block() {
  const BlockId block = pool_.take();
  if (index_.contains(block)) {
    changes_.push_back({CacheChange::Kind::kRemoved, block, index_.parent(block)});
    index_.erase(block);
  }
  return block;
}

void KvLedger::give_back(BlockId block) {
  pool_.release(block, index_.contains(block) ? BlockPool::Keep::kYes : BlockPool::Keep::kNo);
}

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
  uint32_t num_listed = 0;
  for (auto block = pool_.first_free(); block; block = pool_.next_free(*block)) {
    if (pool_.references(*block) != 0) return fmt::format("block {} is held and on the free list", *block);
    if (++num_listed > num_blocks()) return "the free list has no end";
  }
  if (num_listed != num_free()) return fmt::format("{} blocks on the free list, counted as {}", num_listed, num_free());
  return index_.check();
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
    const BlockId parent = index == 0 ? kRoot : holder.table[index - 1];
    if (index_.parent(block) != parent)
      return fmt::format("block {} hangs under a block its table does not hold", block);
    if (index_.extra(block) != holder.extra) return fmt::format("block {} is shared across extra keys", block);
    if (!std::ranges::equal(index_.tokens(block), holder.computed.subspan(index * block_tokens(), block_tokens()))) {
      return fmt::format("block {} is remembered for other tokens than its table's", block);
    }
  }
  return {};
}

std::vector<BlockId> KvLedger::blank_blocks() const {
  std::vector<BlockId> blank;
  for (BlockId block = 0; block < num_blocks(); ++block) {
    if (pool_.references(block) == 0 && !index_.contains(block)) blank.push_back(block);
  }
  return blank;
}

uint64_t KvLedger::bytes_per_block(uint32_t block_tokens) {
  return BlockPool::kBytesPerBlock + PrefixIndex::bytes_per_block(block_tokens) + 2 * sizeof(CacheChange);
}

}  // namespace slipstream
