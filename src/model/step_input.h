// What one step computes, as plain values and spans: it could be written to a file and run tomorrow.
//
// Rows are the tokens computed in this step, slice after slice. A slice is consecutive tokens of one sequence: a
// prompt, a chunk of it, one new token -- there is no difference. Each slice's block table covers its positions up to
// its last row.
#pragma once

#include <cstdint>
#include <span>

#include "base/ids.h"
#include "base/matrix.h"

namespace slipstream {

struct StepSlice {
  uint32_t first_row = 0;
  uint32_t num_rows = 0;        // >= 1
  uint32_t first_position = 0;  // position of its first row in the sequence
  uint32_t first_block = 0;     // index of its block table's first entry in StepInput::block_tables
  uint32_t num_blocks = 0;      // >= ceil((first_position + num_rows) / block_tokens)
  uint32_t num_logits = 0;      // of its last so many rows the logits are wanted
};

// Before anything is computed, slots [0, num_tokens) of block `from` are copied to block `to`, in every layer.
struct BlockCopy {
  BlockId from = 0;
  BlockId to = 0;
  uint32_t num_tokens = 0;
};

struct StepInput {
  std::span<const TokenId> tokens;        // [rows]
  std::span<const StepSlice> slices;      // in order of rows
  std::span<const BlockId> block_tables;  // the slices' tables, one after the other
  std::span<const BlockCopy> copies;
};

// What comes up. Valid until the next run().
struct Logits {
  Matrix<float> rows;                     // [sum of num_logits, vocab_size], in order of rows; may be changed
  std::span<const uint8_t> slice_finite;  // [slices]; 0: some row of the slice was not finite, its logits mean nothing
};

}  // namespace slipstream
