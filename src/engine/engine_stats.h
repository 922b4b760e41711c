// Numbers of this moment and since the start: for /health, /metrics, the facts line and tests. Counted by the engine
// thread in plain memory; after each step a copy is put where any thread can read it.
#pragma once

#include <cstdint>

#include "disk/block_store.h"
#include "engine/latency_histogram.h"

namespace slipstream {

// What became of the cache. Each request counts once, when it is first admitted; one whose prompt is scored takes
// nothing from the cache, and misses.
struct CacheCounts {
  uint64_t hits = 0;             // all tokens but the last were reused
  uint64_t prefix_hits = 0;      // some were
  uint64_t misses = 0;           // none was
  uint64_t evictions = 0;        // remembered blocks and tails that were forgotten for want of room, or of entries
  uint64_t tokens_reused = 0;    // by those hits
  uint64_t tokens_computed = 0;  // of prompts and answers, and again after preemption; no drafts that were wrong
  uint32_t entries = 0;          // leaves of the tree of blocks, now
};

struct EngineStats {
  uint64_t num_steps = 0;
  uint32_t num_running = 0;
  uint32_t num_waiting = 0;              // in the inbox too
  uint32_t num_sent_back = 0;            // of those: had been running
  uint32_t blocks_in_use = 0;            // referenced
  uint32_t blocks_total = 0;
  uint32_t block_tokens = 0;
  uint32_t blocks_remembered = 0;        // referenced or free
  uint64_t num_preemptions = 0;
  uint64_t num_passed_over = 0;          // times that a request waited for a block that another was just computing, or
                                         // that the store has
  uint64_t num_ended = 0;                // answers that reached their end: a stop, their length, or a failure
  uint64_t num_stopped = 0;              // by an end-of-turn token or a stop string
  uint64_t num_failed = 0;               // ended by a result that was not finite
  uint64_t num_cancelled = 0;
  uint64_t num_rows = 0;                 // tokens computed, drafts too
  uint64_t num_sampled = 0;
  uint64_t num_drafts = 0;               // times that an answer's next tokens were guessed and verified in one step
  uint64_t num_draft_tokens = 0;         // the guesses
  uint64_t num_accepted_tokens = 0;      // of them: were right, and are part of an answer
  uint64_t num_prompt_tokens = 0;        // of answers that have their first token
  uint64_t num_queried_tokens = 0;       // prompt tokens that were looked for in the cache
  uint64_t num_cached_tokens = 0;        // prompt tokens that were not computed because the cache had them
  CacheCounts cache;
  DiskCounts disk;                       // of the store at this moment; zero without one
  uint64_t num_blocks_stored = 0;        // remembered, and forgotten, so far
  uint64_t num_blocks_removed = 0;
  double last_step_ms = 0;
  uint64_t last_step_ns = 0;             // Clock time at the end of the last step
  bool draining = false;
  // One value an answer, or a token, that has been there; from Request::arrived_ns, or from the token before.
  LatencyHistogram queue_time{kRequestBounds};         // to the step that admits it
  LatencyHistogram time_to_first_token{kFirstTokenBounds};
  LatencyHistogram inter_token_latency{kNextTokenBounds};
  LatencyHistogram whole_answer{kRequestBounds};       // to its last token
};

}  // namespace slipstream
