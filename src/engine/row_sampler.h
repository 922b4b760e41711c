// From a step's logits to tokens: each row is worked on by one thread, its sequence's rules first, then the draw; and
// what the request wants to know of the model's opinion, from the raw logits. A row before a prompt's end is followed
// by a token that is known: it gives that token's logprobs alone.
//
// Engine thread. All memory is taken at construction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "engine/step_plan.h"
#include "model/executor.h"
#include "sample/logprobs.h"

namespace slipstream {

// What came of a row of logits.
struct SampledRow {
  uint32_t slice = 0;                      // of the plan
  uint32_t row = 0;                        // of the logits
  uint32_t position = 0;                   // of the token that follows
  bool is_known = false;                   // it stands in the sequence already; else it was drawn
  TokenId token = 0;
  std::span<const TokenLogprob> logprobs;  // Output::num_logprobs() of the token; valid until the next run()
};

class RowSampler {
 public:
  // Both outlive it.
  RowSampler(const Executor& executor, ThreadPool& pool);

  // Rows in order; none of a slice that is not finite. The logits are changed. Valid until the next run().
  std::span<const SampledRow> run(const StepPlan& plan, const Logits& logits);

 private:
  void find_rows(const StepPlan& plan, const Logits& logits);
  void work_on(SampledRow& row, const Sequence& sequence, std::span<float> logits, uint32_t thread);

  // One thread's scratch memory is made of these: aligned, and on cache lines of its own.
  struct alignas(64) CacheLine {
    std::byte bytes[64];
  };

  // Constant after construction.
  ThreadPool& pool_;
  const uint32_t vocab_size_;
  const size_t scratch_lines_;

  std::vector<SampledRow> rows_;
  std::vector<TokenLogprob> logprobs_;  // [rows of logits][1 + kMaxTopLogprobs]
  std::vector<CacheLine> scratch_;      // [num_threads][scratch_lines_]
  std::vector<float> raw_;              // [num_threads][vocab_size_]: logits as the model gave them
};

}  // namespace slipstream
