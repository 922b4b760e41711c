// For tests: a store in memory that has every bad habit a disk may have.
#pragma once

#include <atomic>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/random.h"
#include "disk/block_store.h"

namespace slipstream {

struct StoreHabits {
  uint32_t refuses_one_in = 0;   // of writes and asks, at random; 0: none
  uint32_t loses_one_in = 0;     // of blocks that are asked for
  uint32_t waits_until_found = 0;  // a block comes after so many waits or looks
  uint32_t hangs_after = ~0u;    // asks; none that is later comes
  uint32_t max_coming = 4;       // asked for and not come
  size_t max_blocks = ~size_t{0};
};

class MemoryStore final : public BlockStore {
 public:
  MemoryStore(uint32_t block_tokens, const StoreHabits& its_habits, uint64_t seed = 0)
      : habits(its_habits), block_tokens_(block_tokens), seed_(seed) {}

  const Secret& secret() const override { return secret_; }
  bool contains(const ChainKey& key) const override { return blocks_.contains(key); }

  std::span<std::byte> begin_write(const BlockName& name, size_t num_bytes, Use) override {
    if (is_full || happens(habits.refuses_one_in)) return {};
    begun_key_ = chain_key(secret_, name, block_tokens_);
    begun_ = {{name.tokens.begin(), name.tokens.end()}, std::vector<std::byte>(num_bytes), name.parent, name.extra};
    return begun_.bytes;
  }
  void end_write() override {
    ++counts_.writes;
    if (blocks_.size() < habits.max_blocks || blocks_.contains(begun_key_)) blocks_[begun_key_] = begun_;
  }
  void refresh(const ChainKey& key, Use) override {
    CHECK(contains(key), "a block is refreshed that is not there");
    ++num_refreshed;
  }

  bool ask(const BlockName& name, Use) override {
    const ChainKey key = chain_key(secret_, name, block_tokens_);
    if (asked_.size() >= habits.max_coming || !contains(key) || happens(habits.refuses_one_in)) return false;
    asked_.push_back({key, name.tokens.size() == block_tokens_, generation_, habits.waits_until_found});
    ++num_asked;
    return true;
  }
  std::optional<Found> next_found() override {
    if (asked_.empty() || num_asked - asked_.size() >= habits.hangs_after) return std::nullopt;
    Asked& first = asked_.front();
    if (first.num_waits > 0) return --first.num_waits, std::nullopt;
    const Asked asked = first;
    asked_.pop_front();
    const auto block = blocks_.find(asked.key);
    const bool is_there = asked.generation == generation_ && block != blocks_.end() && !happens(habits.loses_one_in);
    if (!is_there) return Found{{}, {}};
    ++counts_.hits;
    CHECK(asked.is_full == (block->second.tokens.size() == block_tokens_), "an end has the name of a whole block");
    found_ = block->second;
    return Found{found_.tokens, found_.bytes};
  }

  void wait() override {
    ++num_waits;
    if (clock_ns != nullptr) clock_ns->fetch_add(20'000'000);
  }
  bool wait_to_write() override {
    wait();
    return !is_full;
  }
  void clear() override {
    ++generation_;
    blocks_.clear();
  }
  DiskCounts counts() const override {
    DiskCounts counts = counts_;
    counts.blocks = blocks_.size();
    return counts;
  }

  // Another process opens it: what it holds is there, what was asked for is not.
  void restart() { asked_.clear(); }

  struct Block {
    std::vector<TokenId> tokens;
    std::vector<std::byte> bytes;
    ChainKey parent;
    std::array<uint64_t, 2> extra{};
  };
  const std::unordered_map<ChainKey, Block>& blocks() const { return blocks_; }

  StoreHabits habits;
  bool is_full = false;  // no room to write, whoever waits for it
  std::atomic<uint64_t>* clock_ns = nullptr;  // moved on by each wait
  uint64_t num_asked = 0;
  uint64_t num_waits = 0;
  uint64_t num_refreshed = 0;

 private:
  struct Asked {
    ChainKey key;
    bool is_full = false;
    uint64_t generation = 0;
    uint32_t num_waits = 0;
  };
  bool happens(uint32_t one_in) { return one_in > 0 && splitmix64(seed_, num_throws_++) % one_in == 0; }

  const uint32_t block_tokens_;
  const uint64_t seed_;
  const Secret secret_{std::byte{1}};
  uint64_t num_throws_ = 0;
  uint64_t generation_ = 0;
  std::unordered_map<ChainKey, Block> blocks_;
  std::deque<Asked> asked_;
  Block found_;
  ChainKey begun_key_;
  Block begun_;
  DiskCounts counts_;
};

}  // namespace slipstream
