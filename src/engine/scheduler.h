// Holds all sequences and decides each step: plan() reserves blocks, commit() records what was computed; nothing else
// does either.
//
// Order is age, and age counts from the first admission. running_ is oldest first; those that were sent back to wait
// are newer than everyone running and stand, oldest first, before everyone who was never admitted (WaitingQueue). Who
// of the latter is admitted next is a question of turns between clients, not of age. A step goes through running_ from
// the oldest on; who lacks a block sends the *newest* back to wait. So a victim was never planned in this step, and the
// oldest always goes on: each step takes it at least one token nearer to its end. Every sequence that was admitted
// becomes the oldest, and every one that waits is admitted after finitely many others. That is why the engine cannot
// get stuck. And whoever writes an answer is older than the prompt that is being computed in chunks, so a long prompt
// gets the rows that the answers leave. A prompt whose own tokens are scored is cut to the logits there is room for,
// finds nothing in the cache (a row that is not computed has no logits), and lets nobody in behind it until it is
// through.
//
// Sharing while it is computed: whoever is next and finds that a running sequence computes its next whole block in this
// step (same parent block, same tokens, same key) is passed over, and finds that block in the next plan(). This is seen
// anew in each plan(): nothing says that somebody waits for somebody, so whoever computes may fail, be cancelled or be
// sent back, and is succeeded. Nobody starves by it. The one that computes has all its pending tokens in this step
// (else it would be the newest, cut short, and nobody would be looked at), so the next time whoever was passed over is
// a whole block further on, or the one that computed has failed, or the block was taken; and it is looked at before all
// who were never called, so that only those already there can make it wait again. Others are admitted past it
// meanwhile, as far as there are seats beside its own: plan() looks at no more than max_num_seqs waiting sequences, and
// compares each with no more running ones. A sequence that was sent back does not wait: who runs is older and must stay
// so. Nor does one whose prompt is scored, as it takes nothing from the cache.
//
// In the same way whoever would fit, and has more of its prompt in the store, is passed over until that is here
// (BlockTraffic, which bounds it).
//
// Drafts (PromptLookup) come last, when everyone who runs has one row and nobody a prompt to compute: as many as the
// DraftBudget gives, in rows and logits that are left, and in slots of blocks that their sequence has anyway. So a
// draft takes nothing from anybody but time, and what became of it is no matter of the ledger's: a sequence is computed
// up to the last token that was right, and the slots behind are written again.
//
// Engine thread. Allocates nothing after construction.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "cache/kv_ledger.h"
#include "engine/block_traffic.h"
#include "engine/draft_budget.h"
#include "engine/engine_stats.h"
#include "engine/sequence.h"
#include "engine/step_plan.h"
#include "engine/waiting_queue.h"

namespace slipstream {

struct SchedulerOptions {
  uint32_t max_num_seqs = 1;   // run together; >= 1
  uint32_t max_rows = 1;       // of one step
  uint32_t max_scored_rows = 1;  // of one step, whose logits score a prompt; >= 1 where there are such prompts. And
                                 // those of drafts
  uint32_t max_drafts = 0;     // of one sequence in one step
  uint32_t max_model_len = 1;  // a sequence is never longer; the ledger's blocks hold that
  WaitingQueueOptions queue = {};
};

class Scheduler {
 public:
  // All outlive it. traffic: null where there is no store; drafts: where there are none.
  Scheduler(const SchedulerOptions& options, KvLedger& ledger, BlockTraffic* traffic = nullptr,
            const DraftBudget* drafts = nullptr);

  // One sequence, to the end of its client's line.
  void add(SequenceList& one);
  // Takes the sequence out, wherever it is, and gives its blocks back.
  void cancel(Sequence& sequence);

  // Who computes what in the next step, at most max_rows tokens (>= 1); reserves the blocks. Empty when nobody is
  // there.
  const StepPlan& plan(uint32_t max_rows);
  // The plan's slices are computed: sequences advance, full blocks are remembered, whoever is finished or failed ends.
  void commit(const StepPlan& plan, std::span<const Sample> samples);

  // Those that ended in the last commit(), until clear_ended().
  void clear_ended() { ended_.clear(); }
  // Any sequence, running ones first; null when there is none.
  Sequence* any();

  const SequenceList& running() const { return running_; }
  const WaitingQueue& waiting() const { return waiting_; }
  uint64_t num_preemptions() const { return num_preemptions_; }
  // Times that a waiting sequence was passed over, because somebody was just computing its next block or the store had
  // it.
  uint64_t num_passed_over() const { return num_passed_over_; }
  // Of prompts, when they were first admitted: tokens that were looked for in the cache, and those that were found.
  uint64_t num_queried_tokens() const { return num_queried_tokens_; }
  uint64_t num_cached_tokens() const { return cache_.tokens_reused; }
  // Its evictions and entries are the ledger's to say.
  const CacheCounts& cache() const { return cache_; }

  // Between commit() and plan(): the first invariant that does not hold, its ledger's included; empty when all do. For
  // tests.
  std::string check() const;

 private:
  void continue_one(Sequence& sequence, uint32_t max_rows);
  void add_drafts(uint32_t max_rows);
  uint32_t most_drafts(const Sequence& sequence) const;
  bool newest_is_cut() const;
  // Of the sequence whose turn it is. kNone: nobody waits, or it does not fit, and nobody overtakes it.
  enum class Turn : uint8_t { kAdmitted, kPassedOver, kNone };
  Turn give_turn(uint32_t max_rows);
  Turn pass_over(Sequence& sequence);
  void admit(Sequence& sequence, const Match& match);
  Reuse reuse_of(const Sequence& sequence, const Match& match) const;
  bool is_worth_waiting(const Sequence& sequence, const Match& match) const;
  uint32_t rows_that_fit(const Sequence& sequence) const;
  void preempt_newest();
  void release(Sequence& sequence);
  void end(Sequence& sequence);

  const SchedulerOptions options_;
  KvLedger& ledger_;
  BlockTraffic* const traffic_;
  const DraftBudget* const drafts_;
  StepPlan plan_;
  SequenceList running_;
  WaitingQueue waiting_;
  SequenceList ended_;
  uint32_t num_scored_rows_ = 0;  // of the plan
  uint64_t num_preemptions_ = 0;
  uint64_t num_passed_over_ = 0;
  uint64_t num_queried_tokens_ = 0;
  CacheCounts cache_;
  uint64_t num_added_ = 0;
  uint64_t num_admitted_ = 0;
};

}  // namespace slipstream
