// Running a checkpoint's executor in every way that must not matter: on one line each, for golden and invariance tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "model/checkpoint.h"
#include "model/cpu_executor.h"
#include "model/prompt_run.h"

namespace slipstream {

// A checkpoint in memory.
struct LoadedModel {
  Checkpoint checkpoint;
  Weights weights;

  const ModelConfig& config() const { return checkpoint.config; }
};
// Loads with `pool`; a checkpoint that cannot be read is an error in words.
Result<LoadedModel> load_model(const std::string& path, ThreadPool& pool);

// How a run is made. None of it may change a bit, but `activations`.
struct RunSetting {
  Isa isa = best_isa();
  ActivationMode activations = ActivationMode::kInt16;
  uint32_t chunk_tokens = 0;  // 0: whole
  bool together = false;
  uint32_t block_tokens = 64;
  uint64_t shuffle_seed = 0;  // of the block tables; 0: in order

  std::string text() const;  // for messages: "avx2 int16 chunk 17 together block 64 shuffled 1"
};

// An executor that just fits these prompts, and what it works for. Pool and model outlive it.
struct RunningPrompts {
  std::unique_ptr<CpuExecutor> executor;
  PromptRunOptions options;
};
RunningPrompts make_run(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts, const RunSetting& setting);

// All logits: [prompt][token * vocab_size + id].
std::vector<std::vector<float>> all_logits(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts,
                                           const RunSetting& setting);

// The largest logit's token, the lowest id among equals, again and again: num_tokens[p] of them for prompt p. Whole
// prompts, all in one batch; a prompt that is done leaves it.
std::vector<std::vector<TokenId>> greedy_tokens(const LoadedModel& model, ThreadPool& pool, const Prompts& prompts,
                                                const std::vector<uint32_t>& num_tokens, const RunSetting& setting);

}  // namespace slipstream
