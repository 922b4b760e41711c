// For the scheduler's tests: a scheduler with its ledger, in blocks of four tokens, and steps without a model.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "engine/scheduler.h"

namespace slipstream {

inline constexpr uint32_t kBlockTokens = 4;
inline constexpr TokenId kSeven[] = {7};

struct Room {
  Room(uint32_t num_blocks, const SchedulerOptions& options, bool prefix_cache = true)
      : ledger({.num_blocks = num_blocks, .block_tokens = kBlockTokens, .prefix_cache = prefix_cache, .hash_seed = 1}),
        scheduler(options, ledger) {}

  // A sequence of `first`, `first` + 1, ... num_prompt_tokens of them, with room for as many again.
  Sequence& add(TokenId first, uint32_t num_prompt_tokens, uint32_t client = 0) {
    SequenceList one;
    OutputRules rules;
    rules.max_tokens = num_prompt_tokens;
    Sequence& sequence = one.emplace_back(Output(nullptr, rules), std::make_shared<StreamState>());
    for (uint32_t i = 0; i < num_prompt_tokens; ++i) sequence.tokens.push_back(first + i);
    sequence.num_prompt_tokens = num_prompt_tokens;
    sequence.client = client;
    scheduler.add(one);
    return sequence;
  }

  // One step in which everyone who reached the end of their tokens samples token 7.
  const StepPlan& step(uint32_t max_rows) {
    const StepPlan& plan = scheduler.plan(max_rows);
    std::vector<Sample> samples;
    for (const PlannedSlice& slice : plan.slices()) {
      Sample sample;
      if (slice.num_rows == slice.sequence->pending()) sample.tokens = kSeven;
      samples.push_back(sample);
    }
    rows.clear();
    for (const PlannedSlice& slice : plan.slices()) rows.push_back(slice.num_rows);
    scheduler.commit(plan, samples);
    const std::string fault = scheduler.check();
    CHECK(fault.empty(), "{}", fault);
    return plan;
  }

  KvLedger ledger;
  Scheduler scheduler;
  std::vector<uint32_t> rows;  // of the last step's slices
};

inline SchedulerOptions options(uint32_t max_num_seqs) {
  return {.max_num_seqs = max_num_seqs, .max_rows = 100, .max_model_len = 40};
}
using Rows = std::vector<uint32_t>;

}  // namespace slipstream
