// An Executor without a model: each KV slot holds a hash of the chain of tokens up to its own, and logits are a hash
// of all the slots that the sequence's block table leads to. Any slip in bookkeeping (a wrong block, a block given
// away too early, a position off by one, a missing copy) changes what is read and so the text.
//
// Reads come before writes: a step sees only what the steps before it wrote, whichever order a real model computes in.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/ids.h"
#include "model/executor.h"
#include "text/token_table.h"

namespace slipstream {

struct EchoOptions {
  uint32_t vocab_size = 32;
  uint32_t num_blocks = 0;
  uint32_t block_tokens = 64;
  uint32_t max_rows = 2048;
  uint32_t max_slices = 256;
  uint32_t max_scored_rows = 16;              // rows of logits beyond one for each slice
  uint32_t max_context = 1u << 30;            // longest sequence
  std::atomic<uint64_t>* clock_ns = nullptr;  // moved on by each run, for engines with a manual clock
  uint64_t ns_per_step = 0;
  uint64_t ns_per_row = 0;
  uint32_t period = 0;                        // of EchoModel
};

// The model itself, without blocks: what the EchoExecutor must come to.
class EchoModel {
 public:
  // period: 0, or after most tokens t it wants (t + 1) % period, so that it repeats itself.
  explicit EchoModel(uint32_t vocab_size, uint32_t period = 0) : logits_(vocab_size), echo_period_(period) {}
  void put(TokenId token);                  // the next token of the sequence
  std::span<const float> logits();          // after the tokens put so far
  static uint64_t chain(uint64_t before, TokenId token, uint32_t position);
  static uint64_t digest(uint64_t before, uint64_t slot);
  static void write_logits(uint64_t digest, TokenId token, uint32_t period, std::span<float> logits);
  static constexpr uint64_t kStart = 0x510e527fade682d1u;  // the chain before the first token

 private:
  uint64_t chain_ = kStart;
  uint64_t digest_ = kStart;
  uint32_t position_ = 0;
  TokenId token_ = 0;  // the last
  std::vector<float> logits_;
  const uint32_t echo_period_;
};

class EchoExecutor final : public Executor {
 public:
  explicit EchoExecutor(const EchoOptions& options);

  Logits run(const StepInput& input) override;
  uint32_t vocab_size() const override { return options_.vocab_size; }
  uint32_t max_rows() const override { return options_.max_rows; }
  uint32_t max_slices() const override { return options_.max_slices; }
  uint32_t max_logit_rows() const override { return options_.max_slices + options_.max_scored_rows; }
  size_t block_bytes() const override { return options_.block_tokens * sizeof(uint64_t); }
  void save_block(BlockId block, std::span<std::byte> into) const override;
  void load_block(BlockId block, std::span<const std::byte> from) override;

  // Overwrites blocks whose content nobody may read any more.
  void poison(std::span<const BlockId> blocks);
  // Slots read that were never written, or poisoned since.
  uint64_t num_bad_reads() const { return num_bad_reads_; }

  uint64_t num_copies() const { return num_copies_; }

  // The next run() finds a number that is not finite in this slice (modulo their number): what it writes is not finite
  // either.
  void fail_next(uint32_t slice) { failing_slice_ = slice; }

 private:
  static constexpr uint64_t kPoison = 0xdeaddeaddeaddeadu;
  static constexpr uint64_t kNotFinite = 0x7ff8000000000000u;

  uint64_t& slot(const StepInput& input, const StepSlice& slice, uint32_t position);
  void copy_blocks(const StepInput& input);
  // What a slice finds before this step's writes.
  struct Found {
    uint64_t chain = EchoModel::kStart;
    uint64_t digest = EchoModel::kStart;
    bool finite = true;
  };
  Found read(const StepInput& input, const StepSlice& slice);

  const EchoOptions options_;
  std::vector<uint64_t> slots_;         // [num_blocks][block_tokens]
  std::vector<Found> found_;            // [slices]
  std::vector<float> logits_;           // [max_logit_rows()][vocab_size]
  std::vector<uint8_t> slice_finite_;   // [slices]
  std::optional<uint32_t> failing_slice_;
  uint64_t num_bad_reads_ = 0;
  uint64_t num_copies_ = 0;
};

// A vocabulary for it: letters, words, pieces of UTF-8 characters; the last token is special (the end of a turn).
TokenTable echo_tokens(uint32_t vocab_size);

}  // namespace slipstream
