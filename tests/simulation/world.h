// A world: an engine with a tiny pool and the requests that come to it, all drawn from one seed. And what must come of
// them: each request's answer is the one it would get alone.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/memory_store.h"
#include "echo_executor.h"

namespace slipstream {

struct WorldRequest {
  Request request;
  uint32_t submit_step = 0;
  std::optional<uint32_t> cancel_step;  // its reader goes away before this step
  uint32_t read_one_in = 1;             // its reader looks for news in one of so many steps
};

struct World {
  uint64_t seed = 0;
  EngineOptions options;
  std::vector<WorldRequest> requests;
  uint32_t fail_one_in = 0;             // one of so many steps has a number that is not finite; 0: none
  uint32_t clear_one_in = 0;            // the cache is cleared before one of so many steps; 0: never
  std::optional<StoreHabits> store;     // blocks go there and come back; and the world is lived through twice over it
  uint64_t ns_per_step = 0;             // what the executor's step takes
  uint64_t ns_per_row = 0;
  uint32_t echo_period = 0;             // EchoOptions::period
};

// The worlds that an executor can live in.
struct WorldShape {
  uint32_t vocab_size = 32;
  std::vector<TokenId> eos_tokens = {31};
  std::vector<uint32_t> block_sizes;    // tokens in a block: one of these
  uint32_t most_blocks_long = 12;        // longest sequence, in blocks
  uint32_t most_tokens_long = 120;      // and in tokens
  uint32_t most_requests = 20;
};
WorldShape echo_world_shape();

World make_world(uint64_t seed, const WorldShape& shape);

// Everything one reader got: the events of a stream, joined.
struct Answer {
  std::string text;
  uint32_t num_tokens = 0;
  std::optional<FinishReason> finish = std::nullopt;
  std::vector<TokenId> tokens = {};
  std::vector<TokenLogprob> logprobs = {};
  std::vector<uint64_t> text_begins = {};
  std::vector<TokenLogprob> prompt_logprobs = {};
  bool operator==(const Answer&) const = default;

  void add(const TextEvent& event);
  // This is how `whole` begins, as far as it got.
  bool begins(const Answer& whole) const;
};
std::string to_string(const Answer& answer);

// What the EchoModel answers: a plain loop without engine, blocks or batches (plain_answer.cc).
Answer echo_answer(const World& world, const Request& request, const TokenTable& table);

struct WorldResult {
  std::string fault;  // what went wrong; empty: nothing
  EngineStats stats;
  uint64_t num_by_finish[3] = {};  // answers by FinishReason
  uint64_t num_copies = 0;
  uint64_t num_lives = 1;
};

// Lives through it. `alone`: the answers, one per request. echo: the executor when it is one, for poison and failures.
// store: null, or the world's own; what is cached is in it at the end.
WorldResult run_world(const World& world, Executor& executor, EchoExecutor* echo, const TokenTable& table,
                      std::span<const Answer> alone, std::atomic<uint64_t>& clock_ns, MemoryStore* store = nullptr);

// Of many worlds: what happened in them, so that a test can show that it did.
struct WorldTotals {
  uint64_t num_worlds = 0;
  uint64_t num_steps = 0;
  uint64_t num_rows = 0;
  uint64_t num_preemptions = 0;
  uint64_t num_cached_tokens = 0;
  uint64_t num_hits = 0;
  uint64_t num_passed_over = 0;
  uint64_t num_copies = 0;
  uint64_t num_evictions = 0;
  uint64_t num_cancelled = 0;
  uint64_t num_failed = 0;
  uint64_t num_draft_tokens = 0;
  uint64_t num_accepted_tokens = 0;
  uint64_t num_stopped = 0;
  uint64_t num_at_length = 0;
  uint64_t num_blocks_removed = 0;
  uint64_t num_blocks_saved = 0;
  uint64_t num_blocks_loaded = 0;
  uint64_t num_second_lives = 0;
  void add(const WorldResult& result);
  std::string describe(double seconds) const;
};

// The whole of one echo world, from its seed.
WorldResult run_echo_world(uint64_t seed);

}  // namespace slipstream
