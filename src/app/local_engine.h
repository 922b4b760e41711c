// An engine for the commands that check and measure: prompts and answers are tokens, drawn greedily, and whoever calls
// is the engine thread. No server, no text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "app/model_files.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "engine/engine.h"
#include "model/cpu_executor.h"

namespace slipstream {

// What has come of one request so far.
struct LocalAnswer {
  uint32_t num_prompt_tokens = 0;
  uint32_t cached_tokens = 0;    // of the prompt, once there is a token
  Reuse reuse = {};              // why not more
  double first_token_s = 0;      // from ask() to the end of the step that drew it
  double whole_s = 0;            // to that of the last, once it has ended
  std::vector<TokenId> tokens;
  bool ended = false;

  uint32_t num_tokens() const { return num_prompt_tokens + static_cast<uint32_t>(tokens.size()); }
};

class LocalEngine {
 public:
  // All outlive it. store: null, or where blocks go that memory has no room for.
  LocalEngine(const EngineOptions& options, Executor& executor, ThreadPool& pool, BlockStore* store = nullptr);

  // The request's index in answers(). It gets max_tokens >= 1 tokens: nothing ends it before.
  Result<size_t> ask(std::vector<TokenId> prompt, uint32_t max_tokens);
  // The same of a request that says all.
  Result<size_t> ask(Request request);
  // One step, and what came of it. Error: an answer failed, or requests wait and none can run.
  Status step();
  Status step_until_first_token(size_t request);
  Status step_until_all_ended();
  // As at a server's end: nothing can be asked after it, and what is cached is in the store.
  void end();

  std::span<const LocalAnswer> answers() const { return answers_; }
  bool all_ended() const;
  EngineStats stats() const { return engine_.stats(); }

 private:
  const Clock clock_ = Clock::real();
  Engine engine_;
  std::vector<TextStream> streams_;   // [requests]
  std::vector<double> asked_s_;       // [requests]
  std::vector<LocalAnswer> answers_;  // [requests]
};

// An executor with the room that an engine of these options needs; `options` says the rest.
Result<std::unique_ptr<CpuExecutor>> make_executor(const OpenedModel& model, const EngineOptions& engine_options,
                                                   CpuExecutorOptions options, ThreadPool& pool);

// Made-up tokens below vocab_size, others for another seed.
std::vector<TokenId> made_up_tokens(uint64_t seed, size_t num_tokens, uint32_t vocab_size);
// A prompt that begins like all others of this shared_seed.
std::vector<TokenId> made_up_prompt(uint64_t shared_seed, size_t num_shared, uint64_t own_seed, size_t num_own,
                                    uint32_t vocab_size);

}  // namespace slipstream
