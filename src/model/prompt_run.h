// Logits of every token of some prompts, for those who study a model: `slipstream logits`, perplexity, tests. The
// prompts may be cut into chunks and computed together; by the promise of the house none of it changes a bit.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/ids.h"
#include "base/matrix.h"
#include "model/cpu_executor.h"

namespace slipstream {

using Prompts = std::vector<std::vector<TokenId>>;

struct PromptRunOptions {
  uint32_t block_tokens = 64;        // as the executor's
  uint32_t chunk_tokens = 0;         // a prompt gives a step at most so many; 0: as many as fit
  bool together = false;             // all prompts in each step, as far as they fit; else one after the other
  std::vector<BlockId> block_order;  // blocks are handed out in this order; empty: 0, 1, 2 ...
};

// Rows of one prompt that a step has computed.
struct PromptRows {
  uint32_t prompt = 0;
  uint32_t first_token = 0;
  Matrix<const float> logits;  // [tokens, vocab_size]; row i is what follows token first_token + i
  bool finite = true;
};

// Blocks of KV that a run needs.
uint32_t prompt_run_blocks(const Prompts& prompts, const PromptRunOptions& options);

class PromptRun {
 public:
  // Both outlive it. No prompt is empty.
  PromptRun(CpuExecutor& executor, const Prompts& prompts, const PromptRunOptions& options);

  // Computes the next step and gives its rows, valid until the next call; empty when all prompts are done.
  std::span<const PromptRows> step();

 private:
  void add_slice(uint32_t prompt, uint32_t num_tokens);

  // Constant after construction.
  CpuExecutor& executor_;
  const Prompts& prompts_;
  const PromptRunOptions options_;
  std::vector<BlockId> block_tables_;   // all prompts' tables, one after the other
  std::vector<uint32_t> table_begins_;  // [prompts]

  std::vector<uint32_t> num_computed_;  // [prompts]
  // Of the current step.
  std::vector<TokenId> tokens_;
  std::vector<StepSlice> slices_;
  std::vector<PromptRows> rows_;
};

}  // namespace slipstream
