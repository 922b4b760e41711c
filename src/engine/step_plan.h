// The batch of one step: which sequences, how many tokens of each, flattened to the arrays the model reads. And what
// came of it. Memory for the largest step is taken once.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/sequence.h"
#include "engine/text_stream.h"
#include "model/step_input.h"

namespace slipstream {

struct PlannedSlice {
  Sequence* sequence = nullptr;
  uint32_t num_rows = 0;    // its next pending tokens; their blocks are in its table
  uint32_t num_logits = 0;  // of the last so many rows
  std::span<TokenId> drafts;  // guesses of what comes after its end: rows too, in slots it has, and all with logits
};

// What came of a slice.
struct Sample {
  bool finite = true;
  // Where the slice reached its sequence's end: the next token, and one more for each draft that it and those before it
  // were equal to.
  std::span<const TokenId> tokens;
  std::optional<FinishReason> finish;  // the last of them is the answer's last, and why
};

struct StepLimits {
  uint32_t max_rows = 0;
  uint32_t max_slices = 0;
  uint32_t max_blocks_per_slice = 0;
};

class StepPlan {
 public:
  explicit StepPlan(const StepLimits& limits);

  void clear();
  // The next num_rows pending tokens of a sequence whose table holds them, and logits of the last num_logits.
  void add(Sequence& sequence, uint32_t num_rows, uint32_t num_logits);
  // So many drafts for a slice that has none and reaches its sequence's end: to be written there.
  std::span<TokenId> add_drafts(uint32_t slice, uint32_t num_drafts);
  // Done before anything is computed, in the order in which they are added; at most one for each slice.
  void add_copy(const BlockCopy& copy);

  // After all of these: makes the arrays of input().
  void lay_out();

  bool empty() const { return slices_.empty(); }
  uint32_t num_rows() const { return num_rows_; }  // drafts included
  uint32_t num_drafts() const { return static_cast<uint32_t>(drafts_.size()); }
  std::span<const PlannedSlice> slices() const { return slices_; }
  // Valid until the next clear().
  StepInput input() const;

 private:
  uint32_t num_rows_ = 0;
  std::vector<TokenId> drafts_;
  std::vector<PlannedSlice> slices_;
  std::vector<StepSlice> step_slices_;
  std::vector<TokenId> tokens_;
  std::vector<BlockId> block_tables_;
  std::vector<BlockCopy> copies_;
};

}  // namespace slipstream
