// The engine: one thread, one loop, all sequences. step() is the whole story (ARCHITECTURE.md).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "base/resume_queue.h"
#include "base/result.h"
#include "base/thread_pool.h"
#include "engine/request.h"
#include "engine/text_stream.h"
#include "model/executor.h"
#include "text/token_table.h"

namespace slipstream {

struct EngineOptions {
  uint32_t num_blocks = 0;               // of the KV pool
  uint32_t block_tokens = 64;
  uint32_t max_model_len = 0;            // longest sequence in tokens; fits in the pool
  uint32_t max_num_seqs = 1;             // 1 = simple mode: the others wait in turn
  uint32_t max_num_batched_tokens = 2048;
  double max_step_ms = 200;              // prompts are cut so that a step takes about this long; <= 0: by tokens only
  bool prefix_cache = true;
  uint64_t cache_seed = 0;  // drawn at start by who serves strangers: nobody can then make the cache's hashes collide
  uint32_t stream_interval = 1;          // text goes out at the first token, then every so many, and at the end
  std::vector<TokenId> eos_tokens = {};
  uint32_t max_waiting_requests = 4096;  // beyond it submit() says kOverloaded
  uint64_t max_waiting_tokens = 64u << 20;
};

// Numbers of this moment, for /health, the facts line and tests. Any thread.
struct EngineStats {
  uint64_t num_steps = 0;
  uint32_t num_running = 0;
  uint32_t num_waiting = 0;
  uint32_t blocks_in_use = 0;            // referenced
  uint32_t blocks_total = 0;
  uint32_t blocks_remembered = 0;        // referenced or free
  uint64_t num_preemptions = 0;
  uint64_t num_ended = 0;                // answers that reached their end
  uint64_t num_failed = 0;               // ended by a result that was not finite
  uint64_t num_cancelled = 0;
  uint64_t num_rows = 0;                 // tokens computed
  uint64_t num_sampled = 0;
  uint64_t num_cached_tokens = 0;        // prompt tokens that were not computed because the cache had them
  uint64_t num_blocks_stored = 0;        // remembered, and forgotten, so far
  uint64_t num_blocks_removed = 0;
  double last_step_ms = 0;
  uint64_t last_step_ns = 0;             // Clock time at the end of the last step
  bool draining = false;
};

class Engine {
 public:
  // executor, pool, table outlive it. table may be null (no text: tests of tokens alone).
  Engine(const EngineOptions& options, Executor& executor, ThreadPool& pool, const TokenTable* table, Clock clock);
  ~Engine();

  // Any thread. Checks that the request can ever run and takes all memory it will need; refuses in words: a prompt
  // beyond max_model_len (code context_length_exceeded), a token outside the vocabulary, kOverloaded when the queue is
  // full, kUnavailable while draining.
  // `reader`: where the stream's reader is resumed; outlives the stream. Null for readers that only try_next().
  Result<TextStream> submit(Request request, ResumeQueue* reader);

  // Engine thread. One step; false when there was nothing to do. At log level debug it says one line about itself:
  // step 1042  rows 268 = 12 seqs + 256 prompt  kv 310/2048  wait 3  37.9 ms  out 12
  bool step();
  // Engine thread. Steps until stop(); sleeps when there is nothing to do.
  void run();

  // Any thread. New requests are refused from now on (kUnavailable).
  void drain();
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
