// One generation: its tokens, its blocks, how far it is computed. Where it stands (inbox, waiting, running, ended) is
// the list it is in; there is no phase: pending() tokens are known and not yet computed, and a step computes some of
// them.
//
//   tokens   0 ........... num_computed | ........... num_tokens
//            K and V are in the table's   pending: a prompt, a chunk of it, one
//            blocks                       sampled token, a resumed sequence
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "cache/kv_ledger.h"
#include "cache/reuse.h"
#include "engine/output.h"
#include "engine/prompt_lookup.h"
#include "engine/stream_state.h"
#include "sample/sampling_params.h"
#include "sample/token_counts.h"

namespace slipstream {

struct Sequence;
// A sequence moves from list to list with its memory; nothing is allocated on the way.
using SequenceList = std::list<Sequence>;

struct Sequence {
  Sequence(Output answer, std::shared_ptr<StreamState> its_stream)
      : stream(std::move(its_stream)), output(std::move(answer)) {}

  // Constant after submit.
  SamplingParams sampling;
  uint32_t choice = 0;
  uint32_t num_prompt_tokens = 0;
  uint32_t client = 0;                  // whose request it is
  uint32_t num_expected_tokens = 0;     // of its answer: what it costs in the queue, beside its tokens
  uint64_t arrived_ns = 0;              // Clock time at which it was asked for
  ExtraKey extra = {};                  // what else its blocks depend on
  std::optional<ExtraKey> wider_extra = {};  // Request::wider_cache_key
  uint32_t scored_until = 0;            // of the prompt: rows before it give logprobs of the token that follows
  std::shared_ptr<StreamState> stream;

  // Engine thread; changed by the Scheduler alone.
  uint64_t number = 0;                  // in order of arrival
  uint64_t age = 0;                     // in order of first admission
  std::vector<TokenId> tokens;          // prompt, then what was sampled; capacity for the longest it can become
  BlockTable table;                     // the same
  uint32_t num_computed = 0;
  uint32_t num_scored = 0;              // rows that have given theirs; at most scored_until
  std::optional<uint32_t> num_cached;   // prompt tokens found in the cache when it was first admitted; null before
  Reuse reuse = {};                     // why not more; set with num_cached
  bool was_fetched = false;             // a store was asked for what the cache did not have (BlockTraffic)
  SequenceList::iterator place;         // itself, in the list it is in

  // Engine thread; changed by judging and publishing.
  Output output;
  uint64_t last_token_ns = 0;           // Clock time of the last step that sampled one
  uint64_t num_waiting_tokens = 0;      // as QueueBounds counts it until it is admitted; 0 from then on
  std::vector<TokenLogprob> prompt_logprobs;  // not yet given; capacity for all
  TokenCounts counts;                   // of `tokens`, and from a draw on of what was drawn; no room where none asks

  // Engine thread; changed where drafts are planned and paid.
  PromptLookup lookup;                  // no room where nothing is drafted
  double draft_credit_ms = 0;           // DraftBudget

  uint32_t num_tokens() const { return static_cast<uint32_t>(tokens.size()); }
  SequenceKeys keys() const { return {extra, {}}; }
  uint32_t pending() const { return num_tokens() - num_computed; }
};

}  // namespace slipstream
