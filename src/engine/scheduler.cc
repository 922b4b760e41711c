#include "engine/scheduler.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace slipstream {

Scheduler::Scheduler(const SchedulerOptions& options, KvLedger& ledger, BlockTraffic* traffic,
                     const DraftBudget* drafts)
    : options_(options),
      ledger_(ledger),
      traffic_(traffic),
      drafts_(drafts),
      plan_({.max_rows = options.max_rows,
             .max_slices = options.max_num_seqs,
             .max_blocks_per_slice = ledger.blocks_for(options.max_model_len)}),
      waiting_(options.queue) {
  CHECK(options.max_num_seqs >= 1 && options.max_rows >= 1, "{} sequences, {} rows", options.max_num_seqs,
        options.max_rows);
  CHECK(ledger.blocks_for(options.max_model_len) <= ledger.num_blocks(), "{} blocks of {} tokens cannot hold {}",
        ledger.num_blocks(), ledger.block_tokens(), options.max_model_len);
}

void Scheduler::add(SequenceList& one) {
  one.front().number = num_added_++;
  waiting_.add(one);
}

void Scheduler::cancel(Sequence& sequence) {
  const bool is_running = std::ranges::any_of(running_, [&](const Sequence& other) { return &other == &sequence; });
  if (is_running) {
    release(sequence);
    running_.erase(sequence.place);
  } else {
    waiting_.remove(sequence);
  }
}

const StepPlan& Scheduler::plan(uint32_t max_rows) {
  CHECK(max_rows >= 1 && max_rows <= options_.max_rows, "{} rows of at most {}", max_rows, options_.max_rows);
  plan_.clear();
  num_scored_rows_ = 0;
  for (Sequence& sequence : running_) {  // preempting shortens it at its end only
    if (plan_.num_rows() == max_rows) break;
    continue_one(sequence, max_rows - plan_.num_rows());
  }
  uint32_t num_passed_over = 0;
  while (plan_.num_rows() < max_rows && !newest_is_cut() && running_.size() + num_passed_over < options_.max_num_seqs) {
    const Turn turn = give_turn(max_rows - plan_.num_rows());
    if (turn == Turn::kNone) break;
    num_passed_over += turn == Turn::kPassedOver ? 1 : 0;
  }
  waiting_.recall();
  add_drafts(max_rows);
  plan_.lay_out();
  return plan_;
}

void Scheduler::add_drafts(uint32_t max_rows) {
  const auto num_answers = static_cast<uint32_t>(plan_.slices().size());
  if (drafts_ == nullptr || num_answers != running_.size() || plan_.num_rows() != num_answers) return;
  double credit_ms = std::numeric_limits<double>::infinity();
  for (const Sequence& sequence : running_) credit_ms = std::min(credit_ms, sequence.draft_credit_ms);
  for (uint32_t slice = 0; slice < num_answers; ++slice) {
    Sequence& sequence = *plan_.slices()[slice].sequence;
    sequence.lookup.read(sequence.tokens);
    const uint32_t num_left = std::min(max_rows - plan_.num_rows(),
                                       options_.max_scored_rows - num_scored_rows_ - plan_.num_drafts());
    const uint32_t num_drafts = drafts_->choose({.num_answers = num_answers,
                                                 .num_rows = plan_.num_rows(),
                                                 .chance = sequence.lookup.chance(),
                                                 .most = std::min(most_drafts(sequence), num_left),
                                                 .credit_ms = credit_ms});
    if (num_drafts > 0) sequence.lookup.guess(sequence.tokens, plan_.add_drafts(slice, num_drafts));
  }
}

// One token comes without; and only the slots behind its end.
uint32_t Scheduler::most_drafts(const Sequence& sequence) const {
  if (sequence.pending() > 1) return 0;
  const uint32_t num_to_come = sequence.output.max_tokens() - sequence.output.num_tokens();
  const auto num_slots = static_cast<uint32_t>(sequence.table.size()) * ledger_.block_tokens();
  return std::min({options_.max_drafts, std::max(num_to_come, 1u) - 1, num_slots - sequence.num_tokens()});
}

// Plans up to max_rows tokens of a running sequence. None when every free block is gone and nobody is newer: it then
// keeps what it has and waits for an older one to end.
void Scheduler::continue_one(Sequence& sequence, uint32_t max_rows) {
  while (rows_that_fit(sequence) == 0) {
    if (&running_.back() == &sequence) return;
    preempt_newest();
  }
  uint32_t num_rows = std::min({max_rows, sequence.pending(), rows_that_fit(sequence)});
  const uint32_t first_scored = std::max(sequence.num_computed, sequence.num_scored);
  const uint32_t end_scored = std::min(sequence.num_computed + num_rows, sequence.scored_until);
  uint32_t num_logits = 0;
  if (first_scored < end_scored) {
    num_logits = std::min(end_scored - first_scored, options_.max_scored_rows - num_scored_rows_);
    if (num_logits < end_scored - first_scored) num_rows = first_scored + num_logits - sequence.num_computed;
    if (num_rows == 0) return;
    num_scored_rows_ += num_logits;
  }
  const bool grown = ledger_.grow(sequence.table, sequence.num_computed + num_rows);
  CHECK(grown, "{} rows did not fit in {} free blocks", num_rows, ledger_.num_free());
  if (num_rows == sequence.pending()) ++num_logits;  // it samples
  plan_.add(sequence, num_rows, num_logits);
}

// Whoever stops short of its end must stay the newest: only the newest has more than one token to compute.
bool Scheduler::newest_is_cut() const {
  if (running_.empty()) return false;
  const bool is_planned = !plan_.empty() && plan_.slices().back().sequence == &running_.back();
  return (is_planned ? plan_.slices().back().num_rows : 0) < running_.back().pending();
}

// Admits it if all its tokens fit. What the running ones will take for theirs need not be set aside: only the newest
// can have more than one, and as long as it has, it leaves no row for anyone else.
Scheduler::Turn Scheduler::give_turn(uint32_t max_rows) {
  Sequence* const next = waiting_.next();
  if (next == nullptr) return Turn::kNone;
  Sequence& sequence = *next;
  const bool is_scored = sequence.num_scored < sequence.scored_until;
  const Match match = is_scored ? Match() : ledger_.match(sequence.tokens, sequence.keys(), sequence.table);
  const bool may_wait = !is_scored && !sequence.num_cached;
  if (may_wait && is_worth_waiting(sequence, match)) return pass_over(sequence);
  const uint32_t num_needed = ledger_.blocks_for(sequence.num_tokens()) - static_cast<uint32_t>(sequence.table.size());
  if (!running_.empty() && num_needed > ledger_.num_free()) {
    ledger_.release(sequence.table);
    return Turn::kNone;
  }
  if (may_wait && traffic_ != nullptr && traffic_->is_worth_waiting(sequence, match)) return pass_over(sequence);
  waiting_.take_next(running_);
  admit(sequence, match);
  continue_one(sequence, max_rows);
  return Turn::kAdmitted;
}

Scheduler::Turn Scheduler::pass_over(Sequence& sequence) {
  ledger_.release(sequence.table);
  waiting_.pass_over();
  ++num_passed_over_;
  return Turn::kPassedOver;
}

// It computes at least one token in this step, so the copy is made before anybody can send it back.
void Scheduler::admit(Sequence& sequence, const Match& match) {
  if (!sequence.num_cached) sequence.reuse = reuse_of(sequence, match);
  if (match.source) {
    ledger_.take_for_copy(match, sequence.table);
    const BlockCopy copy{*match.source, sequence.table.back(), match.num_common};
    if (copy.from != copy.to) plan_.add_copy(copy);
  }
  sequence.num_computed = match.num_tokens + match.num_common;
  if (sequence.num_cached) return;  // it was here before
  sequence.num_cached = sequence.num_computed;
  sequence.age = num_admitted_++;
  if (sequence.scored_until == 0) num_queried_tokens_ += sequence.num_tokens();
  cache_.tokens_reused += sequence.num_computed;
  const bool is_whole = sequence.num_computed + 1 == sequence.num_tokens();
  ++(sequence.num_computed == 0 ? cache_.misses : is_whole ? cache_.hits : cache_.prefix_hits);
}

Reuse Scheduler::reuse_of(const Sequence& sequence, const Match& match) const {
  if (sequence.scored_until > 0) return {ReuseEnd::kScored};
  return ledger_.explain(sequence.tokens, sequence.keys(), sequence.wider_extra, match, sequence.table);
}

// Does somebody who runs compute the whole block that follows what was found for this sequence, and would it find more
// when that is done? (Not where all tokens but the last can be copied already.) What others *have* computed is found.
bool Scheduler::is_worth_waiting(const Sequence& sequence, const Match& match) const {
  const uint32_t block_tokens = ledger_.block_tokens();
  const size_t index = sequence.table.size();
  const uint64_t begin = index * uint64_t{block_tokens};
  const uint64_t end = begin + block_tokens;
  if (!ledger_.shares() || end > sequence.num_tokens()) return false;
  if (std::min<uint64_t>(end, sequence.num_tokens() - 1) <= match.num_tokens + match.num_common) return false;
  return std::ranges::any_of(running_, [&](const Sequence& other) {
    if (other.num_tokens() < end || other.table.size() < index) return false;
    if (index > 0 && other.table[index - 1] != sequence.table[index - 1]) return false;
    const auto first = static_cast<uint32_t>(begin);
    return extra_key_of_block(other.keys(), first, block_tokens) ==
               extra_key_of_block(sequence.keys(), first, block_tokens) &&
           std::ranges::equal(std::span(other.tokens).subspan(begin, block_tokens),
                              std::span(sequence.tokens).subspan(begin, block_tokens));
  });
}

uint32_t Scheduler::rows_that_fit(const Sequence& sequence) const {
  const uint64_t slots = (sequence.table.size() + uint64_t{ledger_.num_free()}) * ledger_.block_tokens();
  return static_cast<uint32_t>(std::min<uint64_t>(slots - sequence.num_computed, std::numeric_limits<uint32_t>::max()));
}

// The newest goes back to wait, before everyone else there. It keeps its tokens; what of them was computed is
// remembered, so that coming back is mostly a hit.
void Scheduler::preempt_newest() {
  Sequence& sequence = running_.back();
  release(sequence);
  waiting_.send_back(running_, sequence);
  ++num_preemptions_;
}

void Scheduler::commit(const StepPlan& plan, std::span<const Sample> samples) {
  CHECK(samples.size() == plan.slices().size(), "{} samples of {} slices", samples.size(), plan.slices().size());
  for (size_t index = 0; index < samples.size(); ++index) {
    const Sample& sample = samples[index];
    Sequence& sequence = *plan.slices()[index].sequence;
    if (!sample.finite) {  // nothing of this step is remembered: its K and V may be anything
      ledger_.release(sequence.table);
      end(sequence);
      continue;
    }
    if (sample.tokens.empty() && !plan.slices()[index].drafts.empty()) {  // not finite, perhaps for a draft alone
      sequence.lookup.stop();
      continue;
    }
    sequence.num_computed += plan.slices()[index].num_rows;
    if (sample.tokens.size() > 1) sequence.num_computed += static_cast<uint32_t>(sample.tokens.size()) - 1;
    sequence.tokens.insert(sequence.tokens.end(), sample.tokens.begin(), sample.tokens.end());
    sequence.num_scored = std::max(sequence.num_scored, std::min(sequence.num_computed, sequence.scored_until));
    ledger_.remember(std::span(sequence.tokens).first(sequence.num_computed), sequence.keys(), sequence.table);
    if (!sample.finish) continue;
    release(sequence);
    end(sequence);
  }
}

// Gives its blocks back; what is computed of it is remembered.
void Scheduler::release(Sequence& sequence) {
  ledger_.release_with_tail(std::span(sequence.tokens).first(sequence.num_computed), sequence.keys(), sequence.table);
  sequence.num_computed = 0;
}

void Scheduler::end(Sequence& sequence) {
  ended_.splice(ended_.end(), running_, sequence.place);
}

Sequence* Scheduler::any() {
  if (!running_.empty()) return &running_.front();
  return waiting_.next();
}

std::string Scheduler::check() const {
  std::vector<KvLedger::Holder> holders;
  for (const Sequence& sequence : running_) {
    if (sequence.pending() == 0) return fmt::format("running sequence {} has nothing to compute", sequence.number);
    if (sequence.pending() > 1 && &sequence != &running_.back()) {
      return fmt::format("sequence {} has a prompt to compute, and a newer one runs beside it", sequence.number);
    }
    holders.push_back({sequence.table, std::span(sequence.tokens).first(sequence.num_computed), sequence.keys()});
  }
  std::string wrong;
  uint64_t next_age = 0;  // of those that were admitted: running, then sent back
  bool sees_lines = false;
  const auto look = [&](const Sequence& sequence) {
    if (!sequence.num_cached) {
      sees_lines = true;
      return;
    }
    if (sequence.age < next_age || sees_lines) {
      wrong = fmt::format("sequence {} stands behind a newer one", sequence.number);
    }
    next_age = sequence.age + 1;
  };
  for (const Sequence& sequence : running_) look(sequence);
  waiting_.for_each([&](const Sequence& sequence) {
    if (!sequence.table.empty()) wrong = fmt::format("waiting sequence {} holds blocks", sequence.number);
    if (sequence.num_computed != 0) wrong = fmt::format("waiting sequence {} has computed tokens", sequence.number);
    look(sequence);
  });
  if (wrong.empty()) wrong = waiting_.check();
  if (!wrong.empty()) return wrong;
  if (running_.size() > options_.max_num_seqs) return fmt::format("{} sequences run together", running_.size());
  return ledger_.check(holders);
}

}  // namespace slipstream
