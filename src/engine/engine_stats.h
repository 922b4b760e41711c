// Numbers of this moment and since the start: for /health, /metrics, the facts line and tests. Counted by the engine
// thread in plain memory; after each step a copy is put where any thread can read it.
#pragma once

#include <cstdint>

#include "engine/latency_histogram.h"

namespace slipstream {

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
  uint64_t num_ended = 0;                // answers that reached their end: a stop, their length, or a failure
  uint64_t num_stopped = 0;              // by an end-of-turn token or a stop string
  uint64_t num_failed = 0;               // ended by a result that was not finite
  uint64_t num_cancelled = 0;
  uint64_t num_rows = 0;                 // tokens computed
  uint64_t num_sampled = 0;
  uint64_t num_prompt_tokens = 0;        // of answers that have their first token
  uint64_t num_queried_tokens = 0;       // prompt tokens that were looked for in the cache
  uint64_t num_cached_tokens = 0;        // prompt tokens that were not computed because the cache had them
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
