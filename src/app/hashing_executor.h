// An Executor around another that keeps a hash of each row's logits, found by what the row stands for: its token and
// all before it. Beside the K and V it has a slot for each of theirs, with the hash of the token chain that was
// computed into it, written, copied and read back through block tables as K and V are. So what a row stands for is
// what its blocks really hold, whoever shares them.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "model/executor.h"

namespace slipstream {

class HashingExecutor final : public Executor {
 public:
  // `inner` outlives it, has blocks of these sizes, and gives logits for every row of its largest step.
  HashingExecutor(Executor& inner, uint32_t num_blocks, uint32_t block_tokens);

  // From now on each row that stands for a beginning of `tokens` gives logits, also where nobody asks for them.
  void watch(std::span<const TokenId> tokens);
  // For each token the hash of the logits that follow it; absent: not computed, or without logits.
  std::vector<std::optional<uint64_t>> hashes_of(std::span<const TokenId> tokens) const;
  // Rows that stood for the same tokens as an earlier one and had other logits.
  uint64_t num_conflicts() const { return num_conflicts_; }

  Logits run(const StepInput& input) override;
  uint32_t vocab_size() const override { return inner_.vocab_size(); }
  uint32_t max_rows() const override { return inner_.max_rows(); }
  uint32_t max_slices() const override { return inner_.max_slices(); }
  uint32_t max_logit_rows() const override { return inner_.max_logit_rows(); }
  // The inner one's, and the block's slots.
  size_t block_bytes() const override { return inner_.block_bytes() + block_tokens_ * sizeof(uint64_t); }
  void save_block(BlockId block, std::span<std::byte> into) const override;
  void load_block(BlockId block, std::span<const std::byte> from) override;

 private:
  void copy_chains(const StepInput& input);
  void write_chains(const StepInput& input, const StepSlice& slice);
  void keep(uint64_t chain, std::span<const float> logits);

  // Constant after construction.
  Executor& inner_;
  const uint32_t block_tokens_;

  std::vector<uint64_t> slots_;                       // [num_blocks][block_tokens]
  std::unordered_set<uint64_t> watched_;              // chains
  std::unordered_map<uint64_t, uint64_t> hashes_;     // chain -> hash of logits
  uint64_t num_conflicts_ = 0;

  // Of the current step.
  std::vector<uint64_t> chains_;   // [rows]
  std::vector<StepSlice> slices_;  // the step's, with as many logits as we want
};

}  // namespace slipstream
