// The engine: one thread, one loop, all sequences. step() is the whole story (ARCHITECTURE.md).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/resume_queue.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "disk/block_store.h"
#include "engine/draft_budget.h"
#include "engine/engine_stats.h"
#include "engine/request.h"
#include "engine/text_stream.h"
#include "model/executor.h"
#include "text/token_table.h"

namespace slipstream {

// Less than most requests cost, so that a turn is about one request, and a crowd of tiny ones gets no more of a round
// than a lone one waits for. A longest prompt takes some hundred turns, a few instructions each.
inline constexpr uint32_t kTurnTokens = 64;
// How long an answer will be is not known before it is written. What a chat's answer takes, about; less where
// max_tokens is less.
inline constexpr uint32_t kExpectedAnswerTokens = 256;

struct EngineOptions {
  uint32_t num_blocks = 0;               // of the KV pool
  uint32_t block_tokens = 64;
  uint32_t max_model_len = 0;            // longest sequence in tokens; fits in the pool
  uint32_t max_num_seqs = 1;             // 1 = simple mode: the others wait in turn
  uint32_t max_num_batched_tokens = 2048;
  double max_step_ms = 200;              // prompts are cut so that a step takes about this long; <= 0: by tokens only
  bool prefix_cache = true;
  std::optional<uint32_t> max_cache_entries = {};  // leaves of the tree of blocks; unset: what fits
  uint64_t cache_seed = 0;  // drawn at start by who serves strangers: nobody can then make the cache's hashes collide
  uint32_t stream_interval = 1;          // text goes out at the first token, then every so many, and at the end
  std::vector<TokenId> eos_tokens = {};
  uint32_t num_clients = 1;              // Request::client is below it
  uint32_t turn_tokens = kTurnTokens;    // of each client's line in turn, where several wait (WaitingQueue)
  uint32_t max_waiting_requests = 4096;  // beyond them submit() says kOverloaded (QueueBounds)
  uint64_t max_waiting_tokens = 16u << 20;  // of four bytes each
  uint32_t max_drafts = 0;               // tokens that are guessed at a time and verified in one step; 0: none
  double draft_allowance = kDraftAllowance;  // of each request's time may be lost to them (DraftBudget)
  double save_timeout_s = 30;            // run() takes at its end, to put what is cached into the store
  uint64_t max_prompt_logprobs = 1u << 20;  // of all requests in work: 1 + top_logprobs for each prompt token
};

class Engine {
 public:
  // executor, pool, table, store outlive it. table may be null (no text: tests of tokens alone). store: where blocks go
  // that memory has no room for, and come back from, also after another process; null: nowhere.
  Engine(const EngineOptions& options, Executor& executor, ThreadPool& pool, const TokenTable* table, Clock clock,
         BlockStore* store = nullptr);
  ~Engine();

  // Any thread. Checks that the request can ever run and takes all memory it will need; refuses in words: a prompt
  // beyond max_model_len (code context_length_exceeded), a token outside the vocabulary, kOverloaded when the queue is
  // full (or the client's share of it) or too many prompts are to be scored, kUnavailable while draining.
  // `reader`: where the stream's reader is resumed; outlives the stream. Null for readers that only try_next().
  Result<TextStream> submit(Request request, ResumeQueue* reader);

  // Engine thread. One step; false when there was nothing to do. At log level debug it says one line about itself:
  // step 1042  rows 268 = 12 seqs + 256 prompt  kv 310/2048  wait 3  37.9 ms  out 12
  bool step();
  // Engine thread. Steps until stop(); sleeps when there is nothing to do. At its end what is cached goes to the store.
  void run();

  // Any thread. New requests are refused from now on (kUnavailable).
  void drain();
  // Any thread. Before its next step the engine forgets what is cached, in the store too, but for what running
  // sequences hold.
  void clear_cache();
  // Any thread. True when nothing runs or waits.
  bool idle() const;
  // Any thread. run() returns after the current step; answers that have not ended get kError (kUnavailable), and new
  // requests are refused: when run() has returned, nobody waits for this engine.
  void stop();

  EngineStats stats() const;
  std::string describe() const;  // a table of all sequences; engine thread (CHECK dump, SIGUSR1)

  // For tests, between steps, engine thread. The first invariant that does not hold, empty when all do; and the blocks
  // whose content nobody may read any more.
  std::string check() const;
  std::vector<BlockId> blank_blocks() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slipstream
