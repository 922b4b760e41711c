// From a step's logits to tokens: each row is worked on by one thread, its sequence's rules first, then the draw; and
// what the request wants to know of the model's opinion, from the raw logits. A row before a prompt's end is followed
// by a token that is known: it gives that token's logprobs alone. The row of a draft is followed by what its sequence
// says next only if the draft is what was drawn before it: so such rows are drawn one after the other, as they would be
// in steps of their own, up to the first of which that is not so.
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
  bool is_drawn = false;
  TokenId token = 0;
  std::span<const TokenLogprob> logprobs;  // Output::num_logprobs() of the token; valid until the next run()
};

class RowSampler {
 public:
  // Both outlive it.
  RowSampler(const Executor& executor, ThreadPool& pool);

  // Rows in order; none of a slice that is not finite, none of a draft that was wrong or came after one. What was drawn
  // is counted in its sequence. The logits are changed. Valid until the next run().
  std::span<const SampledRow> run(const StepPlan& plan, const Logits& logits);

 private:
  void find_rows(const StepPlan& plan, const Logits& logits);
  // Rows that one thread works on, in order: one, or one and those of its drafts.
  struct Run {
    uint32_t first = 0;
    uint32_t num_rows = 0;
  };
  void work_on(const Run& run, const PlannedSlice& slice, const Logits& logits, uint32_t thread);
  void draw(SampledRow& row, Sequence& sequence, std::span<float> logits, uint32_t num_before, uint32_t thread);
  void score(SampledRow& row, const Output& output, std::span<const float> logits);

  // One thread's scratch memory is made of these: aligned, and on cache lines of its own.
  struct alignas(64) CacheLine {
    std::byte bytes[64];
  };

  // Constant after construction.
  ThreadPool& pool_;
  const uint32_t vocab_size_;
  const size_t scratch_lines_;

  std::vector<SampledRow> rows_;
  std::vector<Run> runs_;               // of rows_
  std::vector<TokenLogprob> logprobs_;  // [rows of logits][1 + kMaxTopLogprobs]
  std::vector<CacheLine> scratch_;      // [num_threads][scratch_lines_]
  std::vector<float> raw_;              // [num_threads][vocab_size_]: logits as the model gave them
};

}  // namespace slipstream
