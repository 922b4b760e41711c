// What memory goes to what: whether a model fits at all, how many KV blocks there are and how long a sequence may be.
// Worked out before the weights are read, once more when they are in, printed, never changed (P4).
//
//   available = weights, as packed | workspace of the executor | KV pool (a part of the rest) | what is left free
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"

namespace slipstream {

struct CapacityInput {
  uint64_t available_bytes = 0;               // available_memory_bytes() now
  uint64_t weights_bytes = 0;                 // that will be taken of it, as packed; 0 when they are in
  uint64_t workspace_bytes = 0;               // that will be taken of it: executor_workspace_bytes()
  uint64_t block_bytes = 0;                   // kv_block_bytes(): K and V of one block, all layers
  uint32_t block_tokens = 64;
  uint32_t model_max_len = 0;                 // max_position_embeddings: the longest sequence the model was made for
  std::optional<uint64_t> cache_memory_mb;    // --cache-memory-mb; goes before the percentage
  double cache_memory_percent = 0.20;         // --cache-memory-percent: fraction of what those two leave, (0, 1]
  std::optional<uint32_t> max_model_len;      // --max-model-len, where the user gave it
};

struct Capacity {
  uint32_t num_blocks = 0;
  uint32_t max_model_len = 0;   // in tokens, prompt and answer together; num_blocks * block_tokens >= max_model_len
  uint64_t pool_bytes = 0;      // num_blocks * block_bytes
  uint64_t ledger_bytes = 0;    // what the bookkeeping of these blocks takes
  bool shrunk = false;          // max_model_len is less than the model's own because of the pool
  std::string reason;           // one line for the log: where the numbers come from
};

// Blocks that hold num_tokens of one sequence.
uint64_t blocks_for(uint64_t num_tokens, uint32_t block_tokens);
// K, V and the ledger's part of one block.
uint64_t bytes_of_block(uint64_t block_bytes, uint32_t block_tokens);
// The tokens that each of num_sequences may have at once, all equally many, whole blocks each; at most model_max_len.
uint32_t longest_context(uint64_t pool_bytes, const CapacityInput& input, uint32_t num_sequences);
// The pool that num_sequences of num_tokens each need.
uint64_t pool_bytes_for(const CapacityInput& input, uint32_t num_sequences, uint32_t num_tokens);

// Error: weights, workspace and the least pool (one block, or the max_model_len the user gave) are more than is
// available; the message has each number and what to change.
Status check_fits(const CapacityInput& input);

// Error: as check_fits(); or (kInvalid, param = the option to change) the pool is more than is available, cannot hold
// one block, or cannot hold the max_model_len the user gave; a max_model_len beyond the model's own. The message names
// the numbers.
Result<Capacity> plan_capacity(const CapacityInput& input);

}  // namespace slipstream
