#include "engine/block_traffic.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"

namespace slipstream {
namespace {

std::array<uint64_t, 2> store_key(const ExtraKey& extra) { return {extra.low, extra.high}; }

}  // namespace

BlockTraffic::BlockTraffic(KvLedger& ledger, Executor& executor, BlockStore* store, Clock clock,
                           uint32_t max_model_len)
    : ledger_(ledger), executor_(executor), store_(store), clock_(clock) {
  if (store == nullptr) return;
  names_.resize(ledger.num_blocks());
  tokens_.reserve(size_t{max_model_len} + ledger.block_tokens());
  table_.reserve(ledger.blocks_for(max_model_len) + 1);
}

BlockName BlockTraffic::name_of(const CacheChange& block) const {
  return {name_of(block.parent), store_key(ledger_.extra(block)), ledger_.tokens(block)};
}

void BlockTraffic::follow() {
  if (store_ != nullptr) {
    for (const CacheChange& change : ledger_.changes()) {
      if (change.kind == CacheChange::Kind::kStored) {
        names_[change.block] = chain_key(store_->secret(), name_of(change), ledger_.block_tokens());
      } else if (change.kind == CacheChange::Kind::kEvicted) {
        save(change, BlockStore::Use::kNow);
      }
    }
  }
  ledger_.clear_changes();
}

// False when there is no room at this moment. A full block that is there already is the same (P1); an end may be
// another one.
bool BlockTraffic::save(const CacheChange& block, BlockStore::Use use) {
  const bool is_full = block.num_tokens == ledger_.block_tokens();
  if (is_full && store_->contains(names_[block.block])) {
    store_->refresh(names_[block.block], use);
    return true;
  }
  const std::span<std::byte> place = store_->begin_write(name_of(block), executor_.block_bytes(), use);
  if (place.empty()) return false;
  executor_.save_block(block.block, place);
  store_->end_write();
  return true;
}

// What the store has that goes on from `parent` with the tokens `rest`, at least one: the whole block, or else an end.
std::optional<BlockTraffic::Kept> BlockTraffic::find(const ChainKey& parent, const ExtraKey& extra,
                                                     std::span<const TokenId> rest) const {
  const uint32_t block_tokens = ledger_.block_tokens();
  const BlockName whole{parent, store_key(extra), rest.first(std::min<size_t>(rest.size(), block_tokens))};
  const BlockName end{parent, store_key(extra), rest.first(1)};
  for (const BlockName& name : {whole, end}) {
    const ChainKey key = chain_key(store_->secret(), name, block_tokens);
    if (store_->contains(key)) return Kept{name, key};
  }
  return std::nullopt;
}

bool BlockTraffic::is_worth_waiting(Sequence& sequence, const Match& match) {
  if (store_ == nullptr || num_stale_ > 0) return false;
  if (match.num_tokens + match.num_common + 1 >= sequence.num_tokens()) return false;
  if (is_fetching_ && sequence.number == number_) return true;
  if (sequence.was_fetched) return false;
  if (!is_fetching_) return begin_fetch(sequence);
  // Its turn comes, if the store has something for it.
  const uint32_t begin = match.num_tokens;
  const std::span<const TokenId> rest = std::span(sequence.tokens).subspan(begin);
  const ExtraKey extra = extra_key_of_block(sequence.keys(), begin, ledger_.block_tokens());
  return find(next_parent(sequence.table), extra, rest).has_value();
}

// False when the store has nothing for it.
bool BlockTraffic::begin_fetch(Sequence& sequence) {
  number_ = sequence.number;
  tokens_.assign(sequence.tokens.begin(), sequence.tokens.end());
  extra_ = sequence.extra;
  num_asked_ = static_cast<uint32_t>(sequence.table.size());
  next_parent_ = next_parent(sequence.table);
  has_asked_all_ = false;
  last_news_ns_ = clock_.now_ns();
  ask_more();
  is_fetching_ = num_coming_ > 0;
  sequence.was_fetched |= is_fetching_;
  return is_fetching_;
}

void BlockTraffic::ask_more() {
  const uint32_t block_tokens = ledger_.block_tokens();
  while (!has_asked_all_) {
    const size_t begin = size_t{num_asked_} * block_tokens;
    std::optional<Kept> next;
    if (begin + 1 < tokens_.size()) {  // the last token is computed in any case
      const ExtraKey extra = extra_key_of_block({extra_, {}}, static_cast<uint32_t>(begin), block_tokens);
      next = find(next_parent_, extra, std::span(tokens_).subspan(begin));
    }
    const auto use = num_coming_ == 0 ? BlockStore::Use::kNow : BlockStore::Use::kBeforeLast;
    const bool was_asked = next && store_->ask(next->name, use);
    if (next && !was_asked && num_coming_ > 0) return;  // no room now: once something has come
    has_asked_all_ = !was_asked || next->name.tokens.size() < block_tokens;
    if (!was_asked) return;
    ++num_asked_;
    ++num_coming_;
    next_parent_ = next->key;
  }
}

void BlockTraffic::take_arrivals() {
  if (store_ == nullptr) return;
  follow();
  while (num_stale_ > 0 && store_->next_found()) --num_stale_;
  if (!is_fetching_) return;
  while (num_coming_ > 0) {
    const auto found = store_->next_found();
    if (!found) break;
    last_news_ns_ = clock_.now_ns();
    const bool is_taken = !found->bytes.empty() && take(*found);
    --num_coming_;
    if (!is_taken) {
      give_up();
      break;
    }
  }
  ledger_.release(table_);
  if (!is_fetching_) return;
  ask_more();
  is_fetching_ = num_coming_ > 0;
  const double silent_s = static_cast<double>(clock_.now_ns() - last_news_ns_) * 1e-9;
  if (is_fetching_ && silent_s > kPatience_s) give_up();
}

// Into a free block, as whoever computes it would. False when there is none, or what it continues was forgotten.
bool BlockTraffic::take(const BlockStore::Found& found) {
  const uint32_t block_tokens = ledger_.block_tokens();
  const uint32_t index = num_asked_ - num_coming_;
  const size_t begin = size_t{index} * block_tokens;
  const SequenceKeys keys{extra_, {}};
  if (table_.empty()) ledger_.match(std::span(tokens_).first(begin + 1), keys, table_);
  if (table_.size() != index) return false;
  if (!ledger_.grow(table_, static_cast<uint32_t>(begin + found.tokens.size()))) return false;
  follow();
  executor_.load_block(table_.back(), found.bytes);
  if (found.tokens.size() == block_tokens) {
    ledger_.remember(std::span(tokens_).first(begin + block_tokens), keys, table_);
  } else {
    tokens_.resize(begin);  // the last of this fetch
    tokens_.insert(tokens_.end(), found.tokens.begin(), found.tokens.end());
    ledger_.release_with_tail(tokens_, keys, table_);
  }
  follow();
  return true;
}

void BlockTraffic::give_up() {
  num_stale_ += num_coming_;
  num_coming_ = 0;
  is_fetching_ = false;
}

void BlockTraffic::forget_all() {
  follow();  // what was evicted before this goes out before the store forgets it
  ledger_.forget_all();
  follow();
  if (store_ == nullptr) return;
  store_->clear();
  give_up();
}

void BlockTraffic::save_all(double timeout_s) {
  if (store_ == nullptr) return;
  follow();
  const double begin_s = clock_.now_s();
  uint64_t num_saved = 0;
  BlockStore::Use use = BlockStore::Use::kNow;
  for (const CacheChange& block : ledger_.idle_blocks()) {
    bool is_saved = save(block, use);
    while (!is_saved && !store_->wait_to_write()) {
      if (clock_.now_s() - begin_s > timeout_s) {
        LOG_WARNING("the cache on the disk takes too long: {} blocks were kept, the rest is lost", num_saved);
        return;
      }
    }
    if (!is_saved) is_saved = save(block, use);  // there is room now; or it is not wanted
    if (!is_saved) continue;
    ++num_saved;
    use = BlockStore::Use::kBeforeLast;
  }
}

}  // namespace slipstream
