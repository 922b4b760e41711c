// Blocks between memory and a store (disk/block_store.h). What is forgotten for want of room goes out before anything
// is written over it; what the next request could use comes in before the request is admitted.
//
//   take_arrivals()      what has come is remembered, as if somebody had just computed it
//   plan()               is_worth_waiting(): asks the store for the blocks of whoever is next
//   follow()             what the plan forgot goes out
//   executor.run()       writes over it
//
// One fetch at a time: the blocks of one sequence's prompt, from where memory ends, one after the other as far as the
// store has them, and at last the end of a sequence that goes on with the next token. They belong to nobody: like all
// remembered blocks they may be forgotten again, before whoever waited for them is admitted. Each sequence is fetched
// for at most once and waits for nothing but that, and for the fetches before it; a fetch that hears nothing for
// kPatience_s is given up, and nothing is asked for until what it had asked for has come. So a store that loses or
// tarries costs time, one that hangs costs it once, and nobody waits for ever.
//
// Engine thread. Allocates nothing after construction, but for save_all().
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/clock.h"
#include "cache/kv_ledger.h"
#include "disk/block_store.h"
#include "engine/sequence.h"
#include "model/executor.h"

namespace slipstream {

inline constexpr double kPatience_s = 2;

class BlockTraffic {
 public:
  // store: null where there is none; then nothing goes out, nothing comes in. All outlive it.
  BlockTraffic(KvLedger& ledger, Executor& executor, BlockStore* store, Clock clock, uint32_t max_model_len);

  // Between two steps: blocks that have come are remembered.
  void take_arrivals();
  // Of a sequence that was never admitted, with what the ledger just matched of it in its table: is more of it coming,
  // or does the store have more, so that it should not be admitted yet?
  bool is_worth_waiting(Sequence& sequence, const Match& match);
  // After each plan, and wherever blocks were taken: reads the ledger's changes, and clears them.
  void follow();

  // Something was asked for and may still come.
  bool is_waiting() const { return is_fetching_; }
  // Returns when something has come, or after a while.
  void wait() { store_->wait(); }

  // Forgets everything that no table holds, in memory and in the store.
  void forget_all();
  // Puts what is remembered and held by nobody into the store, what would be missed most first, for at most so long.
  void save_all(double timeout_s);

  // Any thread.
  DiskCounts counts() const { return store_ == nullptr ? DiskCounts{} : store_->counts(); }

 private:
  ChainKey name_of(BlockId block) const { return block == kRoot ? kChainRoot : names_[block]; }
  // Of the parent of the block that comes next in the table.
  ChainKey next_parent(const BlockTable& table) const { return name_of(table.empty() ? kRoot : table.back()); }
  BlockName name_of(const CacheChange& block) const;
  struct Kept {
    BlockName name;
    ChainKey key;
  };
  std::optional<Kept> find(const ChainKey& parent, const ExtraKey& extra, std::span<const TokenId> rest) const;
  bool save(const CacheChange& block, BlockStore::Use use);
  bool begin_fetch(Sequence& sequence);
  void ask_more();
  bool take(const BlockStore::Found& found);
  void give_up();

  KvLedger& ledger_;
  Executor& executor_;
  BlockStore* const store_;
  const Clock clock_;

  std::vector<ChainKey> names_;  // [num_blocks], of remembered blocks
  uint32_t num_stale_ = 0;       // were asked for by a fetch that was given up, and have not come

  // The fetch.
  bool is_fetching_ = false;
  uint64_t number_ = 0;          // of the sequence it is for
  std::vector<TokenId> tokens_;  // its prompt
  ExtraKey extra_;
  ChainKey next_parent_;         // of the block to ask for next
  uint32_t num_asked_ = 0;       // blocks of `tokens_` that are here or asked for
  uint32_t num_coming_ = 0;      // of those: asked for and not come
  bool has_asked_all_ = false;
  uint64_t last_news_ns_ = 0;
  BlockTable table_;             // of the prompt, while arrivals are taken
};

}  // namespace slipstream
