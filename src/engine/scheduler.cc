#include "engine/scheduler.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace slipstream {

Scheduler::Scheduler(const SchedulerOptions& options, KvLedger& ledger)
    : options_(options),
      ledger_(ledger),
      plan_({.max_rows = options.max_rows,
             .max_slices = options.max_num_seqs,
             .max_blocks_per_slice = ledger.blocks_for(options.max_model_len)}) {
  CHECK(options.max_num_seqs >= 1 && options.max_rows >= 1, "{} sequences, {} rows", options.max_num_seqs,
        options.max_rows);
  CHECK(ledger.blocks_for(options.max_model_len) <= ledger.num_blocks(), "{} blocks of {} tokens cannot hold {}",
        ledger.num_blocks(), ledger.block_tokens(), options.max_model_len);
}

void Scheduler::add(SequenceList& one) {
  one.front().place = one.begin();
  one.front().number = num_added_++;
  num_waiting_tokens_ += one.front().num_tokens();
  waiting_.splice(waiting_.end(), one);
}

void Scheduler::cancel(Sequence& sequence) {
  const bool is_running = std::ranges::any_of(running_, [&](const Sequence& other) { return &other == &sequence; });
  if (is_running) {
    ledger_.release(sequence.table);
    running_.erase(sequence.place);
  } else {
    num_waiting_tokens_ -= sequence.num_tokens();
    waiting_.erase(sequence.place);
  }
}

const StepPlan& Scheduler::plan(uint32_t max_rows) {
  CHECK(max_rows >= 1 && max_rows <= options_.max_rows, "{} rows of at most {}", max_rows, options_.max_rows);
  plan_.clear();
  for (Sequence& sequence : running_) {  // preempting shortens it at its end only
    if (plan_.num_rows() == max_rows) break;
    continue_one(sequence, max_rows - plan_.num_rows());
  }
  while (plan_.num_rows() < max_rows && admit_one(max_rows - plan_.num_rows())) {}
  return plan_;
}

// Plans up to max_rows tokens of a running sequence. None when every free block is gone and nobody is newer: it then
// keeps what it has and waits for an older one to end.
void Scheduler::continue_one(Sequence& sequence, uint32_t max_rows) {
  while (rows_that_fit(sequence) == 0) {
    if (&running_.back() == &sequence) return;
    preempt_newest();
  }
  const uint32_t num_rows = std::min({max_rows, sequence.pending(), rows_that_fit(sequence)});
  const bool grown = ledger_.grow(sequence.table, sequence.num_computed + num_rows);
  CHECK(grown, "{} rows did not fit in {} free blocks", num_rows, ledger_.num_free());
  plan_.add(sequence, num_rows);
}

// Admits the longest waiting sequence if all its tokens fit. What the running ones will take for theirs need not be
// set aside: only the newest can have more than one, and as long as it has, it leaves no row for anyone else.
bool Scheduler::admit_one(uint32_t max_rows) {
  if (waiting_.empty() || running_.size() >= options_.max_num_seqs) return false;
  Sequence& sequence = waiting_.front();
  const uint32_t num_cached = ledger_.match(sequence.tokens, sequence.extra, sequence.table);
  const uint32_t num_needed = ledger_.blocks_for(sequence.num_tokens()) - static_cast<uint32_t>(sequence.table.size());
  if (!running_.empty() && num_needed > ledger_.num_free()) {
    ledger_.release(sequence.table);
    return false;
  }
  sequence.num_computed = num_cached;
  if (!sequence.num_cached) {
    sequence.num_cached = num_cached;
    num_cached_tokens_ += num_cached;
  }
  num_waiting_tokens_ -= sequence.num_tokens();
  running_.splice(running_.end(), waiting_, sequence.place);
  continue_one(sequence, max_rows);
  return true;
}

uint32_t Scheduler::rows_that_fit(const Sequence& sequence) const {
  const uint64_t slots = (sequence.table.size() + uint64_t{ledger_.num_free()}) * ledger_.block_tokens();
  return static_cast<uint32_t>(std::min<uint64_t>(slots - sequence.num_computed, std::numeric_limits<uint32_t>::max()));
}

// The newest goes back to the front of the queue. It keeps its tokens; what of them was in full blocks is remembered,
// so that coming back is mostly a hit.
void Scheduler::preempt_newest() {
  Sequence& sequence = running_.back();
  ledger_.release(sequence.table);
  sequence.num_computed = 0;
  num_waiting_tokens_ += sequence.num_tokens();
  waiting_.splice(waiting_.begin(), running_, sequence.place);
  ++num_preemptions_;
}

void Scheduler::commit(const StepPlan& plan, std::span<const Sample> samples) {
  CHECK(samples.size() == plan.slices().size(), "{} samples of {} slices", samples.size(), plan.slices().size());
  for (size_t index = 0; index < samples.size(); ++index) {
    const Sample& sample = samples[index];
    Sequence& sequence = *plan.slices()[index].sequence;
    if (!sample.finite) {  // nothing of this step is remembered: its K and V may be anything
      end(sequence);
      continue;
    }
    sequence.num_computed += plan.slices()[index].num_rows;
    ledger_.remember(std::span(sequence.tokens).first(sequence.num_computed), sequence.extra, sequence.table);
    if (sample.token) {
      sequence.tokens.push_back(*sample.token);
      sequence.counts.add_output(*sample.token);
    }
    if (sample.finish) end(sequence);
  }
}

void Scheduler::end(Sequence& sequence) {
  ledger_.release(sequence.table);
  ended_.splice(ended_.end(), running_, sequence.place);
}

Sequence* Scheduler::any() {
  if (!running_.empty()) return &running_.front();
  return waiting_.empty() ? nullptr : &waiting_.front();
}

std::string Scheduler::check() const {
  std::vector<KvLedger::Holder> holders;
  for (const Sequence& sequence : running_) {
    if (sequence.pending() == 0) return fmt::format("running sequence {} has nothing to compute", sequence.number);
    if (sequence.pending() > 1 && &sequence != &running_.back()) {
      return fmt::format("sequence {} has a prompt to compute, and a newer one runs beside it", sequence.number);
    }
    holders.push_back({sequence.table, std::span(sequence.tokens).first(sequence.num_computed), sequence.extra});
  }
  uint64_t num_waiting_tokens = 0;
  for (const Sequence& sequence : waiting_) {
    if (!sequence.table.empty()) return fmt::format("waiting sequence {} holds blocks", sequence.number);
    if (sequence.num_computed != 0) return fmt::format("waiting sequence {} has computed tokens", sequence.number);
    num_waiting_tokens += sequence.num_tokens();
  }
  if (num_waiting_tokens != num_waiting_tokens_) {
    return fmt::format("{} waiting tokens, counted as {}", num_waiting_tokens, num_waiting_tokens_);
  }
  uint64_t next = 0;
  for (const SequenceList* list : {&running_, &waiting_}) {
    for (const Sequence& sequence : *list) {
      if (sequence.number < next) return fmt::format("sequence {} stands behind a newer one", sequence.number);
      next = sequence.number + 1;
    }
  }
  if (running_.size() > options_.max_num_seqs) return fmt::format("{} sequences run together", running_.size());
  return ledger_.check(holders);
}

}  // namespace slipstream
